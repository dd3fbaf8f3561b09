"""Run an audit: load data and target, run every probe, record evidence and findings.

A probe that crashes is recorded as an outcome and does not end the audit. The result is a pure
function of recipe, target, catalog, data and seed; clock times are only in `manifest.json`. The
caller renders the report, so this module does not need jinja2.
"""

from __future__ import annotations

import platform
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.errors import EvidenceError, MissingDependency
from auditkit.evidence.manifest import OUTPUTS_OF, seal_manifest, verify_resumable
from auditkit.evidence.run_log import RunLog, lock_run
from auditkit.probes.base import Context, NotAssessable, load_users
from auditkit.recommenders.execution.response_cache import ResponseCache
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender, load_recommender
from auditkit.recommenders.target_uri import restriction_for
from auditkit.registry import probe_spec
from auditkit.run.data import load_data
from auditkit.run.declared_facts import with_declared_facts
from auditkit.run.domain_notes import domain_notes
from auditkit.run.first_request import check_first_request
from auditkit.run.identity import require_same_run, run_identity
from auditkit.run.opened import deadline_of
from auditkit.run.options import AuditOptions, Progress
from auditkit.run.provenance import (
    describe_catalog,
    describe_target,
    detectors,
    environment,
    notes_on_responses,
    run_notes_of,
    scores_checked,
    work_of,
)
from auditkit.run.recipe import AuditRecipe
from auditkit.run.sampling import scaled
from auditkit.security.network_guard import NetworkForbidden, Restriction, restricted_network
from auditkit.security.redaction import Redaction, map_text
from auditkit.serialization.canonical_json import canonical_json, read_json, sha256_json
from auditkit.types import AuditResult, Finding, Outcome

__all__ = ["run_audit", "run_probe", "run_probes"]

_MAX_REASON = 300


def run_audit(
    target: str,
    recipe: AuditRecipe,
    out: Path,
    *,
    options: AuditOptions = AuditOptions(),
    progress: Progress = Progress(),
) -> AuditResult:
    """Audit a recommender into a run folder, or resume an interrupted run.

    Args:
        target: see `load_recommender`.
        out: the run folder; `result.json`, the evidence and `manifest.json` are written to it.
        options: catalog, budget and how calls are executed.

    Raises:
        AuditkitError: the audit could not start (wrong recipe, unknown target, missing data, a
            folder that belongs to another run), or the recommender uses the network.
    """
    dataset, catalog = load_data(
        recipe,
        catalog=options.catalog,
        domain=options.domain,
        allow_outside=options.allow_outside,
        progress=progress.catalog,
    )
    restriction = restriction_for(target, online=options.online)
    stop = options.stop or StopRule()
    with restricted_network(restriction):
        load = partial(
            load_recommender,
            target,
            dataset=dataset,
            prompts=options.prompts,
            allow_code=options.allow_code,
        )
        loaded = with_declared_facts(load(), recipe, dataset, options)
        identity = run_identity(recipe, loaded, catalog, dataset)
        named = _named(target, loaded, options)
        with _open_run(out, identity, loaded, options, named=named) as run:
            with _target(loaded, load, recipe, catalog, run.log, stop, options, progress) as asked:
                check_first_request(asked, loaded, dataset)
                outcomes, findings = run_probes(
                    recipe, asked, dataset, loaded, options.limit, restriction, progress
                )
                stop.check_errors()  # errors of earlier starts count too
                stop.check_any_success()
            result = _fit_to_write(
                AuditResult(
                    run_key=run.key,
                    seed=recipe.seed,
                    target=describe_target(target, loaded, asked),
                    catalog=describe_catalog(catalog, dataset),
                    recipe=recipe.model_dump(mode="json"),
                    environment=environment(),
                    outcomes=tuple(outcomes),
                    findings=tuple(findings),
                    detectors=detectors(recipe, asked, catalog),
                    notes=(
                        *(f"data: {note}" for note in dataset.notes),
                        *domain_notes(catalog, asked),
                        *loaded.notes,
                        *scores_checked(run.log.records),
                        *notes_on_responses(loaded, run.log.records),
                        *_what_is_missing(stop, options.limit),
                        *run_notes_of(loaded.recommender, run.log.records),
                    ),
                    stopped=stop.stopped,
                )
            )
            result.write(out)
            unasked = any(outcome.counts.get("not_run") for outcome in outcomes)
            partly = stop.stopped or options.limit or unasked
            run.status = "partial" if partly else "complete"
    return result


@dataclass
class _Run:
    """An open run folder; `status` is written to the manifest at the end of the run."""

    key: str
    log: RunLog
    status: Literal["complete", "partial", "interrupted"] = "interrupted"


@contextmanager
def _open_run(
    out: Path,
    identity: Mapping[str, JsonValue],
    loaded: LoadedRecommender,
    options: AuditOptions,
    *,
    named: Mapping[str, JsonValue],
) -> Iterator[_Run]:
    """Lock the run folder, open its log, and write a sealed manifest at the start and at the
    end.
    """
    key = sha256_json(identity)
    with lock_run(out):
        require_same_run(out, identity, key, resume=options.resume)
        started, cpu_started = time.time(), time.process_time()
        log = RunLog(out, key, keep_raw=options.keep_raw)  # first, it cuts off a torn tail
        run = _Run(key, log)
        verify_resumable(out, run.log)
        seal_manifest(out, run_key=key, status="running", fingerprints=identity, log=run.log)
        already = len(run.log.records)
        try:
            yield run
        finally:
            run.log.close()
            volatile: dict[str, JsonValue] = {
                "seconds": round(time.time() - started, 2),
                "cpu_seconds": round(time.process_time() - cpu_started, 2),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "asked": len(run.log.records) - already,
                "resumed_from": already,
                "computed": dict(work_of(loaded.recommender)),
                "host": platform.node(),
                "audited": dict(named),
            }
            written = () if run.status == "interrupted" else OUTPUTS_OF["audit"]
            seal_manifest(out, status=run.status, volatile=volatile, log=run.log, written=written)


def _named(target: str, loaded: LoadedRecommender, options: AuditOptions) -> dict[str, JsonValue]:
    """Arguments of the command, with which `verify --recompute` loads the inputs, and the code
    file.
    """
    return {
        "target": target,
        "code": None if loaded.code is None else dict(loaded.code),
        "catalog": options.catalog,
        **({} if options.domain is None else {"domain": options.domain}),
        "prompts": None if options.prompts is None else str(options.prompts),
        "target_card": None if options.target_card is None else str(options.target_card),
        "limit": options.limit,
        "keep_raw": options.keep_raw,
    }


@contextmanager
def _target(
    loaded: LoadedRecommender,
    load: Callable[[], LoadedRecommender],
    recipe: AuditRecipe,
    catalog: Catalog,
    log: RunLog,
    stop: StopRule,
    options: AuditOptions,
    progress: Progress,
) -> Iterator[Target]:
    """Wrap the recommender for probes, with batches, cache, budget and evidence log."""
    with _spread_over_workers(loaded, load, recipe, options) as (recommender, window):
        asked = Target(
            recommender,
            catalog=catalog,
            log=log,
            seed=recipe.seed,
            fingerprint=loaded.fingerprint,
            prompts=loaded.prompts,
            cache=ResponseCache(options.cache, loaded.fingerprint),
            batch_size=recipe.batch_size,
            window=window,
            stop=stop,
            seconds=deadline_of(loaded, options),
            retry_errors=options.retry_errors,
            defer_signals=options.defer_signals,
            on_progress=progress.requests,
        )
        with closing(asked):
            yield asked


@contextmanager
def _spread_over_workers(
    loaded: LoadedRecommender,
    load: Callable[[], LoadedRecommender],
    recipe: AuditRecipe,
    options: AuditOptions,
) -> Iterator[tuple[object, int]]:
    """Yield the recommender, or Ray actors with copies of it, and the number of requests per
    call.
    """
    if options.workers is None:
        yield loaded.recommender, recipe.batch_size
        return
    try:
        from auditkit.recommenders.loading.ray_pool import spread
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="ray", purpose="--workers") from None
    with spread(
        loaded,
        load,
        workers=options.workers,
        batch_size=recipe.batch_size,
        address=options.cluster,
    ) as recommender:
        yield recommender, recommender.window


def _fit_to_write(result: AuditResult) -> AuditResult:
    """Remove secrets from the result and escape lone surrogates.

    Recommender output may contain both, and a file with a lone surrogate cannot be read again.
    """
    redaction, text = Redaction(), result.to_json()
    if not redaction and "\\ud" not in text:
        return result

    def written(words: str) -> str:
        return redaction.text(words).encode("utf-8", "backslashreplace").decode("utf-8")

    return AuditResult.from_json(canonical_json(map_text(read_json(text), written)))


def _what_is_missing(stop: StopRule, limit: int | None) -> list[str]:
    """Notes for a run that sent fewer requests than planned."""
    notes = []
    if limit is not None:
        notes.append(f"sampled: every probe was limited to {limit} users or items (--limit)")
    if stop.stopped:
        notes.append(
            f"stopped early ({stop.stopped}): {stop.detail}; the remaining requests were not sent"
        )
    return notes


def run_probes(
    recipe: AuditRecipe,
    target: Target,
    dataset: Dataset,
    loaded: LoadedRecommender,
    limit: int | None,
    restriction: Restriction | None,
    progress: Progress,
) -> tuple[list[Outcome], list[Finding]]:
    """Run the probes of a recipe in order; if a probe crashes, the next ones still run."""
    outcomes: list[Outcome] = []
    findings: list[Finding] = []
    users = load_users(dataset)
    for number, probe_id in enumerate(recipe.probes, start=1):
        progress.probe(probe_id, number, len(recipe.probes))
        bound = target.for_probe(probe_spec(probe_id))
        context = Context(dataset, recipe.seed, probe_id, loaded.manifest, users)
        outcome, measured = run_probe(recipe, bound, context, limit=limit)
        if restriction is not None:
            restriction.check()  # the code that made the attempt may have hidden the error
        counts = bound.status_counts()
        outcome = replace(outcome, planned=sum(counts.values()), counts=counts)
        if outcome.status == "ran" and counts["not_run"]:
            left = f"{counts['not_run']} of {outcome.planned} requests were not sent"
            stop = target.stop
            why = f"{stop.stopped}: {stop.detail}; {left}" if stop.stopped else left
            outcome = replace(outcome, reason=why)
        outcomes.append(outcome)
        findings += measured
    return outcomes, findings


def run_probe(
    recipe: AuditRecipe, target: Target, context: Context, *, limit: int | None = None
) -> tuple[Outcome, list[Finding]]:
    """Run one probe; its outcome is `ran`, `skipped` with a reason, or `error` with a traceback."""
    probe_id = context.probe_id
    try:
        probe, context = scaled(recipe.build(probe_id), context, limit)
        lacking = [
            kind.__name__ for kind in probe.needs if not isinstance(target.recommender, kind)
        ]
        if lacking:
            return Outcome(
                probe=probe_id, status="skipped", reason=f"needs {', '.join(lacking)}"
            ), []
        return Outcome(probe=probe_id, status="ran"), list(probe.run(target, context))
    except (EvidenceError, NetworkForbidden):
        raise  # later measurements would not count
    except NotAssessable as why:
        return Outcome(probe=probe_id, status="skipped", reason=str(why)), []
    except MissingDependency as error:
        return Outcome(probe=probe_id, status="skipped", reason=str(error)), []
    except Exception as error:
        words = Redaction().text(f"{type(error).__name__}: {error}")
        reason = " ".join(words.split())[:_MAX_REASON]
        return Outcome(
            probe=probe_id, status="error", reason=reason, traceback=_traceback(error)
        ), []


def _traceback(error: Exception) -> str:
    """Format a traceback with paths relative to the package, so that equal crashes give equal
    texts.
    """
    text = "".join(traceback.format_exception(error))
    root = re.escape(str(Path(__file__).resolve().parents[2]))
    return re.sub(rf'"(?:{root}/|[^"]*/site-packages/|[^"]*/lib/python[^/"]*/)', '"', text)
