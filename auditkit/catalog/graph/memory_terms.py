"""Texts and numeric values of the terms of a graph in memory, by code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from auditkit.catalog.graph.builder import EncodedGraph
from auditkit.catalog.graph.schema import KINDS

__all__ = ["MemoryTerms"]

_FIRST_NUMBERED = KINDS.index("number")


class MemoryTerms:
    """Texts and numeric values of the terms of an encoded graph, by code.

    Args:
        item_ids: item ids in catalog order.
        encoded: the graph.
    """

    def __init__(self, item_ids: Sequence[str], encoded: EncodedGraph) -> None:
        self._items, self._texts = item_ids, encoded.texts
        self._numbers, self._starts = encoded.numbers, encoded.starts

    @property
    def starts(self) -> tuple[int, ...]:
        """First code of each kind of term, then the total number of terms."""
        return self._starts

    @cached_property
    def _codes(self) -> dict[str, list[int]]:
        codes: dict[str, list[int]] = {}
        for code, text in enumerate((*self._items, *self._texts)):
            codes.setdefault(text, []).append(code)
        return codes

    def codes(self, text: str) -> list[int]:
        """Codes of all terms with this text."""
        return self._codes.get(text, [])

    def texts(self, codes: Sequence[int]) -> list[str]:
        """Item id, name or value of each code."""
        n = len(self._items)
        return [self._items[code] if code < n else self._texts[code - n] for code in codes]

    def numbers(self, codes: Sequence[int]) -> list[float | None]:
        """Numeric value of each code; None if the term is not a number."""
        first = self._starts[_FIRST_NUMBERED]
        return [float(self._numbers[code - first]) if code >= first else None for code in codes]
