"""Load the model that `recommender.yaml` names, without running code from its folder.

Only safetensors are loaded, without remote code and network access. An adapter in the folder of the
weights is rejected, because transformers would load it automatically. `folder_checks` rejects files
of other releases that the installed transformers would misread.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
    PreTrainedModel,
)

from auditkit.catalog.dataset import Dataset
from auditkit.engine.device import chosen_device
from auditkit.engine.releases import VERSION, attention, quiet
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.dual_encoder import DualEncoder
from auditkit.recommenders.adapters.file_checks import (
    library_errors,
    read_object,
    refuse_quantized,
    require_readable,
)
from auditkit.recommenders.adapters.folder_checks import (
    generation_note,
    read_config,
    require_all_weights,
    require_tied_head,
    writer,
)
from auditkit.recommenders.adapters.language_model import LanguageModel
from auditkit.recommenders.adapters.list_recommender import LanguageModelRecommender
from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest, resolve_inside
from auditkit.recommenders.adapters.sentence_folder import read_pipeline
from auditkit.recommenders.adapters.tokenizer import load_tokenizer

__all__ = ["foreign_base", "load_folder"]

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_LOADERS = {
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "encoder": AutoModel,
}


def load_folder(folder: Path, dataset: Dataset | None = None) -> LanguageModel | DualEncoder:
    """Load a model folder with a `recommender.yaml`.

    Args:
        dataset: provides the items that a dual encoder ranks and the domain of the prompts;
            language models do not need it.

    Raises:
        TargetUnavailable: the folder has pickled weights, needs remote code, or has files that
            transformers cannot read.
    """
    manifest = RecommenderManifest.read(folder)
    if manifest.kind == "encoder" and dataset is None:
        raise TargetUnavailable(
            f"{folder} is an encoder, which needs a data set whose items it ranks. Pass a data set."
        )
    with quiet():
        model, notes = _load_model(folder, manifest)
        tokenizer, more = load_tokenizer(resolve_inside(folder, manifest.tokenizer))
    loaded: LanguageModel | DualEncoder
    domain = None if dataset is None else dataset.catalog.domain
    if manifest.kind == "encoder" and dataset is not None:
        weights = resolve_inside(folder, manifest.weights)
        pipeline = read_pipeline(weights, manifest, device=model.device)
        items = dataset.catalog.items
        loaded = DualEncoder(folder, manifest, model, tokenizer, items, pipeline, domain=domain)
        more = [*more, *pipeline.notes]
    else:
        chosen = LanguageModel if manifest.style == "pointwise" else LanguageModelRecommender
        loaded = chosen(folder, manifest, model, tokenizer, domain=domain)
    loaded.notes = (*notes, *more)
    return loaded


def _load_model(folder: Path, manifest: RecommenderManifest) -> tuple[PreTrainedModel, list[str]]:
    """The model in float32 and evaluation mode on the chosen device, with its adapter, and notes
    for the report.
    """
    device = chosen_device()
    weights = resolve_inside(folder, manifest.weights)
    adapter = resolve_inside(folder, manifest.adapter) if manifest.adapter else None
    _refuse_unsafe(weights, "*.safetensors")
    _refuse_hidden_adapter(weights)
    if adapter:
        _refuse_unsafe(adapter, "adapter_model.safetensors")
    fields = read_object(weights / "config.json")
    refuse_quantized(weights / "config.json", fields)
    config, unread = read_config(weights, fields)
    releases = (
        f"The weights were written by transformers {writer(fields)} and are read by transformers "
        f"{VERSION}."
    )
    notes = [releases, *unread]
    with library_errors(weights, "Check that config.json describes these weights."):
        model, more = _base_model(weights, manifest.kind, config)
        notes += [*more, *generation_note(model)]
    if adapter:
        from auditkit.recommenders.adapters.adapter import with_adapter

        remedy = (
            "Check that adapter_config.json and adapter_model.safetensors belong together, and "
            f"that the adapter was trained on the model in {weights}."
        )
        with library_errors(adapter, remedy):
            model, more = with_adapter(
                model, adapter, lambda: _base_model(weights, manifest.kind, config)[0]
            )
            notes += more
    with library_errors(weights, f"The model must fit into the memory of {device}."):
        model = model.eval().to(device)
    stored = config.dtype
    if stored not in (None, torch.float32):
        notes.append(
            f"The weights are stored as {str(stored).removeprefix('torch.')} and computed in "
            "float32; a server that computes in half precision returns slightly different scores."
        )
    if device.type != "cpu":
        notes.append(f"The model ran on {device}.")
    return model, notes


def _base_model(
    weights: Path, kind: str, config: PretrainedConfig
) -> tuple[PreTrainedModel, list[str]]:
    """The model without an adapter, and notes on its weights."""
    model, info = _LOADERS[kind].from_pretrained(
        weights,
        config=config,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        dtype=torch.float32,
        attn_implementation=attention(config),
        output_loading_info=True,
    )
    notes = require_all_weights(weights, info)
    require_tied_head(weights, model)
    return model, notes


def foreign_base(folder: Path, manifest: RecommenderManifest) -> str | None:
    """Name of the base model of an adapter, if it differs from the name of the weights.

    Returns:
        The last part of the base model's name; None without an adapter, or if it equals the name of
        the weights' folder or the model name in its config.json.
    """
    if manifest.adapter is None:
        return None
    weights = resolve_inside(folder, manifest.weights)
    named = read_object(resolve_inside(folder, manifest.adapter) / "adapter_config.json")
    base = Path(str(named.get("base_model_name_or_path") or "")).name
    called = Path(str(read_object(weights / "config.json").get("_name_or_path") or "")).name
    return base if base and base not in (weights.name, called) else None


def _refuse_hidden_adapter(weights: Path) -> None:
    """Reject an adapter in the folder of the weights: transformers would load it automatically,
    even a pickled one, and the base model that it names.
    """
    if (weights / "adapter_config.json").exists():
        raise TargetUnavailable(
            f"{weights} contains adapter_config.json in addition to the weights. Move the adapter "
            f"into a separate folder and name it as `adapter` in {MANIFEST}."
        )


def _refuse_unsafe(folder: Path, wanted: str) -> None:
    if not any(path.is_file() for path in folder.glob(wanted)):
        pickles = [p.name for pattern in _PICKLES for p in sorted(folder.glob(pattern))]
        found = f" It contains {pickles[0]}, a pickle, which can run code." if pickles else ""
        raise TargetUnavailable(
            f"{folder} contains no {wanted} file.{found} "
            "Save the model as safetensors: model.save_pretrained(FOLDER, safe_serialization=True)"
        )
    require_readable(folder)
    _refuse_foreign_shards(folder)
    if "auto_map" in read_object(folder / "config.json"):
        config = folder / "config.json"
        raise TargetUnavailable(
            f"{config} has an auto_map: the model needs code from its folder, which auditkit "
            "never runs. "
            "Use an architecture that is included in transformers."
        )


def _refuse_foreign_shards(folder: Path) -> None:
    """Require that all files of sharded weights are safetensors in the same folder."""
    for index in sorted(folder.glob("*.index.json")):
        shards = read_object(index).get("weight_map", {})
        names = set(shards.values()) if isinstance(shards, dict) else {shards}
        for name in sorted(map(str, names)):
            if not name.endswith(".safetensors") or Path(name).name != name:
                raise TargetUnavailable(
                    f"{index} names the weights {name!r}, but only safetensors files of the same "
                    "folder are loaded. Save the model as safetensors: "
                    "model.save_pretrained(FOLDER, safe_serialization=True)"
                )
