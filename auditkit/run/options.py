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

    Only `catalog`, `prompts`, `target_card`, `domain` and `limit` change the requests; the others
    change how they are sent.

    Attributes:
        catalog: catalog against which responses are checked (a name, built file or table);
            overrides the recipe's.
        prompts: template file for a recommender without templates of its own.
        target_card: declared facts about a recommender without a recommender.yaml.
        domain: name or YAML file of the domain pack; None for that of the catalog.
        allow_code: whether `python:` targets may import and run code.
        allow_outside: whether a description of data may name tables outside its folder.
        online: whether the code of a local recommender may use the network.
        resume: whether an unfinished run of the same recipe and target may be resumed.
        retry_errors: repeat requests that an earlier run recorded as errors.
        cache: folder in which responses are kept for later runs; None keeps none.
        stop: budget and error limit; records why the run stopped. None means no budget and the
            default error limit.
        limit: maximum number of users or items per probe, at least 1; the result says that it is a
            sample.
        call_seconds: deadline of one call of a Python callable.
        workers: number of Ray actors, each with the recommender loaded; None uses this process.
        keep_raw: whether personal data in responses are recorded unmasked in the evidence.
        cluster: address of a running Ray cluster; None starts one on this machine.
        defer_signals: wraps each call, so that a signal takes effect after it.
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
        requests: called with the number of newly finished requests, and of those that the current
            step of the probe still has to send.
    """

    catalog: Callable[[str, int], None] = lambda what, n: None
    probe: Callable[[str, int, int], None] = lambda probe_id, number, of: None
    requests: Callable[[int, int], None] = lambda done, left: None
