"""Provenance of a result: recommender, catalog, detectors, notes and package versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import JsonValue

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.quality.linker_evaluation import self_check
from auditkit.catalog.quality.measured_quality import measured_quality
from auditkit.evidence.cut_prompts import cut_prompts
from auditkit.evidence.failures import (
    commonest_error,
    reasoning_removed,
    same_at_any_temperature,
    truncated_lists,
)
from auditkit.privacy.measured_detectors import measured_detectors
from auditkit.probes.fairness.words.tone import measured_tone
from auditkit.probes.hallucination.claims import self_check as claims_self_check
from auditkit.recommenders.execution.score_recheck import BOUND, largest_difference
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import RunNotes, Works
from auditkit.run.recipe import AuditRecipe
from auditkit.types import Detector, TargetDescription

__all__ = [
    "describe_catalog",
    "describe_target",
    "detectors",
    "environment",
    "notes_on_responses",
    "run_notes_of",
    "scores_checked",
    "work_of",
]

_PACKAGES = (
    "auditkit",
    "numpy",
    "scipy",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "captum",
    "fairlearn",
    "textattack",
    "opacus",
)


def describe_target(target: str, loaded: LoadedRecommender, asked: Target) -> TargetDescription:
    """Describe the audited recommender: name, adapter, capabilities and fingerprint."""
    return TargetDescription(
        name=getattr(loaded.recommender, "name", target),
        kind=loaded.kind,
        fingerprint=loaded.fingerprint,
        verified=loaded.verified,
        capabilities=asked.capabilities,
        notes=loaded.notes,
        manifest=loaded.manifest,
    )


def describe_catalog(catalog: Catalog, dataset: Dataset) -> dict[str, JsonValue]:
    """Describe the catalog of the audit and its overlap with the histories."""
    overlap = sum(item.id in catalog.index for item in dataset.catalog.items) / len(
        dataset.catalog.items
    )
    interactions = dataset.interactions
    cuts = interactions.cuts
    return {
        "name": catalog.name,
        "sha256": catalog.fingerprint,
        "items": len(catalog.items),
        "triples": len(catalog.graph),
        "predicates": ", ".join(f"{name} ({w})" for name, w in catalog.graph.worlds.items()),
        "overlap": overlap,
        "data_sha256": dataset.fingerprint,
        "users": len(interactions.user_ids),
        "interactions": len(interactions),
        "tie_rule": f"same-second ties broken by a random draw with seed {interactions.tie_seed}",
        "tied_last_share": interactions.tied_last_share,
        "split": "leave last out" if cuts is None else f"in time, at {cuts[0]} and {cuts[1]} s",
        "left_out": f"{interactions.n_duplicates} exact duplicates dropped, "
        f"{interactions.split().users_without_test} users without a test item",
    }


def detectors(recipe: AuditRecipe, target: Target, catalog: Catalog) -> tuple[Detector, ...]:
    """Return the detectors of this audit with their measured error rates."""
    linker, on_titles, on_texts = (_linker_detector(catalog, recipe.seed), *measured_quality())
    scanned = measured_detectors() if "privacy.scan" in recipe.probes else ()
    if "fairness.words" in recipe.probes:
        scanned = (*scanned, measured_tone())
    if "hallucination.claims" not in recipe.probes:
        return (linker, on_titles, *scanned)
    form = target.prompts.description
    own = claims_self_check(catalog, form=form, seed=recipe.seed)
    return (linker, on_titles, own, on_texts, *scanned)


def _linker_detector(catalog: Catalog, seed: int) -> Detector:
    sensitivity, specificity = self_check(catalog, seed=seed)
    return Detector(
        name="title linker",
        sensitivity=sensitivity,
        specificity=specificity,
        method="catalog titles, written in four forms, must be linked; titles that are not in "
        "the index must be refused",
    )


def scores_checked(records: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a note on the recomputed sample of scores; empty if no score was recomputed."""
    computed = [record["derived"] for record in records if "cached_from" not in record]
    found = largest_difference(computed)
    if found is None:
        return ()
    n, worst = found
    bound = next(b for b in (1e-6, 1e-5, 1e-4, BOUND) if worst <= b) if worst <= BOUND else worst
    return (
        f"The scores of {n} requests were recomputed with one forward pass per title; the largest "
        f"difference is below {bound:g} nats per title.",
    )


def notes_on_responses(
    loaded: LoadedRecommender, records: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return notes on failed and truncated responses, on responses with reasoning, and on prompts
    that were cut.
    """
    error = commonest_error(records)
    notes = ((error,) if error else ()) + reasoning_removed(records)
    if "endpoint" not in loaded.kind:  # also as a stage of a pipeline
        return notes
    return (
        *notes,
        *cut_prompts(records),
        *truncated_lists(records),
        *same_at_any_temperature(records),
    )


def work_of(recommender: object) -> Mapping[str, JsonValue]:
    """Return the numbers of forward passes and tokens of a local model; empty without counts."""
    return dict(recommender.work()) if isinstance(recommender, Works) else {}


def run_notes_of(recommender: object, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the notes of a recommender for the run summary."""
    if not isinstance(recommender, RunNotes):
        return []
    return list(recommender.run_notes([body["request_id"] for body in records]))


def environment() -> dict[str, str]:
    """Return the versions of the installed packages."""
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
