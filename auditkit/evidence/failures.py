"""Notes on failed, truncated and equal responses in the records of a run."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.serialization.canonical_json import canonical_json

__all__ = ["commonest_error", "reasoning_removed", "same_at_any_temperature", "truncated_lists"]

_ERRORS = ("target_error", "timeout")
_MAX_DETAIL = 200
_MIN_REPEATED = 5
_NUMBER = re.compile(r"\d+")

Records = Sequence[Mapping[str, Any]]


def commonest_error(records: Records) -> str | None:
    """Describe how many requests failed and the most common error; None if no request failed."""
    final = {record["request_id"]: record for record in records}.values()
    words = [_words(record) for record in final if record["status"] in _ERRORS]
    if not words:
        return None
    # Errors that differ only in numbers, such as the length of a prompt, are the same error.
    kind, count = Counter(_NUMBER.sub("0", text) for text in words).most_common(1)[0]
    example = next(text for text in words if _NUMBER.sub("0", text) == kind)
    return (
        f"{len(words)} of {len(final)} requests failed, {count} of them with the error: {example}"
    )


def _words(record: Mapping[str, Any]) -> str:
    detail = str(record["derived"].get("error", ""))
    text = " ".join(f"{record['reason']}: {detail}".split()).removesuffix(":")
    return text if len(text) <= _MAX_DETAIL else text[: _MAX_DETAIL - 1] + "\u2026"


def reasoning_removed(records: Records) -> tuple[str, ...]:
    """Return a note on responses with reasoning in their text; empty if there are none."""
    n = sum("reasoning" in record["derived"] for record in records)
    if not n:
        return ()
    return (
        f"Reasoning between delimiters such as <think> was removed from {n} of {len(records)} "
        "responses before they were parsed, because titles in the reasoning are not "
        "recommendations.",
    )


def truncated_lists(records: Records) -> tuple[str, ...]:
    """Return a note on truncated lists of an endpoint; empty if there are none."""
    lists = [record for record in records if record["request"]["op"] == "recommend"]
    cut = [record for record in lists if record["status"] == "truncated"]
    if not cut:
        return ()
    empty = sum(not (record["text"] or "").strip() for record in cut)
    return (
        f"{len(cut)} of {len(lists)} lists were truncated, {empty} of them before the first word "
        "of the answer. If the model writes reasoning first, set AUDITKIT_MAX_TOKENS to a larger "
        "number.",
    )


def same_at_any_temperature(records: Records) -> tuple[str, ...]:
    """Return a note if requests that were repeated at a temperature above 0 always got equal
    texts.
    """
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for record in records:
        asked = record["request"]
        if asked["temperature"] > 0 and record["status"] == "ok" and record["text"]:
            texts[canonical_json(asked)].append(record["text"])
    repeated = [found for found in texts.values() if len(found) > 1]
    if len(repeated) < _MIN_REPEATED or any(len(set(found)) > 1 for found in repeated):
        return ()
    return (
        f"All {len(repeated)} requests that were repeated at a temperature above 0 got equal "
        "responses: the server may ignore the temperature, and noise is then underestimated.",
    )
