"""`recommender.yaml`: the seam between training and auditing.

Training writes it beside the weights; anybody can write it by hand around a Hugging Face folder.
Paths are relative to its own folder and may not leave it. Weights and adapters are safetensors
only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
)

from auditkit.errors import ConfigurationError
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = [
    "MANIFEST",
    "CatalogReference",
    "Decoding",
    "PrivacyClaim",
    "RecommenderManifest",
    "TrainingRecord",
]

MANIFEST = "recommender.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogReference(_Section):
    """The catalog that the recommender was built for; its overlap with the audit's catalog is
    checked.
    """

    name: str
    sha256: str | None = None


class Decoding(_Section):
    """How a list is made: whether items of the history are left out, the window of history that is
    read, what sampling keeps (`top_k` 0 and `top_p` 1 keep everything), and the beams of a text
    that is not sampled.
    """

    exclude_history: bool = True
    history_window: int = Field(default=50, ge=1)
    max_new_tokens: int = Field(default=256, ge=1)
    top_k: int = Field(default=0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    beams: int = Field(default=1, ge=1, le=64)


class TrainingRecord(_Section):
    """What training declares for later audits. `holdout_users` never entered training: the known
    non-members.
    """

    recipe: str
    seed: int
    data_sha256: str
    fit: Literal["all_but_test", "all_but_validation"]
    tie_seed: int
    holdout_users: list[str] = []
    objectives: dict[str, float] = {}
    steps: int
    parameters: int
    rows: dict[str, int] = {}


class PrivacyClaim(_Section):
    """A differential-privacy claim. A missing field makes the whole block unreadable: the claim
    then is none.
    """

    mechanism: Literal["dp_sgd"]
    claim: Literal["dp", "none"]
    epsilon: float
    epsilon_rdp: float
    delta: float
    unit: Literal["example", "user"]
    n_units: int
    adjacency: Literal["add_remove"]
    sampling: Literal["poisson"]
    sample_rate: float
    steps: int
    noise_multiplier: float
    clip_norm: float
    gradient_path: Literal["hooks", "fast", "ghost"]
    self_test: dict[str, float]
    noise_source: str
    accountant: str
    libraries: dict[str, str]
    not_covered: list[str]


class RecommenderManifest(_Section):
    """Everything an audit needs to load and ask a recommender."""

    version: Literal[1]
    name: str
    kind: Literal["causal", "seq2seq", "encoder"]
    style: Literal["rank", "generate", "pointwise", "embed"]
    weights: str = "."
    adapter: str | None = None
    tokenizer: str = "."
    prompt: str | None = None
    item_index: str | None = None
    catalog: CatalogReference | None = None
    decoding: Decoding = Decoding()
    scoring: Literal["mean", "sum"] = "mean"
    pooling: Literal["mean", "cls"] = "mean"
    training: TrainingRecord | None = None
    privacy: PrivacyClaim | None = None
    _privacy_fault: str | None = PrivateAttr(default=None)

    @property
    def privacy_fault(self) -> str | None:
        """Why the file's privacy block is no claim; None where it is one or there is none."""
        return self._privacy_fault

    @classmethod
    def read(cls, folder: Path) -> RecommenderManifest:
        """Read the file of a model folder.

        Raises:
            ConfigurationError: missing file, wrong key or value (all at once), or a path that
                leaves the folder.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise ConfigurationError(
                f"{path} does not exist. Give a folder that holds a {MANIFEST}."
            )
        document = load_yaml(path)
        fault = _take_out_unreadable_claim(document.data)
        manifest = validate(document, TypeAdapter(cls))
        manifest._privacy_fault = fault
        if (manifest.kind == "encoder") != (manifest.style == "embed"):
            raise ConfigurationError(
                f"{path} joins kind '{manifest.kind}' with style '{manifest.style}'. Style 'embed' "
                "belongs to kind 'encoder' and to no other."
            )
        for name in ("weights", "tokenizer", "adapter", "prompt", "item_index"):
            value = getattr(manifest, name)
            if value is not None:
                resolve_inside(folder, value)
        return manifest

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        fields: JsonValue = self.model_dump(mode="json", exclude_none=True)
        write_atomically(
            folder / MANIFEST, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
        )


def _take_out_unreadable_claim(fields: Any) -> str | None:
    """Remove a `privacy` block that is not a whole claim; returns what is wrong with it."""
    if not isinstance(fields, dict) or fields.get("privacy") is None:
        return None
    try:
        PrivacyClaim.model_validate_json(json.dumps(fields["privacy"]), strict=True)
    except ValidationError as error:
        del fields["privacy"]
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return None


def resolve_inside(folder: Path, relative: str) -> Path:
    """The path of a manifest entry.

    Raises:
        ConfigurationError: the resolved path lies outside the folder or does not exist.
    """
    root = folder.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise ConfigurationError(
            f"{folder / MANIFEST} names {path}, which lies outside the folder. Copy it inside."
        )
    if not path.exists():
        raise ConfigurationError(
            f"{folder / MANIFEST} names {path}, which does not exist. Correct the entry."
        )
    return path
