"""Check of one recommender before an audit: load it, send a request, and estimate the duration."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.comparison.answers import Answer, answer_of
from auditkit.errors import ConfigurationError
from auditkit.evidence.run_log import RunLog
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.execution.calls import Call, response_of
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import Generates, Recommends
from auditkit.run.cost import TimedCall, estimate_cost
from auditkit.run.data import Overlap, load_data, of_domain, overlap_of
from auditkit.run.dry_run import count_calls
from auditkit.run.opened import deadline_of, opened_recommender
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.types import Request

__all__ = ["TargetCheck", "check_target"]

_RUN_KEY = "0" * 64
_K = 10
_MAX_TOKENS = 256
_SLOW = 3.0  # seconds; warming up does not matter then
_ERRORS = ("target_error", "timeout")


@dataclass(frozen=True, kw_only=True)
class TargetCheck:
    """Result of the check of a recommender.

    Attributes:
        load_seconds: time to load the recommender.
        request_seconds: duration of the timed request.
        answer: the response to one request; None if the recommender returns no lists and no texts.
        error: the error that the recommender raised; None if the request succeeded.
        n_items: number of parsed items.
        n_linked: number of parsed items that are linked to the catalog.
        overlap: overlap of the users' data with the given catalog; None without a catalog.
        calls: number of calls of an audit with the recipe.
        minutes: estimated duration of these calls; None if unknown.
    """

    name: str
    kind: str
    fingerprint: str
    verified: bool
    capabilities: tuple[str, ...]
    notes: tuple[str, ...]
    load_seconds: float
    request_seconds: float | None
    answer: Answer | None
    error: str
    n_items: int
    n_linked: int
    catalog: str
    overlap: Overlap | None
    recipe: str
    calls: int
    minutes: float | None

    @property
    def failed(self) -> bool:
        """Whether the request failed."""
        return self.answer is not None and self.answer.status in _ERRORS


@dataclass(frozen=True)
class _Asked:
    """Record of the first request, and timing of the timed request."""

    first: Mapping[str, Any]
    timed: TimedCall


def check_target(
    target: str, recipe: AuditRecipe, *, options: AuditOptions = AuditOptions()
) -> TargetCheck:
    """Load a recommender, send a request, and estimate how long an audit takes.

    If the first request is fast, a second request is sent and timed, because the first request of a
    model includes its warm-up.

    Args:
        target: TARGET argument, as for `run_audit`.
        recipe: recipe with the data, and with the probes of the estimate.
        options: catalog, and permissions of code.

    Raises:
        TargetUnavailable: the recommender cannot be loaded.
        CatalogError: the data or the catalog cannot be read.
        ConfigurationError: the data have no user with a history.
    """
    dataset, catalog, overlap = _data(recipe, options)
    started = time.monotonic()
    with opened_recommender(target, recipe, dataset, options) as loaded:
        load_seconds = time.monotonic() - started
        with tempfile.TemporaryDirectory() as folder:
            log = RunLog(Path(folder), _RUN_KEY)
            with (
                closing(log),
                closing(_target(loaded, catalog, recipe, log, options)) as asked,
            ):
                found = _request(asked, log, dataset)
                capabilities = asked.capabilities
        _, planned = count_calls(loaded, recipe, dataset, catalog)
    answer = None if found is None else answer_of(found.first)
    failed = answer is not None and answer.status in _ERRORS
    timed = [] if found is None or failed else [found.timed]
    cost = estimate_cost(loaded.recommender, planned.calls(), timed=timed)
    return TargetCheck(
        name=str(getattr(loaded.recommender, "name", target)),
        kind=loaded.kind,
        fingerprint=loaded.fingerprint,
        verified=loaded.verified,
        capabilities=capabilities,
        notes=loaded.notes,
        load_seconds=load_seconds,
        request_seconds=None if found is None else found.timed.seconds,
        answer=answer,
        error=str(found.first["derived"].get("error", "")) if found else "",
        n_items=len(answer.items) if answer else 0,
        n_linked=sum(known for _, known in answer.items) if answer else 0,
        catalog=catalog.name,
        overlap=overlap,
        recipe=recipe.name,
        calls=cost.calls,
        minutes=cost.minutes,
    )


def _data(recipe: AuditRecipe, options: AuditOptions) -> tuple[Dataset, Catalog, Overlap | None]:
    """Load data and catalog and count their overlap; a catalog of other items is not used."""
    dataset, catalog = load_data(
        recipe.model_copy(update={"catalog": None}) if options.catalog else recipe,
        domain=options.domain,
        allow_outside=options.allow_outside,
    )
    if options.catalog is None:
        return dataset, catalog, None
    chosen = load_catalog(options.catalog)
    overlap = overlap_of(dataset.catalog, chosen)
    if overlap.fault:
        return dataset, catalog, overlap
    return *of_domain(dataset, chosen, options.domain), overlap


def _target(
    loaded: LoadedRecommender,
    catalog: Catalog,
    recipe: AuditRecipe,
    log: RunLog,
    options: AuditOptions,
) -> Target:
    return Target(
        loaded.recommender,
        catalog=catalog,
        log=log,
        seed=recipe.seed,
        fingerprint=loaded.fingerprint,
        prompts=loaded.prompts,
        stop=StopRule(),
        seconds=deadline_of(loaded, options),
    )


def _request(target: Target, log: RunLog, dataset: Dataset) -> _Asked | None:
    """Send the neutral request of the first user; None if the recommender returns no lists or
    texts.
    """
    users = load_users(dataset)
    if not users:
        raise ConfigurationError(
            "the data have no user with a history. Name other data with --data."
        )
    request = neutral_request(users[0], k=_K)
    request = replace(request, prompt=target.render(request))
    seconds = 0.0
    for repeat in range(2):
        if seconds > _SLOW:
            break
        started = time.monotonic()
        if not _send(target, replace(request, repeat=repeat)):
            return None
        seconds = time.monotonic() - started
    first, last = log.records[0], log.records[-1]
    call = Call("none", 1, last["request"]["op"], request)
    return _Asked(first, TimedCall(call, response_of(last), seconds))


def _send(target: Target, request: Request) -> bool:
    """Request a list, or a text if the recommender returns no lists; return False if it returns
    none.
    """
    if isinstance(target.recommender, Recommends):
        target.recommend([request])
    elif isinstance(target.recommender, Generates):
        target.generate([request], max_new_tokens=_MAX_TOKENS)
    else:
        return False
    return True
