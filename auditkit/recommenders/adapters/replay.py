"""Recorded responses as a recommender, to audit a closed system and for tests.

Each line of the file is `{"id": REQUEST_ID, "text": ...}` or `{"id": ..., "items": [title, ...]}`.
A request without a recorded response is `not_run`; it is not a failure of the recommender.
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
    """A recommender that returns the responses of a JSON Lines file.

    Raises:
        TargetUnavailable: the file does not exist, a line is invalid, or two lines have the same
            id.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"replay:{path.name}"
        if not path.is_file():
            raise TargetUnavailable(
                f"{path} does not exist. Give the JSONL file of recorded responses."
            )
        self._sha256 = sha256_file(path)
        self._answers: dict[str, RawResponse] = {}
        lines: dict[str, int] = {}
        # Not splitlines(): a title may contain U+2028, which JSON does not have to escape.
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                record = read_json(line.decode("utf-8-sig" if number == 1 else "utf-8"))
                request_id = record["id"]
                answer = record["text"] if "text" in record else record["items"]
                if not isinstance(request_id, str):
                    raise TypeError(f"the id {request_id!r} is not a string")
                if not _is_answer(answer, expected=str if "text" in record else list):
                    raise TypeError("neither a string nor a list of titles")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise TargetUnavailable(
                    f"{path}:{number} is not a valid response ({error}). Write "
                    '{"id": .., "text": ..} or {"id": .., "items": [..]}.'
                ) from None
            if request_id in lines:
                raise TargetUnavailable(
                    f"{path} has two responses to request {request_id}, in lines "
                    f"{lines[request_id]} and {number}. Keep one of them."
                )
            lines[request_id] = number
            self._answers[request_id] = answer

    def fingerprint(self) -> str:
        """SHA-256 of the response file."""
        return self._sha256

    def recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Look up the response to every request by its id."""
        return [self._answers.get(request.id, NOT_RUN) for request in requests]

    def run_notes(self, answered: Collection[str]) -> list[str]:
        """Note on recorded responses that the audit did not request; empty without any."""
        foreign = self._answers.keys() - set(answered)
        if not foreign:
            return []
        return [
            f"{len(foreign)} of {len(self._answers)} recorded responses were not requested, such "
            f"as {min(foreign)!r}; check that recipe, seed and data are those of the plan."
        ]


def _is_answer(value: object, *, expected: type) -> bool:
    if isinstance(value, list):
        return expected is list and all(isinstance(title, str) for title in value)
    return value is None or (expected is str and isinstance(value, str))
