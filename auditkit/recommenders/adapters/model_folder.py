"""Model folders: load what `recommender.yaml` names, without running anything from the folder.

Safetensors only, no remote code, nothing from the network; an adapter hidden beside the weights is
refused, for transformers would load it unasked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
)

from auditkit.catalog.dataset import Dataset
from auditkit.errors import AuditkitError, TargetUnavailable
from auditkit.recommenders.adapters.dual_encoder import DualEncoder
from auditkit.recommenders.adapters.language_model import LanguageModel
from auditkit.recommenders.adapters.list_recommender import LanguageModelRecommender
from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest, resolve_inside
from auditkit.serialization.canonical_json import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

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
        dataset: its items are what a dual encoder ranks; language models need none.

    Raises:
        TargetUnavailable: pickled weights, remote code, or files that transformers cannot read.
    """
    manifest = RecommenderManifest.read(folder)
    model = _load_model(folder, manifest)
    try:
        tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(
            resolve_inside(folder, manifest.tokenizer),
            trust_remote_code=False,
            local_files_only=True,
        )
        if manifest.kind != "encoder":
            pointwise = manifest.style == "pointwise"
            chosen = LanguageModel if pointwise else LanguageModelRecommender
            return chosen(folder, manifest, model, tokenizer)
        if dataset is None:
            raise TargetUnavailable(
                f"{folder} is an encoder, which ranks the items of a data set. Give the data set."
            )
        return DualEncoder(folder, manifest, model, tokenizer, dataset.catalog.items)
    except AuditkitError:
        raise
    except (OSError, ValueError) as error:
        raise TargetUnavailable(f"the tokenizer of {folder} cannot be loaded: {error}.") from None


def _load_model(folder: Path, manifest: RecommenderManifest) -> PreTrainedModel:
    """The model in float32 and evaluation mode; LoRA is merged, a soft prompt stays."""
    weights = resolve_inside(folder, manifest.weights)
    adapter = resolve_inside(folder, manifest.adapter) if manifest.adapter else None
    _refuse_unsafe(weights, "*.safetensors")
    _refuse_hidden_adapter(weights)
    if adapter:
        _refuse_unsafe(adapter, "adapter_model.safetensors")
    try:
        model = _LOADERS[manifest.kind].from_pretrained(
            weights,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
        )
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter, local_files_only=True)
            if not model.active_peft_config.is_prompt_learning:
                model = model.merge_and_unload()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise TargetUnavailable(
            f"{folder} cannot be loaded: {error}. Check the files that recommender.yaml names."
        ) from None
    return model.eval()


def foreign_base(folder: Path, manifest: RecommenderManifest) -> str | None:
    """The last part of the base's name that an adapter was trained on, where it is neither the name
    of the weights' folder nor what their configuration calls them.
    """
    if manifest.adapter is None:
        return None
    weights = resolve_inside(folder, manifest.weights)
    named = _json(resolve_inside(folder, manifest.adapter) / "adapter_config.json")
    base = Path(str(named.get("base_model_name_or_path") or "")).name
    called = Path(str(_json(weights / "config.json").get("_name_or_path") or "")).name
    return base if base and base not in (weights.name, called) else None


def _refuse_hidden_adapter(weights: Path) -> None:
    """An adapter among the weights: transformers would load it unasked, a pickled one too, over
    whatever base model it names.
    """
    if (weights / "adapter_config.json").exists():
        raise TargetUnavailable(
            f"{weights} holds adapter_config.json beside the weights. Move the adapter into a "
            f"folder of its own and name it as `adapter` in {MANIFEST}."
        )


def _refuse_unsafe(folder: Path, wanted: str) -> None:
    if not any(path.is_file() for path in folder.glob(wanted)):
        pickles = [p.name for pattern in _PICKLES for p in sorted(folder.glob(pattern))]
        found = f" It holds {pickles[0]}, a pickle that can run code." if pickles else ""
        raise TargetUnavailable(
            f"{folder} holds no {wanted}.{found} "
            "Convert with: model.save_pretrained(FOLDER, safe_serialization=True)"
        )
    _refuse_foreign_shards(folder)
    if "auto_map" in _json(folder / "config.json"):
        config = folder / "config.json"
        raise TargetUnavailable(
            f"{config} has an auto_map: the model needs code from its folder, which auditkit "
            "never runs. "
            "Use an architecture that transformers ships."
        )


def _refuse_foreign_shards(folder: Path) -> None:
    """Weights in several files: every one safetensors, and in this very folder."""
    for index in sorted(folder.glob("*.index.json")):
        shards = _json(index).get("weight_map", {})
        names = set(shards.values()) if isinstance(shards, dict) else {shards}
        for name in sorted(map(str, names)):
            if not name.endswith(".safetensors") or Path(name).name != name:
                raise TargetUnavailable(
                    f"{index} names the weights {name!r}. Only safetensors files beside it are "
                    "loaded. Convert with: model.save_pretrained(FOLDER, safe_serialization=True)"
                )


def _json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        found = read_json(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        fault = "no object"
    except ValueError as error:
        fault = str(error)
    raise TargetUnavailable(f"{path} cannot be read ({fault}). Restore the file.")
