r"""Cells that state no value: sentinels of databases and spreadsheets, and unreadable cells.

One unreadable cell is one unknown value, counted in a warning; it does not make the rest of a table
unusable. With `strict` it is an error that names the line. Sentinels, such as `\N` in the tables of
IMDb, state that a value is unknown. A title is never a sentinel: a book may be called None.
"""

from __future__ import annotations

__all__ = ["SENTINELS", "TITLE_SENTINELS", "UnknownCells"]

SENTINELS = frozenset(
    {
        "\\N", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "NULL", "Null", "null",
        "None", "none", "-", "--", "NaT", "(no genres listed)",
    }
)  # fmt: skip


# Other titles of an item may be called None or NA too.
TITLE_SENTINELS = frozenset({"\\N", "#N/A", "<NA>"})


class UnknownCells:
    """Counts the cells of one table without a usable value.

    Args:
        strict: whether an unreadable cell is an error.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        # By column: number of cells, and line and text of the first.
        self._unreadable: dict[str, tuple[int, int, str]] = {}
        self._sentinels: dict[str, tuple[int, int]] = {}

    def sentinel(self, column: str, *, n: int = 1, line: int = 0) -> None:
        """Count values that the table marks as unknown.

        Args:
            column: name of the column or predicate.
            n: number of values. line: line of the first value; 0 if the columns are read row by
                row.
        """
        before, first = self._sentinels.get(column, (0, line))
        self._sentinels[column] = (before + n, first)

    def unreadable(self, column: str, what: str, *, line: int, allowed: bool = False) -> None:
        """Count a value that cannot be read.

        Args:
            column: name of the column or predicate.
            what: what is wrong with the cell.
            line: line of the file; 0 for a source without lines.
            allowed: whether the value is only counted even if `strict`.

        Raises:
            ValueError: `strict` is True and `allowed` is False.
        """
        if self._strict and not allowed:
            raise ValueError(f"{column}: {what}")
        place = f"line {line}: " if line else ""
        n, at, first = self._unreadable.get(column, (0, line, f"{place}{what}"))
        self._unreadable[column] = (n + 1, at, first)

    def warnings(self, name: str) -> list[str]:
        """One warning per column with unreadable values, then one per column with sentinels, in the
        order of their first lines.

        Args:
            name: name of the table.
        """
        unreadable = [
            f"{name}: {n} values of {column} are left out, the first: {first}"
            for column, (n, _, first) in sorted(self._unreadable.items(), key=_first_line)
        ]
        return unreadable + [
            f"{name}: {n} values of {column} are marked as unknown (such as \\N or NA)"
            for column, (n, _) in sorted(self._sentinels.items(), key=_first_line)
        ]


def _first_line(counted: tuple[str, tuple[int, int] | tuple[int, int, str]]) -> int:
    return counted[1][1]
