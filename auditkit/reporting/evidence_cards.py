"""Evidence cards with requests, responses, and the difference between two requests.

Records may contain hostile text, so fields of an unexpected type are ignored and all other fields
are shown as plain text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from auditkit.reporting.recorded_turns import RecordedTurn, recorded_turns
from auditkit.reporting.run_reader import Record, ReportSource
from auditkit.security.personal_data import mask
from auditkit.security.redaction import map_text
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import Evidence, Finding

__all__ = [
    "Card", "Ranked", "RecordedRequest", "RecordedStage", "build_cards", "n_cases", "word_diff",
]  # fmt: skip

_MAX_WORDS = 600
_CONTEXT = 8


@dataclass(frozen=True)
class Ranked:
    """One position of a list.

    `move` is the number of positions by which the item is higher (+) or lower (-) than in the first
    list.
    """

    rank: int
    raw: str
    item_id: str | None
    link: str
    score: float | None
    move: str = ""


@dataclass(frozen=True)
class RecordedStage:
    """Trace of one pipeline stage: prompt, text, and candidates for the next stage, each empty if
    absent.
    """

    name: str
    prompt: str
    text: str
    items: tuple[Ranked, ...]


@dataclass(frozen=True)
class RecordedRequest:
    """One recorded request and its response; `turns` are filled if it is part of a conversation."""

    request_id: str
    record: str
    sha256: str
    operation: str
    status: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    prompt: str
    text: str
    items: tuple[Ranked, ...]
    stages: tuple[RecordedStage, ...]
    continuations: tuple[str, ...]
    derived: tuple[tuple[str, str], ...]
    turns: tuple[RecordedTurn, ...] = ()


@dataclass(frozen=True)
class Card:
    """Description of an error and the recorded requests that show the error."""

    what: str
    finding: Finding
    asked: tuple[RecordedRequest, ...]
    missing: tuple[str, ...] = ()
    diff: tuple[tuple[str, str], ...] = field(default=())


def word_diff(left: str, right: str) -> tuple[tuple[str, str], ...]:
    """Word-level difference of two texts.

    Returns:
        Runs (kind, text) with kind `same`, `del`, `ins` or `gap`; a `gap` replaces the middle of a
        long equal run. Empty if the texts are equal or longer than 600 words.
    """
    words = [re.findall(r"^\s+|\S+\s*", text) for text in (left, right)]
    if left == right or max(map(len, words)) > _MAX_WORDS:
        return ()
    runs: list[tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(None, words[0], words[1], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            runs += _shortened(words[0][a:b], first=a == 0, last=b == len(words[0]))
            continue
        runs += [("del", "".join(words[0][a:b]))] if b > a else []
        runs += [("ins", "".join(words[1][c:d]))] if d > c else []
    return tuple(runs)


def _shortened(words: Sequence[str], *, first: bool, last: bool) -> Iterator[tuple[str, str]]:
    if len(words) <= 2 * _CONTEXT + 4:
        yield "same", "".join(words)
        return
    if not first:
        yield "same", "".join(words[:_CONTEXT])
    yield "gap", f"{len(words)} equal words"
    if not last:
        yield "same", "".join(words[-_CONTEXT:])


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value)


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _ranked(body: Mapping[str, Any]) -> tuple[Ranked, ...]:
    rows = []
    for rank, value in enumerate(_list(body.get("items")), start=1):
        item = _mapping(value)
        score = item.get("score")
        rows.append(
            Ranked(
                rank,
                _plain(item.get("raw")),
                _plain(item.get("item_id")) or None,
                _plain(item.get("link")) or "none",
                float(score) if isinstance(score, int | float) else None,
            )
        )
    return tuple(rows)


def _stages(body: Mapping[str, Any]) -> tuple[RecordedStage, ...]:
    """Return the stages in the trace of a response; other entries of the trace are ignored."""
    entries = [_mapping(entry) for entry in _list(body.get("trace"))]
    return tuple(
        RecordedStage(
            _plain(entry["stage"]),
            _plain(entry.get("prompt")),
            _plain(entry.get("text")),
            _ranked(entry),
        )
        for entry in entries
        if "stage" in entry
    )


def _asked(request_id: str, record: Record) -> RecordedRequest:
    body = map_text(record.body, mask)  # before words are compared, which splits a number
    request = _mapping(body.get("request"))
    attributes = _mapping(request.get("attributes"))
    history = [
        f"{_plain(_mapping(item).get('title'))} ({_plain(_mapping(item).get('id'))})"
        for item in _list(request.get("history"))
    ]
    stated = ", ".join(f"{name}: {_plain(value)}" for name, value in sorted(attributes.items()))
    facts = [
        ("user", _plain(request.get("user_id"))),
        ("stated about the user", stated or "nothing"),
        ("requested", f"{_plain(request.get('k'))} items" if request.get("k") else ""),
        ("history", "; ".join(history)),
        ("candidates", _plain(len(_list(request.get("candidates"))) or None)),
        ("repeat", _plain(body.get("repeat"))),
        ("seed", _plain(body.get("seed"))),
        ("temperature", _plain(request.get("temperature"))),
        ("batch", _plain(body.get("batch"))),
    ]
    turns = [
        f"[{_plain(_mapping(turn).get('role'))}] {_plain(_mapping(turn).get('content'))}"
        for turn in _list(request.get("messages"))
    ]
    return RecordedRequest(
        request_id=request_id,
        record=f"evidence.jsonl.gz:{record.seq + 1}",
        sha256=record.sha256,
        operation=_plain(request.get("op")) or "recommend",
        status=_plain(body.get("status")),
        reason=_plain(body.get("reason")),
        facts=tuple((name, value) for name, value in facts if value),
        prompt="\n".join([*turns, _plain(request.get("prompt") or request.get("instruction"))]),
        text=_plain(body.get("text")),
        items=_ranked(body),
        stages=_stages(body),
        continuations=tuple(map(_plain, _list(request.get("continuations")))),
        derived=tuple((key, _plain(v)) for key, v in sorted(_mapping(body.get("derived")).items())),
        turns=recorded_turns(body),
    )


def _moves(first: Sequence[Ranked], second: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """Return the items of the second list, each with its move relative to the first list."""
    before = {row.item_id or row.raw: row.rank for row in reversed(first)}
    moved = []
    for row in second:
        old = before.get(row.item_id or row.raw)
        change = 0 if old is None else old - row.rank
        word = "new" if old is None else f"{change:+d}" if change else "same"
        moved.append(Ranked(row.rank, row.raw, row.item_id, row.link, row.score, word))
    return tuple(moved)


def build_cards(
    source: ReportSource, findings: Sequence[Finding], *, limit: int
) -> tuple[list[Card], int]:
    """Create evidence cards, distributed evenly over the findings.

    Args:
        source: content of the run folder.
        findings: findings whose evidence is shown.
        limit: maximum number of cards.

    Returns:
        The cards, and the number of recorded cases that the findings count in total.
    """
    queues = [(finding, list(finding.evidence)) for finding in findings if finding.evidence]
    stored = sum(len(queue) for _, queue in queues)
    cards: list[Card] = []
    while len(cards) < min(limit, stored):
        for finding, queue in queues:
            if queue and len(cards) < limit:
                cards.append(_card(source, finding, queue.pop(0)))
    return cards, sum(map(n_cases, findings))


def n_cases(finding: Finding) -> int:
    """Number of recorded cases of the problem that a finding measures, including cases without a
    card.

    A response that several findings count is one case of each of them.
    """
    return len(finding.evidence) if finding.n_cases is None else finding.n_cases


def _card(source: ReportSource, finding: Finding, evidence: Evidence) -> Card:
    requests = evidence.requests
    asked = [_asked(i, source.records[i]) for i in requests if i in source.records]
    diff: tuple[tuple[str, str], ...] = ()
    if len(asked) == 2:
        diff = word_diff(asked[0].prompt, asked[1].prompt)
        moved = _moves(asked[0].items, asked[1].items)
        asked[1] = replace(asked[1], items=moved)
    missing = tuple(i for i in requests if i not in source.records)
    return Card(evidence.what, finding, tuple(asked), missing, diff)
