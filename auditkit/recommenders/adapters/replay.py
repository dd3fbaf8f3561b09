"""Recorded answers as a recommender: the way to audit a closed system, and the double for tests.

Each line of the file is `{"id": REQUEST_ID, "text": ...}` or `{"id": ..., "items": [title, ...]}`.
A request without a recorded answer was never asked (`not_run`); it is no failure of the
recommender.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.protocols import NOT_RUN, RawResponse
from auditkit.serialization.atomic_files import sha256_file
from auditkit.serialization.canonical_json import read_json
from auditkit.types import Request

__all__ = ["ReplayRecommender"]


class ReplayRecommender:
    """Answers from a JSONL file.

    Raises:
        TargetUnavailable: no such file, a line that is not an answer, or two answers to one id.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"replay:{path.name}"
        if not path.is_file():
            raise TargetUnavailable(
                f"{path} does not exist. Give the JSONL file of recorded answers."
            )
        self._sha256 = sha256_file(path)
        self._answers: dict[str, RawResponse] = {}
        lines: dict[str, int] = {}
        # Not splitlines(): a title may hold U+2028, which JSON need not escape.
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                record = read_json(line.decode("utf-8"))
                request_id = record["id"]
                answer = record["text"] if "text" in record else record["items"]
                if not isinstance(request_id, str):
                    raise TypeError(f"the id {request_id!r} is no text")
                if not _is_answer(answer, expected=str if "text" in record else list):
                    raise TypeError("neither a text nor a list of titles")
            except (ValueError, KeyError, TypeError) as error:
                raise TargetUnavailable(
                    f"{path}:{number} is not an answer ({error}). Write "
                    '{"id": .., "text": ..} or {"id": .., "items": [..]}.'
                ) from None
            if request_id in lines:
                raise TargetUnavailable(
                    f"{path} answers request {request_id} twice, in lines {lines[request_id]} "
                    f"and {number}. Keep one."
                )
            lines[request_id] = number
            self._answers[request_id] = answer

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return self._sha256

    def recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Look every request up by its id."""
        return [self._answers.get(request.id, NOT_RUN) for request in requests]

    def run_notes(self, answered: Collection[str]) -> list[str]:
        """Recorded answers that nobody asked for."""
        foreign = self._answers.keys() - set(answered)
        if not foreign:
            return []
        return [
            f"{len(foreign)} of {len(self._answers)} recorded answers were never asked for, such "
            f"as {min(foreign)!r}: another recipe, seed or data than the plan's?"
        ]


def _is_answer(value: object, *, expected: type) -> bool:
    if isinstance(value, list):
        return expected is list and all(isinstance(title, str) for title in value)
    return value is None or (expected is str and isinstance(value, str))
