"""`recommender.yaml`: the manifest of a model folder, which audits read.

Training writes it into the folder of the weights; for another Hugging Face model it is written by
hand. Paths are relative to its folder and must not leave it. Weights and adapters must be
safetensors.
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
    "CanaryRecord",
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
    """The catalog that the recommender was built for, used to check its overlap with the audit's
    catalog.
    """

    name: str
    sha256: str | None = None


class Decoding(_Section):
    """Settings for generating a list.

    Attributes:
        exclude_history: whether items of the history are excluded.
        history_window: number of latest history items in a prompt.
        max_new_tokens: maximum number of tokens of a generated list.
        top_k, top_p: sampling filters; 0 and 1 disable them.
        beams: number of beams of beam search, used at temperature 0.
    """

    exclude_history: bool = True
    history_window: int = Field(default=50, ge=1)
    max_new_tokens: int = Field(default=256, ge=1)
    top_k: int = Field(default=0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    beams: int = Field(default=1, ge=1, le=64)


class CanaryRecord(_Section):
    """Canaries in the training data. Each of `count` canaries was included with probability 1/2,
    and then `repeats` times. `file_sha256` is the hash of the private file that lists the included
    canaries.
    """

    count: int
    repeats: int
    length: int
    unit: Literal["user"]
    file_sha256: str


class TrainingRecord(_Section):
    """Facts about the training that audits need. `holdout_users` are the known non-members, whose
    data were never trained on.
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
    canaries: CanaryRecord | None = None


class PrivacyClaim(_Section):
    """A differential-privacy claim. If a field is missing or invalid, the `privacy` block is
    ignored and the claim is `none`.

    Attributes:
        reason: why the claim is `none`.
        unit: what is protected: one training row, all rows of one user, or all rows of one client
            of a federated training.
        records_per_unit: largest number of records of one unit in a training step or round.
        gradient_path: source of the per-example gradients.
        self_test: errors of additivity and sensitivity that the privacy self-test measured.
        not_covered: what the claim does not protect.
    """

    mechanism: Literal["dp_sgd", "dp_fedavg", "gaussian_transitions"]
    claim: Literal["dp", "none"]
    reason: str | None = None
    epsilon: float
    epsilon_rdp: float
    delta: float
    unit: Literal["example", "user", "client"]
    n_units: int
    records_per_unit: int
    adjacency: Literal["add_remove"]
    sampling: Literal["poisson", "all"]
    sample_rate: float
    steps: int
    noise_multiplier: float
    clip_norm: float
    gradient_path: Literal["hooks", "fast", "ghost", "none"]
    self_test: dict[str, float]
    noise_source: str
    accountant: str
    libraries: dict[str, str]
    not_covered: list[str]


class RecommenderManifest(_Section):
    """Everything that an audit needs to load and call a recommender."""

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
    pooling: Literal["mean", "cls", "max", "lasttoken"] | None = None
    user_prompt: str | None = None
    item_prompt: str | None = None
    training: TrainingRecord | None = None
    privacy: PrivacyClaim | None = None
    _privacy_fault: str | None = PrivateAttr(default=None)

    @property
    def privacy_fault(self) -> str | None:
        """Why the `privacy` block of the file is invalid; None if it is valid or missing."""
        return self._privacy_fault

    @classmethod
    def read(cls, folder: Path) -> RecommenderManifest:
        """Read the `recommender.yaml` of a model folder.

        Raises:
            ConfigurationError: the file is missing, has invalid keys or values (all are listed), or
                names a path outside the folder.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise ConfigurationError(
                f"{path} does not exist. Give a folder that contains a {MANIFEST}."
            )
        document = load_yaml(path)
        fault = _take_out_unreadable_claim(document.data)
        manifest = validate(document, TypeAdapter(cls))
        manifest._privacy_fault = fault
        if (manifest.kind == "encoder") != (manifest.style == "embed"):
            raise ConfigurationError(
                f"{path} combines kind '{manifest.kind}' with style '{manifest.style}'. Style "
                "'embed' and kind 'encoder' must be used together."
            )
        for name in ("weights", "tokenizer", "adapter", "prompt", "item_index"):
            value = getattr(manifest, name)
            if value is not None:
                resolve_inside(folder, value)
        return manifest

    def write(self, folder: Path) -> None:
        """Write `recommender.yaml` into the folder, atomically."""
        fields: JsonValue = self.model_dump(mode="json", exclude_none=True)
        write_atomically(
            folder / MANIFEST, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
        )


def _take_out_unreadable_claim(fields: Any) -> str | None:
    """Remove an invalid `privacy` block from the fields; return its error, or None if it is
    valid.
    """
    if not isinstance(fields, dict) or fields.get("privacy") is None:
        return None
    try:
        PrivacyClaim.model_validate_json(json.dumps(fields["privacy"]), strict=True)
    except ValidationError as error:
        del fields["privacy"]
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return None


def resolve_inside(folder: Path, relative: str) -> Path:
    """Resolve a path in the manifest, which is relative to the folder.

    Raises:
        ConfigurationError: the resolved path is outside the folder or does not exist.
    """
    root = folder.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise ConfigurationError(
            f"{folder / MANIFEST} names {path}, which is outside the folder. Copy the file into "
            "the folder."
        )
    if not path.exists():
        raise ConfigurationError(
            f"{folder / MANIFEST} names {path}, which does not exist. Correct the entry."
        )
    return path
