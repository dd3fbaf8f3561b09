"""Run an audit: validate, ask, measure, record. A probe that crashes is an outcome, never the end
of the audit.

The result is a pure function of recipe, target, catalog, data and seed; clock times go to
`manifest.json` only. The report is rendered by the caller, so that this module needs no jinja2.
"""

from __future__ import annotations

import platform
import re
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from auditkit.canonical import set_aside, sha256_json
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets import get_dataset
from auditkit.catalog.ml100k import load_ml100k
from auditkit.catalog.normalise import full_key
from auditkit.catalog.self_check import self_check
from auditkit.errors import CatalogError, ConfigurationError, EvidenceError, MissingDependency
from auditkit.probes.base import Context, NotAssessable, load_users
from auditkit.probes.claims import self_check as claims_self_check
from auditkit.recipe import AuditRecipe
from auditkit.recommenders.cache import AnswerCache
from auditkit.recommenders.load import LoadedRecommender, load_recommender
from auditkit.recommenders.target import Target
from auditkit.registry import probe_spec
from auditkit.run_manifest import MANIFEST, read_manifest, seal_manifest
from auditkit.runlog import RunLog, lock_run
from auditkit.types import (
    SCHEMA_VERSION,
    AuditResult,
    Detector,
    Finding,
    Outcome,
    TargetDescription,
)

__all__ = ["Progress", "load_data", "run_audit", "set_aside_other_run"]

_PACKAGES = (
    "auditkit",
    "numpy",
    "scipy",
    "torch",
    "transformers",
    "captum",
    "fairlearn",
    "textattack",
    "opacus",
)
_MAX_REASON = 300
_MIN_OVERLAP, _MIN_AGREEMENT = 0.50, 0.95


@dataclass(frozen=True)
class Progress:
    """Callbacks for a progress display; the defaults show nothing."""

    probe: Callable[[str, int, int], None] = lambda probe_id, number, of: None
    requests: Callable[[int], None] = lambda done: None


def load_data(recipe: AuditRecipe, *, catalog: str | None = None) -> tuple[Dataset, Catalog]:
    """The users' histories and the catalog that judges the answers.

    Args:
        catalog: overrides the recipe's; both default to the data set's own catalog.

    Raises:
        CatalogError: data or catalog are absent or damaged.
    """
    dataset = load_ml100k(get_dataset(recipe.data))
    source = catalog or recipe.catalog
    if source in (None, recipe.data):
        return dataset, dataset.catalog
    chosen = Catalog.load(str(source))
    _check_same_items(dataset, chosen)
    return dataset, chosen


def _check_same_items(dataset: Dataset, catalog: Catalog) -> None:
    """A catalog judges these users only if its ids mean the same items.

    Raises:
        CatalogError: under half of the data set's ids are in it, or shared ids name other titles.
    """
    own = dataset.catalog
    shared = [item for item in own.items if item.id in catalog.index]
    same = [item for item in shared if full_key(item.title) == full_key(catalog[item.id].title)]
    if len(shared) < _MIN_OVERLAP * len(own) or len(same) < _MIN_AGREEMENT * len(shared):
        raise CatalogError(
            f"catalog {catalog.name} holds {len(shared)} of the {len(own)} item ids of "
            f"{own.name}, {len(same)} with the same title. Give a catalog that uses its ids."
        )


def run_audit(
    target: str,
    recipe: AuditRecipe,
    out: Path,
    *,
    catalog: str | None = None,
    allow_code: bool = False,
    resume: bool = True,
    cache: Path | None = None,
    progress: Progress = Progress(),
) -> AuditResult:
    """Audit a recommender into a run folder, or go on where an interrupted run stopped.

    Args:
        target: see `load_recommender`.
        out: the run folder; `result.json`, `evidence.jsonl` and `manifest.json` are written into
            it.
        resume: whether an unfinished run of the same recipe and target may be continued.
        cache: folder of answers that outlive the run.

    Raises:
        AuditkitError: nothing could be asked: wrong recipe, unknown target, missing data, or a
            folder that belongs to another run.
    """
    dataset, chosen = load_data(recipe, catalog=catalog)
    loaded = load_recommender(target, dataset=dataset, allow_code=allow_code)
    identity = _identity(recipe, loaded, chosen, dataset)
    run_key = sha256_json(identity)
    with lock_run(out):
        _refuse_other_run(out, identity, run_key, resume=resume)
        started, cpu_started = time.time(), time.process_time()
        log = RunLog(out, run_key)  # first: it cuts off a torn tail, which the manifest refuses
        seal_manifest(out, run_key=run_key, status="running", fingerprints=identity, log=log)
        already = len(log.records)
        status: Literal["complete", "interrupted"] = "interrupted"
        try:
            asked = Target(
                loaded.recommender,
                catalog=chosen,
                log=log,
                seed=recipe.seed,
                fingerprint=loaded.fingerprint,
                cache=AnswerCache(cache, loaded.fingerprint),
                batch_size=recipe.batch_size,
                on_progress=progress.requests,
            )
            outcomes, findings = _run_probes(recipe, asked, dataset, loaded, progress)
            result = AuditResult(
                run_key=run_key,
                seed=recipe.seed,
                target=_describe(target, loaded, asked),
                catalog=_describe_catalog(chosen, dataset),
                recipe=recipe.model_dump(mode="json"),
                environment=_environment(),
                outcomes=tuple(outcomes),
                findings=tuple(findings),
                detectors=_detectors(recipe, asked, chosen),
                notes=loaded.notes,
            )
            result.write(out)
            status = "complete"
        finally:
            log.close()
            volatile: dict[str, JsonValue] = {
                "seconds": round(time.time() - started, 2),
                "cpu_seconds": round(time.process_time() - cpu_started, 2),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "asked": len(log.records) - already,
                "resumed_from": already,
                "host": platform.node(),
            }
            seal_manifest(out, status=status, volatile=volatile, log=log)
    return result


def set_aside_other_run(target: str, recipe: AuditRecipe, out: Path) -> Path | None:
    """Rename a run folder that belongs to another model, recipe or version.

    Returns:
        Where it is kept now; None where `out` is free or belongs to this very run.
    """
    if not (out / MANIFEST).is_file():
        return None
    dataset, catalog = load_data(recipe)
    loaded = load_recommender(target, dataset=dataset)
    run_key = sha256_json(_identity(recipe, loaded, catalog, dataset))
    if read_manifest(out).get("run_key") == run_key:
        return None
    return set_aside(out)


def _run_probes(
    recipe: AuditRecipe,
    target: Target,
    dataset: Dataset,
    loaded: LoadedRecommender,
    progress: Progress,
) -> tuple[list[Outcome], list[Finding]]:
    outcomes: list[Outcome] = []
    findings: list[Finding] = []
    users = load_users(dataset)
    for number, probe_id in enumerate(recipe.probes, start=1):
        progress.probe(probe_id, number, len(recipe.probes))
        bound = target.for_probe(probe_spec(probe_id))
        context = Context(dataset, recipe.seed, probe_id, loaded.manifest, users)
        outcome, measured = _run_probe(recipe, probe_id, bound, context)
        counts = bound.status_counts()
        outcomes.append(replace(outcome, planned=sum(counts.values()), counts=counts))
        findings += measured
    return outcomes, findings


def _run_probe(
    recipe: AuditRecipe, probe_id: str, target: Target, context: Context
) -> tuple[Outcome, list[Finding]]:
    """One probe: skipped with its reason, crashed with its traceback, or ran."""
    try:
        probe = recipe.build(probe_id)
        lacking = [
            kind.__name__ for kind in probe.needs if not isinstance(target.recommender, kind)
        ]
        if lacking:
            return Outcome(
                probe=probe_id, status="skipped", reason=f"needs {', '.join(lacking)}"
            ), []
        return Outcome(probe=probe_id, status="ran"), list(probe.run(target, context))
    except EvidenceError:
        raise  # answers can no longer be recorded: nothing measured from here on would count
    except NotAssessable as why:
        return Outcome(probe=probe_id, status="skipped", reason=str(why)), []
    except MissingDependency as error:
        return Outcome(probe=probe_id, status="skipped", reason=str(error)), []
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_REASON]
        return Outcome(
            probe=probe_id, status="error", reason=reason, traceback=_traceback(error)
        ), []


def _traceback(error: Exception) -> str:
    """The traceback with paths shortened to the package, so that equal crashes give equal bytes."""
    text = "".join(traceback.format_exception(error))
    root = re.escape(str(Path(__file__).resolve().parent.parent))
    return re.sub(rf'"(?:{root}/|[^"]*/site-packages/|[^"]*/lib/python[^/"]*/)', '"', text)


def _identity(
    recipe: AuditRecipe, loaded: LoadedRecommender, catalog: Catalog, dataset: Dataset
) -> dict[str, JsonValue]:
    """What makes a run this run: change any of it and it is another."""
    return {
        "recipe": sha256_json(recipe.model_dump(mode="json")),
        "target": loaded.fingerprint,
        "catalog": catalog.fingerprint,
        "data": dataset.fingerprint,
        "seed": recipe.seed,
        "version": ".".join(version("auditkit").split(".")[:2]),
        "schema_version": SCHEMA_VERSION,
    }


def _refuse_other_run(
    out: Path, identity: Mapping[str, Any], run_key: str, *, resume: bool
) -> None:
    if not (out / MANIFEST).is_file():
        return
    manifest = read_manifest(out)
    if manifest.get("run_key") != run_key:
        before = manifest.get("fingerprints", {})
        changed = [name for name, value in identity.items() if before.get(name) != value]
        raise ConfigurationError(
            f"{out} holds another run: {', '.join(changed) or 'its identity'} changed. "
            "Give another --out folder; runs are never mixed."
        )
    if not resume:
        raise ConfigurationError(
            f"{out} holds this run already. Leave out --no-resume, or give another --out folder."
        )


def _describe(target: str, loaded: LoadedRecommender, asked: Target) -> TargetDescription:
    return TargetDescription(
        name=getattr(loaded.recommender, "name", target),
        kind=loaded.kind,
        fingerprint=loaded.fingerprint,
        verified=loaded.verified,
        capabilities=asked.capabilities,
        notes=loaded.notes,
        manifest=loaded.manifest,
    )


def _describe_catalog(catalog: Catalog, dataset: Dataset) -> dict[str, JsonValue]:
    overlap = sum(item.id in catalog.index for item in dataset.catalog.items) / len(
        dataset.catalog.items
    )
    interactions = dataset.interactions
    return {
        "name": catalog.name,
        "sha256": catalog.fingerprint,
        "items": len(catalog.items),
        "triples": len(catalog.graph),
        "overlap": overlap,
        "users": len(interactions.user_ids),
        "interactions": len(interactions),
        "tie_rule": f"same-second ties broken by a random draw with seed {interactions.tie_seed}",
        "tied_last_share": interactions.tied_last_share,
    }


def _detectors(recipe: AuditRecipe, target: Target, catalog: Catalog) -> tuple[Detector, ...]:
    """What decides something in this audit, with its own error rates."""
    linker = _linker_detector(catalog, recipe.seed)
    if "hallucination.claims" not in recipe.probes:
        return (linker,)
    form = target.prompts.description
    return (linker, claims_self_check(catalog, form=form, seed=recipe.seed))


def _linker_detector(catalog: Catalog, seed: int) -> Detector:
    sensitivity, specificity = self_check(catalog, seed=seed)
    return Detector(
        name="title linker",
        sensitivity=sensitivity,
        specificity=specificity,
        method="catalog titles in four written forms must be found; the same titles, taken out "
        "of the index, refused",
    )


def _environment() -> dict[str, str]:
    """Versions only: nothing that differs between two runs on one machine."""
    found = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
