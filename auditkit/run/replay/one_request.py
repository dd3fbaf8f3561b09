"""Send one recorded request again and show both responses.

The prompt is sent as recorded, with the same seed, so edited and counterfactual requests are
reproduced.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.comparison.answers import Answer, answer_of, by_request
from auditkit.errors import ConfigurationError
from auditkit.evidence.run_log import RunLog
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Generates, Recommends, Scores
from auditkit.registry import probe_spec
from auditkit.run.options import AuditOptions
from auditkit.run.replay.requests import RecordedRequest, find_request
from auditkit.run.replay.source import open_source
from auditkit.serialization.canonical_json import sha256_json

__all__ = ["ReplayedRequest", "replay_request"]

_ERRORS = ("target_error", "timeout")
_ABLE: Mapping[str, type] = {"recommend": Recommends, "generate": Generates, "score": Scores}


@dataclass(frozen=True, kw_only=True)
class ReplayedRequest:
    """One request with its recorded and its new response.

    Attributes:
        scores: for a scoring request, (continuation, recorded nats, new nats); None if a response
            has no score for it.
        notes: warnings for the reader, for example that the recommender is not the audited one.
    """

    request_id: str
    probe: str
    operation: str
    prompt: str
    recorded: Answer
    new: Answer
    scores: tuple[tuple[str, float | None, float | None], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether status, items, text and scores are equal."""
        return self.recorded == self.new and all(old == new for _, old, new in self.scores)

    @property
    def failed(self) -> bool:
        """Whether the new request failed."""
        return self.new.status in _ERRORS


def replay_request(
    run: Path,
    request_id: str,
    *,
    target: str | None = None,
    options: AuditOptions = AuditOptions(),
) -> ReplayedRequest:
    """Ask one recorded request again.

    Args:
        run: the run folder.
        request_id: id of the request, or a unique prefix of the id.
        target: the recommender that gets the request; None for the recommender that the manifest
            names.
        options: as for `recompute_run`.

    Raises:
        ConfigurationError: there is no such request, or the recommender does not support its
            operation.
        TargetUnavailable: the recommender cannot be loaded.
        IntegrityError: the run was altered.
    """
    with open_source(run, target, options) as source, tempfile.TemporaryDirectory() as folder:
        one = find_request(by_request(source.run.records), request_id)
        log = RunLog(Path(folder), sha256_json(["replay", source.run.result.run_key]))
        with closing(log), closing(source.target(log, StopRule())) as asked:
            _ask(asked.for_probe(probe_spec(one.probe)), one)
            (body,) = log.records
    return ReplayedRequest(
        request_id=one.request_id,
        probe=one.probe,
        operation=one.operation,
        prompt=one.request.prompt,
        recorded=answer_of(one.body),
        new=answer_of(body),
        scores=_scores(one, body),
        notes=(*source.notes, *_other_call(one, body)),
    )


def _ask(target: Target, one: RecordedRequest) -> None:
    """Send one request with the operation and parameters of its record."""
    needed = _ABLE[one.operation]
    if not isinstance(target.recommender, needed):
        raise ConfigurationError(
            f"request {one.request_id} needs the capability {needed.__name__}, which this "
            "recommender does not have. Choose another --target."
        )
    if one.operation == "recommend":
        target.recommend([one.request])
    elif one.operation == "generate":
        target.generate([one.request], max_new_tokens=int(one.parameters["max_new_tokens"]))
    else:
        target.score([one.request], [one.parameters["continuations"]])


def _scores(
    one: RecordedRequest, body: Mapping[str, Any]
) -> tuple[tuple[str, float | None, float | None], ...]:
    old, new = (record["derived"].get("tokens", []) for record in (one.body, body))
    return tuple(
        (text, _total(old, i), _total(new, i))
        for i, text in enumerate(one.parameters.get("continuations", ()))
    )


def _total(tokens: Sequence[Sequence[float]], i: int) -> float | None:
    return float(sum(tokens[i])) if i < len(tokens) else None


def _other_call(one: RecordedRequest, body: Mapping[str, Any]) -> tuple[str, ...]:
    if body["request_id"] == one.request_id:
        return ()
    return (
        "the request could not be sent exactly as recorded, because opening turns, the scoring "
        "method or the version of the probe differ",
    )
