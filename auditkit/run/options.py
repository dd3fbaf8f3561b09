"""Options of an audit, shared by the run, the dry run and the pilot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from auditkit.recommenders.execution.stop_rule import StopRule

__all__ = ["AuditOptions", "Progress"]


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """Options of one audit, in addition to target and recipe.

    Only `catalog`, `prompts`, `target_card`, `domain` and `limit` change the requests; the other
    options change how requests are sent.

    Attributes:
        catalog: catalog against which responses are checked (a name, built file or table);
            overrides the catalog of the recipe.
        prompts: template file for a recommender that has no templates.
        target_card: declared facts about a recommender without a recommender.yaml.
        domain: name or YAML file of the domain pack; None for the pack of the catalog.
        allow_code: whether `python:` targets may import and run code.
        allow_outside: whether a description of data may name tables outside its folder.
        online: whether the code of a local recommender may use the network.
        resume: whether an unfinished run of the same recipe and target may be resumed.
        retry_errors: whether to repeat requests that were recorded as errors before a resume.
        cache: folder in which responses are cached for later runs; None disables the cache.
        stop: budget and error limit; records why the run stopped. None means no budget and the
            default error limit.
        limit: maximum number of users or items per probe, at least 1; a note in the result then
            says that it is a sample. None for no limit.
        call_seconds: deadline of one call of a Python callable, in seconds.
        workers: number of Ray actors, each with the recommender loaded; None uses this process.
        keep_raw: whether personal data in responses are recorded unmasked in the evidence.
        cluster: address of a running Ray cluster; None starts one on this machine.
        defer_signals: context in which each call runs, so that a signal takes effect after the
            call.
    """

    catalog: str | None = None
    prompts: Path | None = None
    target_card: Path | None = None
    domain: str | None = None
    allow_code: bool = False
    allow_outside: bool = False
    online: bool = False
    resume: bool = True
    retry_errors: bool = False
    cache: Path | None = None
    stop: StopRule | None = None
    limit: int | None = None
    call_seconds: float = 120.0
    workers: int | None = None
    cluster: str | None = None
    keep_raw: bool = False
    defer_signals: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Progress:
    """Callbacks for a progress display; the defaults show nothing.

    Attributes:
        catalog: called with the step of the catalog build and the number of new rows.
        probe: called with the id and number (from 1) of a probe, and the total number of probes.
        requests: called with the number of newly finished requests, and with the number of requests
            that the current step of the probe still has to send.
    """

    catalog: Callable[[str, int], None] = lambda what, n: None
    probe: Callable[[str, int, int], None] = lambda probe_id, number, of: None
    requests: Callable[[int, int], None] = lambda done, left: None
