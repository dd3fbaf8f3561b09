"""Load the recommender that a TARGET string names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError, MissingDependency, TargetUnavailable
from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest
from auditkit.recommenders.pipeline.assemble import LoadedStage, assemble, resolve_prompt
from auditkit.recommenders.pipeline_file import read_pipeline
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.protocols import CAPABILITIES, Renders
from auditkit.recommenders.target_uri import (
    PIPELINE,
    Prefix,
    endpoints_of,
    recommender_of,
    split_prefix,
)
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
    "python:FILE.py:NAME",
    "pipeline:FILE.yaml",
    "baseline:popularity",
    "neutralized:TARGET",
    "instructed:TARGET",
    "canonical:TARGET",
    "snapped:TARGET",
    "reranked:LAMBDA:TARGET",
)


@dataclass(frozen=True, kw_only=True)
class LoadedRecommender:
    """A recommender, and its identity for the report.

    Attributes:
        verified: True only if the weights or the recorded responses were hashed.
        notes: shown in the report, such as "0 by construction".
        manifest: the parsed recommender.yaml; empty for a recommender without one.
        code: file and SHA-256 of the module of a Python callable; None for other recommenders.
        prompts: templates given by the user; None if the user gave none.
    """

    recommender: object
    kind: str
    fingerprint: str
    verified: bool
    notes: tuple[str, ...] = ()
    manifest: Mapping[str, JsonValue] = field(default_factory=dict)
    code: Mapping[str, JsonValue] | None = None
    prompts: Prompts | None = None


def load_recommender(
    target: str,
    *,
    dataset: Dataset | None,
    prompts: Path | None = None,
    allow_code: bool = False,
    connects: bool = True,
) -> LoadedRecommender:
    """Load the recommender of a TARGET.

    Args:
        target: a folder with recommender.yaml, `hf:FOLDER`, `openai:BASE_URL#MODEL`,
            `replay:FILE.jsonl`, `scores:FILE.npz`, `python:MODULE:NAME`, `python:FILE.py:NAME`,
            `pipeline:FILE.yaml`, `baseline:NAME`, the name of a model in `MODELS`, or `NAME:REST`
            of an installed adapter; each optionally after prefixes of `wrappers`, such as
            `neutralized:`, `canonical:`, `snapped:` and `reranked:LAMBDA:`.
        dataset: baselines are fitted on it, dual encoders rank its items, mitigations read its
            users; None is allowed if `needs_dataset` returns False.
        prompts: a template file for a recommender without its own templates.
        allow_code: whether `python:` may import and run code.
        connects: whether to send test requests to a server to detect its capabilities.

    Raises:
        TargetUnavailable: the target is unknown, files are missing, code is not allowed, or the
            first request to a server failed.
        MissingDependency: the extra for this kind of target is not installed.
        ConfigurationError: `prompts` is not a template file, or the recommender has its own
            templates.
    """
    loaded = _load(target, dataset, allow_code=allow_code, connects=connects)
    return loaded if prompts is None else _asked_in(prompts, loaded)


def _asked_in(path: Path, loaded: LoadedRecommender) -> LoadedRecommender:
    """Give a recommender the prompt templates of a file, which become part of its fingerprint."""
    if isinstance(loaded.recommender, Renders):
        raise ConfigurationError(
            f"--prompts {path}: this target has its own templates. Change the templates in the "
            "folder of the target; in a pipeline file, `prompt` names the templates of a stage."
        )
    prompts = Prompts.read(path)
    fingerprint = sha256_json([loaded.fingerprint, prompts.as_mapping()])
    return replace(loaded, prompts=prompts, fingerprint=fingerprint)


def _wrapped(
    prefix: Prefix, loaded: LoadedRecommender, dataset: Dataset | None
) -> LoadedRecommender:
    """Wrap a recommender; its other properties are unchanged."""
    from auditkit.recommenders.wrappers.wrap import wrap

    recommender, settings, note = wrap(prefix, loaded.recommender, _required(dataset, prefix.name))
    return replace(
        loaded,
        recommender=recommender,
        fingerprint=sha256_json([settings, loaded.fingerprint]),
        notes=(*loaded.notes, note),
    )


def needs_dataset(target: str) -> bool:
    """Whether loading TARGET needs a data set. Servers, recorded responses, score matrices, Python
    functions and language models need none.

    Raises:
        ConfigurationError: the recommender.yaml of the folder is invalid.
    """
    kind, _, rest = target.partition(":")
    if split_prefix(target) or kind in ("baseline", PIPELINE):
        return True
    if kind in _WITHOUT_DATA or target in MODELS:
        return False
    folder = Path(rest if kind == "hf" else target)
    if (folder / MANIFEST).is_file():
        return RecommenderManifest.read(folder).style == "embed"
    return any(entry.name == kind for entry in entry_points(group=ADAPTERS))


def _required(dataset: Dataset | None, what: str) -> Dataset:
    if dataset is None:
        raise TargetUnavailable(f"{what} needs the users and items of a data set. Pass a data set.")
    return dataset


def _load(
    target: str, dataset: Dataset | None, *, allow_code: bool, connects: bool
) -> LoadedRecommender:
    if prefix := split_prefix(target):
        inner = _load(prefix.target, dataset, allow_code=allow_code, connects=connects)
        return _wrapped(prefix, inner, dataset)
    kind, _, rest = target.partition(":")
    if kind == "baseline":
        from auditkit.recommenders.adapters.baselines import load_baseline

        return _hashed(load_baseline(rest, _required(dataset, target)), kind)
    if kind == "replay":
        from auditkit.recommenders.adapters.replay import ReplayRecommender

        return _hashed(ReplayRecommender(Path(rest)), kind)
    if kind == "scores":
        from auditkit.recommenders.adapters.score_matrix import load_scores

        matrix = load_scores(Path(rest))
        users = dataset.interactions.user_ids if dataset else ()
        return replace(_hashed(matrix, kind), notes=matrix.notes(users))
    if kind == "python":
        return _python(rest, allow_code=allow_code)
    if kind == "openai":
        return _endpoint(rest, connects=connects)
    if kind == PIPELINE:
        return _pipeline(Path(rest), dataset, allow_code=allow_code, connects=connects)
    if target in MODELS:
        return _folder(fetch_model(target), dataset)
    folder = Path(rest if kind == "hf" else target)
    if (folder / MANIFEST).is_file():
        return _folder(folder, dataset)
    if folder.is_dir():
        raise TargetUnavailable(
            f"{folder} contains no {MANIFEST}. Train with `auditkit train`, or write a {MANIFEST} "
            "for the weights."
        )
    if kind == "hf":
        raise TargetUnavailable(
            f"{rest} is not a folder. Models are never downloaded from a hub; give a local folder."
        )
    return _plugin(kind, rest, dataset)


def _pipeline(
    path: Path, dataset: Dataset | None, *, allow_code: bool, connects: bool
) -> LoadedRecommender:
    """Load the stages of a pipeline file; its fingerprint covers all of them, their templates, and
    names and numbers in the file.
    """
    data = _required(dataset, f"{PIPELINE}:{path}")
    if len(servers := endpoints_of(f"{PIPELINE}:{path}")) > 1:  # before any of them is called
        raise ConfigurationError(
            f"{path} has {len(servers)} openai: stages, but a pipeline can have only one server. "
            "Serve these stages behind one endpoint, or audit each in a separate pipeline."
        )
    loaded: list[LoadedRecommender] = []
    stages: list[LoadedStage] = []
    for entry in read_pipeline(path).stages:
        place = f"{path}: stage {entry.name!r}: "
        if recommender_of(entry.target).startswith(f"{PIPELINE}:"):
            raise ConfigurationError(
                f"{place}{entry.target} is a pipeline itself. Write its stages into this file, one "
                "after the other."
            )
        try:
            one = _load(entry.target, data, allow_code=allow_code, connects=connects)
        except (TargetUnavailable, ConfigurationError) as error:
            raise type(error)(f"{place}{error}") from None
        loaded.append(one)
        prompt = resolve_prompt(path, entry)
        stages.append(LoadedStage(entry, one.recommender, one.kind, one.fingerprint, prompt))
    pipeline, fingerprint = assemble(path, stages, data)
    named = [(stage.entry.name, one) for stage, one in zip(stages, loaded, strict=True)]
    return LoadedRecommender(
        recommender=pipeline,
        kind=f"{PIPELINE} of {', then '.join(one.kind for one in loaded)}",
        fingerprint=fingerprint,
        verified=all(one.verified for one in loaded),
        notes=(
            pipeline.summary,
            *(f"stage {name}: {note}" for name, one in named for note in one.notes),
        ),
        manifest=next(filter(None, (_trained_elsewhere(one, data) for one in loaded)), {}),
        code=next((one.code for one in loaded if one.code), None),
    )


def _trained_elsewhere(loaded: LoadedRecommender, dataset: Dataset) -> dict[str, JsonValue]:
    """Training record of a stage that was trained on data other than the audited data; its training
    data may contain held-out items.
    """
    training = loaded.manifest.get("training")
    declared = training.get("data_sha256") if isinstance(training, dict) else None
    return {"training": training} if declared not in (None, dataset.fingerprint) else {}


class _Identified(Protocol):
    def fingerprint(self) -> str: ...


def _hashed(recommender: _Identified, kind: str) -> LoadedRecommender:
    """Build the description of a recommender whose fingerprint covers all of its data."""
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
        "The weights of a remote model cannot be hashed: not verifiable.",
        *endpoint.notes_at_connection,
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
    """A recommender from an adapter of an installed package.

    The adapter is called with the text after the colon and the data set.
    """
    found = [entry for entry in entry_points(group=ADAPTERS) if entry.name == kind]
    if not found or not rest:
        raise TargetUnavailable(
            f"unknown target {kind + ':' + rest if rest else kind!r}. Give a folder with a "
            f"{MANIFEST}, {', '.join(MODELS)}, or one of {', '.join(KINDS)}."
        )
    if len(found) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in found))
        raise TargetUnavailable(
            f"{packages} both contain an adapter {kind!r}. Uninstall one of the packages."
        )
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
            f"the adapter {kind!r} of {_package(entry)} returned a {type(recommender).__name__}. "
            "An adapter must return an object with `name` and recommend() or another capability."
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
    """The cached folder of a model in `MODELS`; the model is downloaded if it is not cached.

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
            f"python:{path} runs code on this machine. Add --allow-code if you trust it."
        )
    from auditkit.recommenders.adapters.python_function import code_file, import_recommender

    recommender = import_recommender(path)
    code = code_file(path)
    own = getattr(recommender, "fingerprint", None)
    stated = own() if callable(own) else None
    return LoadedRecommender(
        recommender=recommender,
        kind="python",
        fingerprint=sha256_json(["python", path, code.sha256 if code else None, stated]),
        verified=False,
        notes=(
            *([f"The code is {code.path.name}, SHA-256 {code.sha256}."] if code else []),
            "Only the module of a Python callable is hashed, not the code that it calls: not "
            "verifiable.",
        ),
        code={"file": str(code.path.resolve()), "sha256": code.sha256} if code else None,
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
    notes = list(recommender.notes)
    if manifest.style == "rank":
        notes.append(
            "The model ranks item tokens: items outside its catalog and repeats are 0 by "
            "construction, which is not evidence of quality."
        )
    if named := foreign_base(folder, manifest):
        notes.append(
            f"The adapter was trained on {named!r} according to its configuration; check that the "
            f"weights in {MANIFEST} are the same model."
        )
    if fault := manifest.privacy_fault:
        notes.append(f"The privacy claim is invalid and is ignored: {fault}")
    return LoadedRecommender(
        recommender=recommender,
        kind=f"{manifest.kind}, style {manifest.style}",
        fingerprint=recommender.fingerprint(),
        verified=True,
        notes=tuple(notes),
        manifest=manifest.model_dump(mode="json", exclude_none=True),
    )
