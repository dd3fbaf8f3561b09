"""Differences between the releases of transformers that change numbers or raise errors.

| what | 4.57 | 5 | here |
|---|---|---|---|
| new layer of a cache | initialized by keys | by keys and values | `fill` |
| cache of a forward | `past_key_values` | `cache` since 5.24 | `cache_argument` |
| attention with soft-capping (Gemma 2) | sdpa, which ignores the cap | eager | `attention` |
| progress bars of loading and saving | for shards | for every model | `quiet` |
| `rope_parameters` in config.json | ignored | read | `adapters/folder_checks.py` |
| saved weights of a tied head | dropped | used | `adapters/folder_checks.py` |
| tokenizer.json | used as saved | rebuilt by some classes | `adapters/tokenizer.py` |
| `generate` with a configuration | the folder's sampling wins | the argument wins | `beam.py` |
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from transformers import PretrainedConfig
from transformers.cache_utils import DynamicLayer
from transformers.utils import logging

__all__ = ["MAJOR", "VERSION", "attention", "cache_argument", "cache_of_output", "fill", "quiet"]

VERSION: str = transformers.__version__
MAJOR = int(VERSION.partition(".")[0])


def fill(layer: DynamicLayer, keys: torch.Tensor, values: torch.Tensor) -> None:
    """Set the keys and values of a new cache layer, without copying them."""
    # An update without tokens initializes the other fields, whose names differ between releases.
    DynamicLayer.update(layer, keys[:, :, :0], values[:, :, :0])
    layer.keys, layer.values = keys, values


def cache_argument(model: torch.nn.Module) -> str:
    """Name of the argument of `forward` for the key-value cache."""
    renamed = "cache" in inspect.signature(model.forward).parameters
    return "cache" if renamed else "past_key_values"


def cache_of_output(output: Mapping[str, Any]) -> Any:
    """Key-value cache in the output of a forward pass; None if the output has no cache."""
    return output.get("cache", output.get("past_key_values"))


def attention(config: PretrainedConfig) -> str | None:
    """Attention implementation that a model needs; None for the default of transformers."""
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None)
    return "eager" if capped else None


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager that suppresses the progress bars and warnings of transformers."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
