"""From a TARGET string to a recommender."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError, MissingDependency, TargetUnavailable
from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.protocols import CAPABILITIES, Renders
from auditkit.recommenders.target_uri import Prefix, split_prefix
from auditkit.serialization.atomic_files import sha256_file
from auditkit.serialization.canonical_json import sha256_json

__all__ = ["MODELS", "LoadedRecommender", "fetch_model", "load_recommender", "needs_dataset"]

MODELS = ("smollm2",)
ADAPTERS = "auditkit.adapters"
_WITHOUT_DATA = ("openai", "replay", "scores", "python")
KINDS = (
    "openai:BASE_URL#MODEL",
    "replay:FILE.jsonl",
    "scores:FILE.npz",
    "python:MODULE:NAME",
    "baseline:popularity",
    "neutralized:TARGET",
    "instructed:TARGET",
    "reranked:LAMBDA:TARGET",
)


@dataclass(frozen=True, kw_only=True)
class LoadedRecommender:
    """A recommender with what the report says about its identity.

    Attributes:
        verified: True only where the weights or answers themselves were hashed.
        notes: what every reader must know, such as "0 by construction".
        manifest: the parsed recommender.yaml, empty for other kinds.
        prompts: templates that it is asked in, None for its own or the shipped ones.
    """

    recommender: object
    kind: str
    fingerprint: str
    verified: bool
    notes: tuple[str, ...] = ()
    manifest: Mapping[str, JsonValue] = field(default_factory=dict)
    prompts: Prompts | None = None


def load_recommender(
    target: str,
    *,
    dataset: Dataset | None,
    prompts: Path | None = None,
    allow_code: bool = False,
    connects: bool = True,
) -> LoadedRecommender:
    """Load what TARGET names.

    Args:
        target: a folder with recommender.yaml, `hf:FOLDER`, `openai:BASE_URL#MODEL`,
            `replay:FILE.jsonl`, `scores:FILE.npz`, `python:MODULE:NAME`, `baseline:NAME`, the name
            of a model in `MODELS`, or `NAME:REST` of an installed adapter; any of them behind
            `neutralized:`, `instructed:` or `reranked:LAMBDA:` (`wrapping`).
        dataset: baselines are fitted on it, dual encoders rank its items, mitigations read its
            users; None if `needs_dataset` says that the target needs none.
        prompts: a template file for a recommender that brings none.
        allow_code: whether `python:` may import and run code.
        connects: whether a server may be asked what it can do.

    Raises:
        TargetUnavailable: unknown form, missing files, code that was not allowed, or a server that
            refuses.
        MissingDependency: the extra for this kind of target is not installed.
        ConfigurationError: `prompts` is no template file, or the recommender brings templates.
    """
    loaded = _load(target, dataset, allow_code=allow_code, connects=connects)
    return loaded if prompts is None else _asked_in(prompts, loaded)


def _asked_in(path: Path, loaded: LoadedRecommender) -> LoadedRecommender:
    """The recommender asked in the templates of a file; other templates are another target."""
    if isinstance(loaded.recommender, Renders):
        raise ConfigurationError(
            f"--prompts {path}: this target brings its own templates. Change those of its folder."
        )
    prompts = Prompts.read(path)
    fingerprint = sha256_json([loaded.fingerprint, prompts.as_mapping()])
    return replace(loaded, prompts=prompts, fingerprint=fingerprint)


def _wrapped(
    prefix: Prefix, loaded: LoadedRecommender, dataset: Dataset | None
) -> LoadedRecommender:
    """A recommender behind a wrapper: everything else that is known of it stays true."""
    from auditkit.recommenders.wrappers.wrap import wrap

    recommender, settings, note = wrap(prefix, loaded.recommender, _required(dataset, prefix.name))
    return replace(
        loaded,
        recommender=recommender,
        fingerprint=sha256_json([settings, loaded.fingerprint]),
        notes=(*loaded.notes, note),
    )


def needs_dataset(target: str) -> bool:
    """Whether loading TARGET reads users or items: all but servers, recordings and language models.

    Raises:
        ConfigurationError: the folder's recommender.yaml is faulty.
    """
    kind, _, rest = target.partition(":")
    if split_prefix(target) or kind == "baseline":
        return True
    if kind in _WITHOUT_DATA or target in MODELS:
        return False
    folder = Path(rest if kind == "hf" else target)
    if (folder / MANIFEST).is_file():
        return RecommenderManifest.read(folder).style == "embed"
    return any(entry.name == kind for entry in entry_points(group=ADAPTERS))


def _required(dataset: Dataset | None, what: str) -> Dataset:
    if dataset is None:
        raise TargetUnavailable(f"{what} needs the users and items of a data set. Give one.")
    return dataset


def _load(
    target: str, dataset: Dataset | None, *, allow_code: bool, connects: bool
) -> LoadedRecommender:
    if prefix := split_prefix(target):
        behind = _load(prefix.target, dataset, allow_code=allow_code, connects=connects)
        return _wrapped(prefix, behind, dataset)
    kind, _, rest = target.partition(":")
    if kind == "baseline":
        from auditkit.recommenders.adapters.baselines import load_baseline

        return _hashed(load_baseline(rest, _required(dataset, target)), kind)
    if kind == "replay":
        from auditkit.recommenders.adapters.replay import ReplayRecommender

        return _hashed(ReplayRecommender(Path(rest)), kind)
    if kind == "scores":
        from auditkit.recommenders.adapters.score_matrix import ScoreMatrix

        return _hashed(ScoreMatrix(Path(rest)), kind)
    if kind == "python":
        return _python(rest, allow_code=allow_code)
    if kind == "openai":
        return _endpoint(rest, connects=connects)
    if target in MODELS:
        return _folder(fetch_model(target), dataset)
    folder = Path(rest if kind == "hf" else target)
    if (folder / MANIFEST).is_file():
        return _folder(folder, dataset)
    if folder.is_dir():
        raise TargetUnavailable(
            f"{folder} holds no {MANIFEST}. Train with `auditkit train`, or write one around the "
            "weights."
        )
    if kind == "hf":
        raise TargetUnavailable(
            f"{rest} is no folder. Nothing is downloaded from a model hub; give a local folder."
        )
    return _plugin(kind, rest, dataset)


class _Identified(Protocol):
    def fingerprint(self) -> str: ...


def _hashed(recommender: _Identified, kind: str) -> LoadedRecommender:
    """A recommender that is its file."""
    return LoadedRecommender(
        recommender=recommender, kind=kind, fingerprint=recommender.fingerprint(), verified=True
    )


def _endpoint(rest: str, *, connects: bool) -> LoadedRecommender:
    try:
        from auditkit.recommenders.remote.capability_check import connect
        from auditkit.recommenders.remote.openai_endpoint import Endpoint
    except ModuleNotFoundError as error:
        raise MissingDependency(
            str(error.name), extra="endpoint", purpose="An openai: target"
        ) from None
    endpoint = connect(rest) if connects else Endpoint(rest)
    notes = [
        "What stands behind the address is remote: not verifiable.",
        *endpoint.notes_on_scores,
    ]
    return LoadedRecommender(
        recommender=endpoint,
        kind="endpoint, chat" if endpoint.chat else "endpoint, completions",
        fingerprint=endpoint.fingerprint(),
        verified=False,
        notes=tuple(notes),
    )


def _plugin(kind: str, rest: str, dataset: Dataset | None) -> LoadedRecommender:
    """An adapter of an installed package: a callable of what follows the colon, and the data."""
    found = [entry for entry in entry_points(group=ADAPTERS) if entry.name == kind]
    if not found or not rest:
        raise TargetUnavailable(
            f"unknown target {kind + ':' + rest if rest else kind!r}. Give a folder with a "
            f"{MANIFEST}, {', '.join(MODELS)}, or one of {', '.join(KINDS)}."
        )
    if len(found) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in found))
        raise TargetUnavailable(f"{packages} both bring an adapter {kind!r}. Uninstall one.")
    (entry,) = found
    try:
        adapter = entry.load()
    except (ImportError, AttributeError) as error:
        raise TargetUnavailable(
            f"the adapter {kind!r} of {_package(entry)} cannot be loaded: {error}. Check its "
            "installation."
        ) from None
    recommender = adapter(rest, _required(dataset, f"the adapter {kind!r}"))
    if not isinstance(recommender, CAPABILITIES):
        raise TargetUnavailable(
            f"the adapter {kind!r} of {_package(entry)} gave a {type(recommender).__name__}. It "
            "must return an object with name and recommend(), or another capability."
        )
    own = getattr(recommender, "fingerprint", None)
    package = _package(entry)
    return LoadedRecommender(
        recommender=recommender,
        kind=kind,
        fingerprint=sha256_json([kind, rest, package, own() if callable(own) else None]),
        verified=False,
        notes=(f"Loaded by the adapter {kind!r} of {package}.",),
    )


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def fetch_model(name: str, *, source: Path | None = None) -> Path:
    """The cached folder of a model that needs no hub, fetched if it is not there yet.

    Raises:
        MissingDependency: the extra that runs models is not installed.
    """
    try:
        from auditkit.recommenders.adapters.smollm2 import get_smollm2
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="hf", purpose=f"The model {name}") from None
    return get_smollm2(source=source)


def _python(path: str, *, allow_code: bool) -> LoadedRecommender:
    if not allow_code:
        raise TargetUnavailable(
            f"python:{path} runs code of this machine. Add --allow-code if you trust it."
        )
    from auditkit.recommenders.adapters.python_function import import_recommender

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


def _folder(folder: Path, dataset: Dataset | None) -> LoadedRecommender:
    try:
        from auditkit.recommenders.adapters.model_folder import foreign_base, load_folder
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
    if named := foreign_base(folder, manifest):
        notes.append(
            f"Its adapter says that it was trained on {named!r} and was put on the weights that "
            f"{MANIFEST} names. Are they the same?"
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
