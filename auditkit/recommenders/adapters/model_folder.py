"""Load the model that `recommender.yaml` names, without running code from its folder.

Only safetensors are loaded, without remote code and network access. An adapter in the folder of the
weights is rejected, because transformers would load it automatically.
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
        dataset: the items that a dual encoder ranks; language models do not need it.

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
    """The model in float32 and evaluation mode; LoRA is merged, a soft prompt is kept separate."""
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
    """Name of the base model that an adapter was trained on, if it differs from the weights.

    Returns:
        The last part of the name; None without an adapter, or if it is the name of the weights'
        folder or the name in their configuration.
    """
    if manifest.adapter is None:
        return None
    weights = resolve_inside(folder, manifest.weights)
    named = _json(resolve_inside(folder, manifest.adapter) / "adapter_config.json")
    base = Path(str(named.get("base_model_name_or_path") or "")).name
    called = Path(str(_json(weights / "config.json").get("_name_or_path") or "")).name
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
    _refuse_foreign_shards(folder)
    if "auto_map" in _json(folder / "config.json"):
        config = folder / "config.json"
        raise TargetUnavailable(
            f"{config} has an auto_map: the model needs code from its folder, which auditkit "
            "never runs. "
            "Use an architecture that is included in transformers."
        )


def _refuse_foreign_shards(folder: Path) -> None:
    """Require that all files of sharded weights are safetensors in the same folder."""
    for index in sorted(folder.glob("*.index.json")):
        shards = _json(index).get("weight_map", {})
        names = set(shards.values()) if isinstance(shards, dict) else {shards}
        for name in sorted(map(str, names)):
            if not name.endswith(".safetensors") or Path(name).name != name:
                raise TargetUnavailable(
                    f"{index} names the weights {name!r}, but only safetensors files of the same "
                    "folder are loaded. Save the model as safetensors: "
                    "model.save_pretrained(FOLDER, safe_serialization=True)"
                )


def _json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file of a model folder; empty if the file does not exist."""
    if not path.is_file():
        return {}
    try:
        found = read_json(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        fault = "not a JSON object"
    except ValueError as error:
        fault = str(error)
    raise TargetUnavailable(f"{path} cannot be read ({fault}). Restore the file.")
