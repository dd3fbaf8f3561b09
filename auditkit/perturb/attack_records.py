"""Records of attacks: one per user, written as JSON Lines and replayed against other targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from auditkit.errors import InvalidArgument
from auditkit.perturb.goals import Goal
from auditkit.perturb.span_edits import Edits
from auditkit.security.escaping import terminal_text
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json

__all__ = ["AttackRecord", "AttackStatus", "read_records", "write_records"]

AttackStatus = Literal["success", "invalid", "unconfirmed", "failed", "skipped", "missing"]


@dataclass(frozen=True, kw_only=True)
class AttackRecord:
    """The attack on one user.

    Attributes:
        status: `success` is confirmed and valid, `invalid` confirmed and not valid; `unconfirmed`
            was not reproduced; `skipped` was not eligible; `missing` lacks responses.
        reason: why, for other statuses than success and failed.
        text: the text that was edited. edits: of the adversarial text; empty without one.
        clean_items, repeat_items, attacked_items: ids of the lists, best first.
        queries: distinct prompts, with those of the confirmation.
        breakdown: whether the adversarial response has no list. near_tie: whether an edit came
            within rounding of the goal, which does not count as success.
        deterministic: whether a repeat of the clean request gave the same list.
        clean_request, attacked_request: ids in the run log.
    """

    user: str
    search: str
    seed: int
    surface: str
    status: AttackStatus
    goal: Goal = Goal()
    reason: str = ""
    text: str = ""
    edits: Edits = ()
    clean_items: tuple[str, ...] = ()
    repeat_items: tuple[str, ...] = ()
    attacked_items: tuple[str, ...] = ()
    queries: int = 0
    unanswered: int = 0
    breakdown: bool = False
    near_tie: bool = False
    deterministic: bool = True
    clean_request: str = ""
    attacked_request: str = ""

    @property
    def attacked(self) -> bool:
        """Whether the attack was run and answered, so that it counts in rates."""
        return self.status not in ("skipped", "missing")

    @property
    def changed(self) -> bool:
        """Whether a confirmed edit reached the goal, valid or not."""
        return self.status in ("success", "invalid")

    def edits_in_words(self) -> str:
        """The edits as `old -> new`, with invisible and foreign characters as escapes."""
        pairs = [
            f"{_ascii(self.text[edit.begin : edit.end])} -> {_ascii(edit.text)}"
            for edit in self.edits
        ]
        return ", ".join(pairs)


def _ascii(text: str) -> str:
    """A text whose characters beyond ASCII are escapes, so that look-alikes are seen."""
    return terminal_text(text.encode("ascii", "backslashreplace").decode("ascii"))


def write_records(path: Path, records: Iterable[AttackRecord]) -> None:
    """Write one JSON object per line, in ASCII, atomically."""
    write_atomically(path, "".join(canonical_json(asdict(r)) + "\n" for r in records))


def read_records(path: Path) -> list[AttackRecord]:
    """Read the records that `write_records` wrote.

    Raises:
        InvalidArgument: a line that is not a record; the message names it.
    """
    adapter, records = TypeAdapter(AttackRecord), list[AttackRecord]()
    lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            records.append(adapter.validate_python(read_json(line)))
        except (ValueError, ValidationError) as error:
            raise InvalidArgument(
                f"{path}:{number} is not the record of an attack ({type(error).__name__}). Give a "
                "file that write_records wrote."
            ) from None
    return records
