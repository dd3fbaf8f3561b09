"""Load a peft adapter onto its base model, merged only where merging changes nothing.

Merging is exact for most adapters. With a tied head it is not exact: the delta of the head or of
the embedding is added to the weight that both share, so it changes both, and peft 0.21.2 adds it
twice with `ensure_weight_tying`. The logits before and after merging are therefore compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
from peft import PeftModel
from transformers import PreTrainedModel

from auditkit.errors import TargetUnavailable, did_you_mean
from auditkit.recommenders.adapters.file_checks import read_object
from auditkit.recommenders.adapters.folder_checks import agree, sample_outputs
from auditkit.recommenders.adapters.manifest import MANIFEST

__all__ = ["with_adapter"]

_SHAPE = "size mismatch for"


def with_adapter(
    model: PreTrainedModel, adapter: Path, reload: Callable[[], PreTrainedModel]
) -> tuple[PreTrainedModel, list[str]]:
    """Attach an adapter to a model; return the model and notes for the report.

    Args:
        adapter: folder with adapter_config.json and adapter_model.safetensors.
        reload: loads the base again, because a failed merge changes its weights.

    Raises:
        TargetUnavailable: the adapter is of an unknown kind, was made for another model, or has no
            values for some of its tensors.
    """
    _require_known_kind(adapter / "adapter_config.json")
    others = sorted(path.parent.name for path in adapter.glob("*/adapter_config.json"))
    notes = []
    if others:
        notes.append(
            f"The adapter folder {adapter.name} also contains the adapters {', '.join(others)}, "
            "which are not audited."
        )
    adapted = _load(model, adapter).eval()
    if adapted.active_peft_config.is_prompt_learning:
        return adapted, notes
    expected = sample_outputs(adapted)
    merged = adapted.merge_and_unload()
    if agree(sample_outputs(merged), expected):
        return merged, notes
    return _load(reload(), adapter), [
        *notes,
        "The adapter is applied without merging, because merging changes the logits, for example "
        "if head and embedding share an adapted weight. A server that merges the adapter serves "
        "a different model.",
    ]


def _require_known_kind(file: Path) -> None:
    if not file.is_file():
        raise TargetUnavailable(f"{file} does not exist. Copy the complete adapter folder.")
    kind, known = read_object(file).get("peft_type"), sorted(one.value for one in peft.PeftType)
    if kind not in known:
        fault = "has no peft_type."
        if kind is not None:
            fault = (
                f"has the peft_type {kind!r}, which peft {peft.__version__} does not "
                f"know.{did_you_mean(str(kind), known)}"
            )
        raise TargetUnavailable(
            f"{file} {fault} Correct the entry, or install the release of peft that wrote it."
        )


def _load(model: PreTrainedModel, adapter: Path) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            adapted = PeftModel.from_pretrained(model, adapter, local_files_only=True)
        except RuntimeError as error:
            first = next((line.strip() for line in str(error).splitlines() if _SHAPE in line), "")
            if not first:
                raise
            raise TargetUnavailable(
                f"{adapter} does not fit the model: {first} Name the model that the adapter was "
                f"trained on as `weights` in {MANIFEST}."
            ) from None
    for warning in caught:
        if "missing adapter keys" in str(warning.message):
            raise TargetUnavailable(
                f"{adapter} lacks tensors of the adapter, which would keep their initial values. "
                f"Save the complete adapter. PEFT reports: {str(warning.message)[:300]}"
            )
    return adapted
