"""Check that the installed transformers computes what the files of a model folder describe.

A file of another release may load without an error and still give other numbers, because settings
are ignored, weights are missing, or a head is tied or not. Such a folder is rejected if its numbers
would be wrong, and described in a note if only its text generation differs.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from auditkit.engine.beam import SPECIAL_TOKENS
from auditkit.engine.releases import MAJOR, VERSION
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.file_checks import library_errors

__all__ = [
    "agree", "generation_note", "read_config", "require_all_weights", "require_tied_head",
    "sample_outputs", "writer",
]  # fmt: skip

# Keys of config.json that do not change a forward pass.
_HARMLESS = {
    "_attn_implementation_autoset", "_model_name_or_path", "_name_or_path", "architectures",
    "attn_implementation", "auto_map", "dtype", "id2label", "label2id", "model_type",
    "pretraining_tp", "quantization", "torch_dtype", "transformers_version",
    "transformers.js_config", "unsloth_version", "use_cache",
    *SPECIAL_TOKENS,
}  # fmt: skip
# Keys of version 4 that version 5 converts to `rope_parameters`.
_CONVERTED = {"partial_rotary_factor", "rope_scaling", "rope_theta", "rotary_emb_base"}
_TOLERANCE = 1e-4  # relative to the largest output; merging an adapter rounds once more
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")


def read_config(weights: Path, fields: Mapping[str, Any]) -> tuple[PretrainedConfig, list[str]]:
    """Read the configuration of a model; return notes on settings that transformers ignores.

    Args:
        weights: folder with config.json.
        fields: content of config.json.

    Raises:
        TargetUnavailable: the installed transformers ignores the rotary settings or cannot load the
            configuration.
    """
    remedy = (
        f"transformers {VERSION} reads the file; compare it with the config.json of the original "
        "model, or install another release."
    )
    with library_errors(weights / "config.json", remedy):
        config = _load_config(weights, fields)
    unread = sorted(_unread(fields, config))
    if "rope_parameters" in unread and not _same_rotation(fields["rope_parameters"], config):
        raise TargetUnavailable(
            f"{weights / 'config.json'} has its rotary settings under `rope_parameters`, which "
            f"transformers {VERSION} ignores and would therefore compute wrong positions. The "
            f"file was written by transformers {writer(fields)}; install transformers 5."
        )
    unread = [name for name in unread if name != "rope_parameters"]
    if not unread:
        return config, []
    return config, [
        f"config.json has settings that transformers {VERSION} does not read for "
        f"{config.model_type!r}: {', '.join(unread)}."
    ]


def writer(fields: Mapping[str, Any]) -> str:
    """Release of transformers that wrote a config.json."""
    return str(fields.get("transformers_version") or "of an unknown release")


def _load_config(weights: Path, fields: Mapping[str, Any]) -> PretrainedConfig:
    if "quantization_config" not in fields:
        return AutoConfig.from_pretrained(weights, trust_remote_code=False, local_files_only=True)
    # It is null, since other values are refused, and version 4 fails on a null.
    kept = {name: value for name, value in fields.items() if name != "quantization_config"}
    return AutoConfig.for_model(**kept)


def _unread(fields: Mapping[str, Any], config: PretrainedConfig) -> Iterator[str]:
    """Keys of config.json that are set, but only stored in the configuration and not used."""
    kind = type(config)
    known = {*kind().to_dict(), *kind.attribute_map, *_HARMLESS}
    for base in kind.__mro__:
        known |= {*inspect.signature(base).parameters, *vars(base)}
        known |= {*getattr(base, "__annotations__", {})}
    if MAJOR >= 5 and getattr(config, "rope_parameters", None):
        known |= _CONVERTED
    return (name for name, value in fields.items() if value and name not in known)


def _same_rotation(parameters: object, config: PretrainedConfig) -> bool:
    """Whether version 4, which ignores `rope_parameters`, computes the same positions."""
    return MAJOR >= 5 or (
        isinstance(parameters, dict)
        and parameters.get("rope_type", "default") == "default"
        and not {*parameters} - {"rope_type", "rope_theta"}
        and parameters.get("rope_theta") == getattr(config, "rope_theta", None)
        and not getattr(config, "rope_scaling", None)
    )


def require_all_weights(weights: Path, info: Mapping[str, Any]) -> list[str]:
    """Require that no weight was initialized at random; return notes on unused weights.

    Args:
        info: loading information of `from_pretrained`.

    Raises:
        TargetUnavailable: the file lacks weights of the model, or has them in another shape.
    """
    lacking = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
    # BERT's pooler is often not saved; embeddings are pooled by `engine/embedding.py`.
    missing = [name for name in lacking if not name.startswith("pooler.")]
    if missing:
        raise TargetUnavailable(
            f"{weights} has no weights for {len(missing)} tensors of the model, including "
            f"{missing[0]}; transformers {VERSION} would initialize these tensors at random. Save "
            "the complete model with save_pretrained."
        )
    unused = sorted(map(str, info["unexpected_keys"]))
    if not unused:
        return []
    return [
        f"{len(unused)} tensors of the weights file do not belong to the model and are not used, "
        f"including {unused[0]}."
    ]


def require_tied_head(weights: Path, model: PreTrainedModel) -> None:
    """Require that a tied output head was not saved with values that differ from the embedding.

    Transformers 4 ignores the saved values of the head; transformers 5 uses them.

    Raises:
        TargetUnavailable: the saved head and the saved embedding differ.
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or not getattr(model.config.get_text_config(), "tie_word_embeddings", False):
        return
    names = {id(head): "", id(embedding): ""}
    for name, module in model.named_modules():
        if id(module) in names:
            names[id(module)] = f"{name}.weight"
    saved = {}
    for file in sorted(weights.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in set(names.values()) & set(tensors.keys()):
                saved[name] = tensors.get_tensor(name)
    if len(saved) == 2 and not torch.equal(*saved.values()):
        first, second = sorted(saved)
        raise TargetUnavailable(
            f"{weights} says tie_word_embeddings, but {first} and {second} have different values, "
            "and releases of transformers differ in which tensor they use. Set "
            "tie_word_embeddings to false in config.json, or remove the tensor that was not "
            "trained."
        )


def generation_note(model: PreTrainedModel) -> list[str]:
    """Note on the settings of generation_config.json that auditkit ignores; empty without any."""
    own = getattr(model, "generation_config", None)  # an encoder has none
    if own is None:
        return []
    ignored = {"_from_model_config", "transformers_version", *SPECIAL_TOKENS}
    if not getattr(own, "do_sample", None):
        ignored |= set(_SAMPLING)  # without sampling they have no effect
    changed = {
        name: value
        for name, value in own.to_diff_dict().items()
        if not name.startswith(("cache_", "output_", "return_", "use_cache"))
    }
    named = [f"{name} {changed[name]!r}" for name in sorted(set(changed) - ignored)]
    if not named:
        return []
    return [
        "generation_config.json is not applied, because recommender.yaml describes the decoding: "
        f"{', '.join(named)}."
    ]


@torch.inference_mode()
def sample_outputs(model: PreTrainedModel) -> torch.Tensor:
    """Return the logits (hidden states of an encoder) of a fixed row of tokens, in main memory."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    ids = torch.arange(3, min(40, vocabulary), device=model.device)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :5]
    output = model.eval()(**inputs)
    found: torch.Tensor = output["logits"] if "logits" in output else output["last_hidden_state"]
    return found.cpu()


def agree(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two `sample_outputs` are equal within the tolerance; False if a value is NaN."""
    difference = float((found - expected).abs().max())
    return difference <= _TOLERANCE * max(1.0, float(expected.abs().max()))
