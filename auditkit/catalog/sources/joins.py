"""Count the rows that a join of two tables matches and the rows that it loses.

Ids are compared as they are written: `1` and `1.0` are different ids. A join that matches nothing
is an error, because the two tables then almost always write the same ids differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.errors import CatalogError

__all__ = ["Join", "record_join"]

Found = TypeVar("Found")
_EXAMPLES = 2


class Join:
    """Looks up the ids of one table in another table, and counts matched and unmatched rows.

    Args:
        left: name of the table whose rows are joined.
        right: name of the table in which the ids are looked up.
        what: plural name of what the ids identify, such as `items`.
        strict: whether an id without a match is an error.
    """

    def __init__(self, left: str, right: str, what: str, *, strict: bool = False) -> None:
        self._left, self._right, self._what, self._strict = left, right, what, strict
        self._one = "entity" if what == "entities" else what[:-1]
        self._unmatched: dict[str, None] = {}
        self.n_matched = self.n_unmatched = 0

    @property
    def strict(self) -> bool:
        """Whether an id without a match is an error."""
        return self._strict

    def count(self, n_matched: int, unmatched: Sequence[str]) -> None:
        """Add rows that were looked up without `find` to the counts.

        Args:
            n_matched: number of rows with a match. unmatched: ids of the rows without a match.
        """
        self.n_matched += n_matched
        self.n_unmatched += len(unmatched)
        if len(self._unmatched) < _EXAMPLES:
            self._unmatched.update(dict.fromkeys(unmatched))

    def find(self, known: Mapping[str, Found], key: str) -> Found | None:
        """Return the entry of an id and count the row; None without a match.

        Raises:
            ValueError: the id has no entry, and the join is strict.
        """
        found = known.get(key)
        if found is not None:
            self.count(1, ())
            return found
        if self._strict:
            raise ValueError(f"{self._one} {key!r} is not in the {self._what} table")
        self.count(0, (key,))
        return None

    def report(self, known: Iterable[str]) -> str:
        """Return a sentence with the numbers of matched and unmatched rows and examples of
        unmatched ids.

        Args:
            known: ids of the table `right`, for examples.

        Raises:
            CatalogError: there are rows, and none matches.
        """
        n = self.n_matched + self.n_unmatched
        counts = (
            f"{self._left} with {self._right}: {self.n_matched} of {n} rows match by {self._one} id"
        )
        if not self.n_unmatched:
            return counts
        ours = " and ".join(map(repr, islice(self._unmatched, _EXAMPLES)))
        if not self.n_matched:
            theirs = " and ".join(map(repr, islice(known, _EXAMPLES))) or "no id"
            raise CatalogError(
                f"{counts}. {self._left} has {ours}, {self._right} has {theirs}. Write the ids in "
                "the same form in both tables."
            )
        return f"{counts}, {self.n_unmatched} do not match and are not used, such as {ours}"


def record_join(draft: CatalogDraft, join: Join, known: Iterable[str]) -> None:
    """Add the counts of a join to a draft, as a warning if rows have no match and otherwise as a
    note.

    Raises:
        CatalogError: there are rows, and none matches.
    """
    counts = join.report(known)
    if join.n_unmatched:
        draft.warn(counts)
    else:
        draft.notes.append(counts)
