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
    """Result of the attack on one user.

    Attributes:
        status: `success` if confirmed and valid, `invalid` if confirmed but not valid, `failed` if
            the goal was not reached, `unconfirmed` if a repeat did not reproduce the success,
            `skipped` if not eligible, `missing` if responses are missing.
        reason: explanation of a status other than `success` and `failed`.
        text: the original text. edits: edits that give the adversarial text; empty if there is
            none.
        clean_items, repeat_items, attacked_items: ids of the lists, best first.
        queries: number of distinct prompts, including those of the confirmation.
        breakdown: whether the adversarial response has no list. near_tie: whether an edit came
            within rounding error of the goal, which does not count as success.
        deterministic: whether repeating the clean request gave an equal list.
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
        """The edits as `old -> new`, with invisible and non-ASCII characters escaped."""
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
        InvalidArgument: a line is not a record; the message names the line.
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
