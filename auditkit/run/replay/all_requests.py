"""Send all requests for lists of a run again, and write a file that `replay:` reads.

Responses are collected in a run log beside the output file, so that an interrupted command can be
resumed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from auditkit.comparison.answers import by_request
from auditkit.errors import ConfigurationError
from auditkit.evidence.manifest import seal_manifest
from auditkit.evidence.run_log import RunLog, lock_run
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Renders
from auditkit.registry import probe_spec
from auditkit.run.identity import require_same_run
from auditkit.run.options import AuditOptions, Progress
from auditkit.run.replay.requests import RecordedRequest, by_probe, repeatable_requests
from auditkit.run.replay.source import ReplaySource, open_source
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, sha256_json

__all__ = ["ReplayedRun", "replay_run"]

_ERRORS = ("target_error", "timeout")
_N_RENDERED = 20
Found = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ReplayedRun:
    """Result of sending all repeatable requests of a run again.

    Attributes:
        asked: number of requests that were sent.
        written: number of responses in the file.
        failed: number of errors, which are left out of the file.
        truncated: number of truncated responses, which are left out because the file format cannot
            mark them.
        left_out: number of requests that were not sent, by reason.
        stopped: why no further requests were sent; empty if all were sent. If not empty, no file is
            written, and the same command resumes.
    """

    asked: int
    written: int = 0
    failed: int = 0
    truncated: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    stopped: str = ""
    notes: tuple[str, ...] = ()


def replay_run(
    run: Path,
    out: Path,
    *,
    target: str | None = None,
    options: AuditOptions = AuditOptions(),
    progress: Progress = Progress(),
) -> ReplayedRun:
    """Send all requests for lists of a run again, and write a file that `replay:` reads.

    Args:
        run: the run folder.
        target: the recommender that gets the requests; None for the audited one.
        out: file to write. Until all responses are there, they are stored in the folder
            `OUT.partial`, from which the same command resumes.

    Raises:
        ConfigurationError: `out` exists, the run has no repeatable request for a list, or the
            folder `OUT.partial` belongs to another run or recommender.
        TargetUnavailable: the recommender cannot be loaded.
        IntegrityError: the run was altered.
    """
    if out.exists():
        raise ConfigurationError(f"{out} already exists. Give another --out, or remove this file.")
    work = out.with_name(f"{out.name}.partial")
    with open_source(run, target, options) as source:
        chosen, left_out = repeatable_requests(by_request(source.run.records), source.recipe)
        if not chosen or not isinstance(source.loaded.recommender, Recommends):
            lacking = (
                "this recommender returns no lists"
                if chosen
                else f"{run} has no requests for lists that can be repeated"
            )
            raise ConfigurationError(
                f"{lacking}, so there is nothing to write. Replay single requests with --id."
            )
        found, stopped = _collect(source, chosen, work, progress)
        notes = (*source.notes, *_templates(source, chosen))
    if not stopped and all(answer["status"] in _ERRORS for answer in found.values()):
        stopped = f"none of {len(found)} requests got a response"
    done = ReplayedRun(asked=len(chosen), left_out=left_out, stopped=stopped, notes=notes)
    if stopped:
        return done
    done = _write(out, found, done)
    shutil.rmtree(work)
    return done


def _collect(
    source: ReplaySource, chosen: Sequence[RecordedRequest], work: Path, progress: Progress
) -> tuple[Found, str]:
    """Send the requests and log the responses in the folder `work`.

    Returns the new responses by recorded id, and why no further requests were sent, or an empty
    text.
    """
    identity: dict[str, JsonValue] = {
        "replayed": source.run.result.run_key,
        "target": source.loaded.fingerprint,
        "catalog": source.catalog.fingerprint,
        "version": version("auditkit"),
    }
    key, stop = sha256_json(identity), StopRule()
    with lock_run(work):
        require_same_run(work, identity, key, resume=True)
        with closing(RunLog(work, key)) as log:
            seal_manifest(work, run_key=key, status="running", fingerprints=identity, log=log)
            with closing(source.target(log, stop, progress)) as asked:
                found = _ask_all(asked, by_probe(chosen), progress)
    stop.check_any_success()
    return found, stop.detail if stop.stopped else ""


def _ask_all(
    target: Target, groups: Mapping[str, Sequence[RecordedRequest]], progress: Progress
) -> dict[str, Mapping[str, Any]]:
    """Send every request of every probe; return the new response, as JSON, by recorded id."""
    found: dict[str, Mapping[str, Any]] = {}
    for number, (probe, requests) in enumerate(groups.items(), start=1):
        progress.probe(probe, number, len(groups))
        bound = target.for_probe(probe_spec(probe))
        responses = bound.recommend([one.request for one in requests])
        for one, response in zip(requests, responses, strict=True):
            found[one.request_id] = {
                "status": response.status,
                "text": response.text,
                "items": [item.raw for item in response.items],
            }
    return found


def _write(out: Path, found: Found, done: ReplayedRun) -> ReplayedRun:
    """Write one line per response that the file format supports; return the counts."""
    statuses = Counter(answer["status"] for answer in found.values())
    lines = [
        canonical_json(
            {"id": request_id, "items": answer["items"]}
            if answer["text"] is None and answer["items"]
            else {"id": request_id, "text": answer["text"]}
        )
        for request_id, answer in found.items()
        if answer["status"] not in (*_ERRORS, "truncated")
    ]
    write_atomically(out, "".join(f"{line}\n" for line in lines))
    failed = sum(statuses[status] for status in _ERRORS)
    return replace(done, written=len(lines), failed=failed, truncated=statuses["truncated"])


def _templates(source: ReplaySource, chosen: Sequence[RecordedRequest]) -> tuple[str, ...]:
    """Return notes on prompts that another recommender, or an audit of the file, would write
    differently.
    """
    own: tuple[str, ...] = ()
    if "Renders" in source.run.result.target.capabilities:
        own = (
            "the prompts are those of the audited model's own templates; an audit of the file "
            "renders other prompts, so it may not find these responses by their ids",
        )
    return (*own, *_other_templates(source.loaded.recommender, chosen))


def _other_templates(recommender: object, chosen: Sequence[RecordedRequest]) -> tuple[str, ...]:
    """Return a note if the recommender's own templates would have produced none of the prompts."""
    if not isinstance(recommender, Renders):
        return ()
    shown = chosen[:_N_RENDERED]
    own = [recommender.render(replace(one.request, prompt="")) for one in shown]
    if any(text == one.request.prompt for text, one in zip(own, shown, strict=True)):
        return ()
    return (
        "the prompts were written by the templates of another recommender and are sent as "
        "recorded; this model may not understand them",
    )
