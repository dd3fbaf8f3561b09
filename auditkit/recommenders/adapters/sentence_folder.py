"""Read how a sentence-transformers folder computes vectors from the outputs of its model.

`modules.json` lists the steps after the transformer: pooling, linear layers, normalization. Other
files contain the prompts before a text and the largest length. A folder with a step that auditkit
does not support is rejected, because its vectors would be wrong.

Source: the folders of sentence-transformers 2 to 6 (docs/how-to/recommender-yaml.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from auditkit.engine.embedding import POOLINGS, unit_length
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.file_checks import library_errors, read_object, require_readable
from auditkit.recommenders.adapters.manifest import RecommenderManifest

__all__ = ["SentencePipeline", "read_pipeline"]

_MODULES = "modules.json"
_OTHER_PROMPTS = ("passage", "corpus")
_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.linear.Identity": lambda x: x,
}
Layer = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class SentencePipeline:
    """How the texts of a dual encoder become vectors.

    Attributes:
        pooling: key of `POOLINGS`.
        user_prompt, item_prompt: prefix of the text of a user, and of the title of an item.
        longest: largest number of tokens of a text; None if only the model sets a limit.
        lower_case: whether texts are converted to lower case first.
        layers: functions applied to the pooled vectors [n, width], in order.
        notes: notes on the files, for the report.
    """

    pooling: str = "mean"
    user_prompt: str = ""
    item_prompt: str = ""
    longest: int | None = None
    lower_case: bool = False
    layers: tuple[Layer, ...] = (unit_length,)
    notes: tuple[str, ...] = ()


def read_pipeline(
    weights: Path, manifest: RecommenderManifest, *, device: torch.device
) -> SentencePipeline:
    """Read the encoding steps of a folder; a plain transformer gets mean pooling and unit length.

    Args:
        weights: folder with config.json.
        manifest: may set the pooling and the prompts.

    Raises:
        TargetUnavailable: auditkit does not support a step or the similarity, or the pooling
            contradicts `recommender.yaml`.
    """
    if not (weights / _MODULES).is_file():
        return SentencePipeline(
            manifest.pooling or "mean", manifest.user_prompt or "", manifest.item_prompt or ""
        )
    found = SentencePipeline(layers=())
    for module in read_object(weights / _MODULES, of=list):
        kind = str(module.get("type", "")).rpartition(".")[2]
        folder = weights / str(module.get("path", ""))
        if kind == "Pooling":
            found = replace(found, pooling=_pooling(folder / "config.json"))
        elif kind == "Dense":
            found = replace(found, layers=(*found.layers, _dense(folder, device)))
        elif kind == "Normalize":
            found = replace(found, layers=(*found.layers, unit_length))
        elif kind != "Transformer":
            raise _refused(weights / _MODULES, f"has a step {kind!r}")
    if manifest.pooling not in (None, found.pooling):
        raise TargetUnavailable(
            f"recommender.yaml says pooling {manifest.pooling!r}, but {weights / _MODULES} pools "
            f"by {found.pooling!r}. Remove `pooling` from recommender.yaml, or correct it."
        )
    return _with_texts(weights, found, manifest)


def _with_texts(
    weights: Path, found: SentencePipeline, manifest: RecommenderManifest
) -> SentencePipeline:
    """Add similarity, prompts, length and case, which are in separate files."""
    file = weights / "config_sentence_transformers.json"
    settings = read_object(file)
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity == "cosine":
        found = replace(found, layers=(*found.layers, unit_length))
    elif similarity != "dot":
        raise _refused(file, f"compares vectors by {similarity!r}")
    prompts = {name: str(text) for name, text in (settings.get("prompts") or {}).items()}
    user, item = manifest.user_prompt, manifest.item_prompt
    user = prompts.get("query", "") if user is None else user
    notes = [f"Vectors follow {_MODULES}: pooling by {found.pooling}, similarity by {similarity}."]
    if item is None:
        item = prompts.get("document", "")
        unused = [name for name in _OTHER_PROMPTS if prompts.get(name)]
        if unused and not item:
            notes.append(
                "Titles get no prompt, as with encode_document of sentence-transformers. If your "
                f"server uses the prompt {unused[0]!r}, set `item_prompt` in recommender.yaml."
            )
    if user or item:
        notes.append(
            f"The prompt {user!r} precedes the texts of users, and {item!r} precedes the titles."
        )
    limits = [read_object(path) for path in sorted(weights.glob("sentence_*_config.json"))]
    longest = [int(fields["max_seq_length"]) for fields in limits if fields.get("max_seq_length")]
    return replace(
        found,
        user_prompt=user,
        item_prompt=item,
        longest=min(longest, default=None),
        lower_case=any(fields.get("do_lower_case") for fields in limits),
        notes=tuple(notes),
    )


def _pooling(file: Path) -> str:
    """Read the pooling of a folder, which is one name since release 6 and was one flag per kind
    before.
    """
    fields = read_object(file)
    if fields.get("include_prompt", True) is not True:
        raise _refused(file, "excludes the prompt from its pooling")
    named = fields.get("pooling_mode")
    if named is None:
        flags = [
            name for name, value in fields.items() if name.startswith("pooling_mode_") and value
        ]
        named = [
            name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
            for name in flags
        ]
    names = [named] if isinstance(named, str) else list(named)
    if len(names) != 1 or names[0] not in POOLINGS:
        raise _refused(
            file, f"pools by {' and '.join(map(str, names))}" if names else "has no pooling mode"
        )
    return str(names[0])


def _dense(folder: Path, device: torch.device) -> Layer:
    """A linear layer with its activation."""
    file, weights = folder / "config.json", folder / "model.safetensors"
    fields = read_object(file)
    activation = _ACTIVATIONS.get(str(fields.get("activation_function")))
    moved = [
        fields.get(f"module_{end}_name", "sentence_embedding") != "sentence_embedding"
        for end in ("input", "output")
    ]
    if activation is None or fields.get("use_residual") or any(moved):
        raise _refused(file, "has a linear layer of another form")
    if not weights.is_file():
        raise TargetUnavailable(
            f"{folder} has no model.safetensors. Save the model again with "
            "SentenceTransformer.save_pretrained(FOLDER, safe_serialization=True)."
        )
    require_readable(folder)
    with library_errors(weights, "Save the model again."):
        tensors = {name: value.float().to(device) for name, value in load_file(weights).items()}
    return partial(_linear, tensors=tensors, activation=activation)


def _linear(
    pooled: torch.Tensor, *, tensors: Mapping[str, torch.Tensor], activation: Layer
) -> torch.Tensor:
    layer = torch.nn.functional.linear
    return activation(layer(pooled, tensors["linear.weight"], tensors.get("linear.bias")))


def _refused(file: Path, what: str) -> TargetUnavailable:
    return TargetUnavailable(
        f"{file} {what}, which auditkit does not support. Serve the recommender and audit the "
        "server, or wrap it as a python: target."
    )
