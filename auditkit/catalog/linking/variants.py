"""Variants of products: items whose titles differ only in values such as color and size.

A title that omits such a value ("Trail Jacket" for "Trail Jacket, Blue, M") names a product of the
catalog, but not one item. The *base* of an item is its full key without its own values. A written
title is compared with the bases three times: unchanged, without the values at its end, and without
any values. The values that it states must be values of the item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from auditkit.catalog.linking.normalize import fold, full_key
from auditkit.catalog.linking.string_array import Strings
from auditkit.catalog.linking.text_hashing import HashTable, text_hashes

__all__ = ["VariantIndex", "VariantMatch", "is_variant_column", "reads_like_variant"]

_MOST_TOKENS = 40
_LONGEST_VALUE = 4  # tokens
_SHORT = 3  # letters of a size
_MOST_OF_VARIANT = 5  # tokens
_LONGEST_SYNONYM = 3  # tokens
_UNIT = re.compile(r"^(\d+)([a-z]{1,3})$")
_SIZES = frozenset(("xs", "s", "m", "l", "xl", "xxl", "xxxl"))


@cache
def _data() -> dict[str, Any]:
    text = (files("auditkit.catalog.linking") / "variant_words.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@cache
def _labels() -> frozenset[str]:
    return frozenset("".join(fold(word)) for word in _data()["labels"])


@cache
def _colors() -> frozenset[str]:
    return frozenset("".join(fold(word)) for word in _data()["colors"])


def is_variant_column(name: str) -> bool:
    """Whether a column of this name usually distinguishes the variants of a product."""
    return name.casefold() in _data()["columns"]


def reads_like_variant(text: str) -> bool:
    """Whether a short text states a color, a size or a number with a unit."""
    tokens = _canonical(fold(text))
    return len(tokens) <= _MOST_OF_VARIANT and any(
        token in _colors()
        or token in _SIZES
        or token in _labels() - {"in"}
        or (token.isdigit() and len(token) <= _SHORT)
        for token in tokens
    )


class VariantMatch(NamedTuple):
    """Items (catalog rows) of one base.

    Attributes:
        rows: items that have every stated value.
        others: all items of the base, if none has every stated value.
    """

    rows: tuple[int, ...]
    others: tuple[int, ...]


class VariantIndex(NamedTuple):
    """Bases and values of all items.

    Attributes:
        bases: full key of every base.
        table: rows of `bases` by hash.
        base_of: int32 [n items], the base of every item.
        items_from, items: base b has the items items[items_from[b] : items_from[b + 1]].
        values: key of every value. codes: int32 [n items, n variants], rows of `values`; -1 if the
            item has none.
    """

    bases: Strings
    table: HashTable
    base_of: NDArray[np.int32]
    items_from: NDArray[np.int64]
    items: NDArray[np.int32]
    values: Strings
    codes: NDArray[np.int32]

    @classmethod
    def build(
        cls, titles: Sequence[str], values: Sequence[Mapping[int, str]]
    ) -> VariantIndex | None:
        """Index items in catalog order.

        Args:
            titles: titles of all items.
            values: for each variant (color, size, ...), its values by row.

        Returns:
            The index; None if no item has a value.
        """
        if not any(values):
            return None
        numbers: dict[str, int] = {}
        codes = np.full((len(titles), len(values)), -1, dtype=np.int32)
        for column, of_rows in enumerate(values):
            for row, text in of_rows.items():
                if key := _value_key(text):
                    codes[row, column] = numbers.setdefault(key, len(numbers))
        keys = list(numbers)
        base_of, bases = _bases(titles, codes, keys)
        order = np.argsort(base_of, kind="stable")
        counts = np.bincount(base_of, minlength=len(bases))
        return cls(
            bases=Strings.pack(bases),
            table=HashTable.build(text_hashes(bases), np.arange(len(bases))),
            base_of=base_of.astype(np.int32),
            items_from=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            items=order.astype(np.int32),
            values=Strings.pack(keys),
            codes=codes,
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays to store, by name."""
        return {
            "variant_bases": self.bases.blob, "variant_base_offsets": self.bases.offsets,
            "variant_table": self.table.keys, "variant_base_of": self.base_of,
            "variant_items_from": self.items_from, "variant_items": self.items,
            "variant_values": self.values.blob, "variant_value_offsets": self.values.offsets,
            "variant_codes": self.codes,
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> VariantIndex | None:
        """Rebuild the index from stored arrays; None if the arrays contain no variants."""
        if "variant_codes" not in arrays:
            return None
        return cls(
            Strings(arrays["variant_bases"], arrays["variant_base_offsets"]),  # type: ignore[arg-type]  # types are those of `arrays`
            HashTable(arrays["variant_table"]),  # type: ignore[arg-type]
            arrays["variant_base_of"],  # type: ignore[arg-type]
            arrays["variant_items_from"],  # type: ignore[arg-type]
            arrays["variant_items"],  # type: ignore[arg-type]
            Strings(arrays["variant_values"], arrays["variant_value_offsets"]),  # type: ignore[arg-type]
            arrays["variant_codes"],  # type: ignore[arg-type]
        )

    def numbers(self) -> dict[str, int]:
        """Row in `values` of every value, by its key."""
        return {key: i for i, key in enumerate(self.values.texts(np.arange(len(self.values))))}

    def find(self, key: str, numbers: Mapping[str, int]) -> VariantMatch | None:
        """Find the items whose base a text names and whose values it states.

        Args:
            key: full key of the text.
            numbers: result of `numbers`.
        """
        tokens = _canonical(key.split(" "))
        if not 0 < len(tokens) <= _MOST_TOKENS:
            return None
        for base, stated in _readings(tokens, numbers):
            rows = self._items_of(base)
            if not len(rows):
                continue
            codes = self.codes[rows]
            fits = np.ones(len(rows), dtype=bool)
            for value in stated:
                fits &= (codes == value).any(axis=1)
            found, others = rows[fits], rows[: 0 if fits.any() else None]
            return VariantMatch(tuple(found.tolist()), tuple(others.tolist()))
        return None

    def of_bases(self, keys: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return, for each full key, the items (catalog rows) with this base."""
        return self._items_of_bases(
            [" ".join(_without_labels(_canonical(key.split(" ")))) for key in keys]
        )

    def of_unknown_value(self, key: str) -> tuple[int, ...]:
        """If a text is a base followed by a size or number that no item has, return the items of
        this base; otherwise no items.

        An unknown size must not be corrected to another size as if it were misspelled.
        """
        tokens = _canonical(key.split(" "))
        for n_left in range(1, min(_LONGEST_VALUE, len(tokens))):
            left = tokens[-n_left:]
            rows = self._items_of(" ".join(_without_labels(tokens[:-n_left])))
            if len(rows) and any(len(t) <= _SHORT or any(map(str.isdigit, t)) for t in left):
                return tuple(rows.tolist())
        return ()

    def has_short_values(self, row: int, key: str) -> bool:
        """Whether a text states every value of an item (catalog row) that is short or numeric."""
        values = self.values.texts([code for code in self.codes[row].tolist() if code >= 0])
        key = " ".join(_canonical(key.split(" ")))
        return all(
            f" {value} " in f" {key} "
            for value in values
            if len(value) <= _SHORT or any(map(str.isdigit, value))
        )

    def differ(self, rows: Sequence[int]) -> bool:
        """Whether items (catalog rows) have different values."""
        return len(rows) > 1 and len(np.unique(self.codes[list(rows)], axis=0)) > 1

    def of_one_base(self, rows: Sequence[int]) -> bool:
        """Whether items (catalog rows) are variants of one product."""
        return len(np.unique(self.base_of[list(rows)])) == 1

    def shortened(
        self, key: str, numbers: Mapping[str, int], rows: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Return the items (catalog rows) that a text names by a shortened base.

        The text states variant values, which the item must have. Its other words, at least two,
        must be a contiguous part of the item's base, the product name without such values.

        Args:
            key, numbers: the text, as in `find`.
            rows: items to choose from.

        Returns:
            The items of `rows` that fit; empty if none does.
        """
        bases = self.bases.texts(self.base_of[rows]) if len(rows) else []
        for base, stated in _readings(_canonical(key.split(" ")), numbers):
            if " " not in base:
                continue
            within = np.array([f" {base} " in f" {text} " for text in bases], dtype=bool)
            for value in stated:
                within &= (self.codes[rows] == value).any(axis=1)
            if within.any():
                return np.asarray(rows[within])
        return np.asarray(rows[:0])

    def _items_of(self, base: str) -> NDArray[np.int32]:
        return self._items_of_bases([base])[0]

    def _items_of_bases(self, bases: Sequence[str]) -> list[NDArray[np.int32]]:
        found = [self.items[:0]] * len(bases)
        numbers, rows = self.table.find(text_hashes(bases))
        texts = self.bases.texts(rows)
        for number, row, text in zip(numbers.tolist(), rows.tolist(), texts, strict=True):
            if text == bases[number]:
                found[number] = self.items[self.items_from[row] : self.items_from[row + 1]]
        return found


def _value_key(text: str) -> str:
    return " ".join(_canonical(fold(text)))


@cache
def _synonyms() -> dict[tuple[str, ...], str]:
    """Map each synonym for a size or color to its usual word, as tokens."""
    return {
        tuple(fold(other)): "".join(fold(word))
        for word, others in _data()["same"].items()
        for other in others
    }


def _canonical(tokens: Sequence[str]) -> list[str]:
    """Split units from their numbers (`256gb`), and replace words for sizes and colors by their
    usual word.
    """
    apart = [part for token in tokens for part in _UNIT.sub(r"\1 \2", token).split()]
    found, start, same = list[str](), 0, _synonyms()
    while start < len(apart):
        length = next(
            (n for n in range(_LONGEST_SYNONYM, 0, -1) if tuple(apart[start : start + n]) in same),
            0,
        )
        found.append(same[tuple(apart[start : start + length])] if length else apart[start])
        start += length or 1
    return found


def _bases(
    titles: Sequence[str], codes: NDArray[np.int32], values: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """The base of every item, as a row of the list of all bases."""
    numbers: dict[str, int] = {}
    base_of = np.empty(len(titles), dtype=np.int64)
    for row, (title, own) in enumerate(zip(titles, codes.tolist(), strict=True)):
        tokens = _canonical(full_key(title).split(" "))
        for code in own:
            if code >= 0:
                tokens = _without_last(tokens, values[code].split(" "))
        base_of[row] = numbers.setdefault(" ".join(_without_labels(tokens)), len(numbers))
    return base_of, list(numbers)


def _without_last(tokens: list[str], value: list[str]) -> list[str]:
    """Tokens without the last occurrence of a value or of a part of it ("Navy" of "Navy Blue");
    unchanged if nothing else would be left.
    """
    for length in range(len(value), 0, -1):
        parts = [value[at : at + length] for at in range(len(value) - length + 1)]
        for start in range(len(tokens) - length, -1, -1):
            if tokens[start : start + length] in parts and len(tokens) > length:
                return tokens[:start] + tokens[start + length :]
    return tokens


def _without_labels(tokens: list[str]) -> list[str]:
    end = len(tokens)
    while end > 1 and tokens[end - 1] in _labels():
        end -= 1
    return tokens[:end]


def _readings(
    tokens: list[str], numbers: Mapping[str, int]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Bases that a text may mean, each with the values that it states."""
    yield " ".join(_without_labels(tokens)), ()
    rest, stated = tokens, tuple[int, ...]()
    while (found := _value_at_end(rest, numbers)) is not None:
        rest, value = found
        stated = (*stated, value)
        yield " ".join(rest), stated
    inner, values = _without_inner(rest, numbers)
    if values and inner:
        yield " ".join(inner), (*stated, *values)


def _value_at_end(tokens: list[str], numbers: Mapping[str, int]) -> tuple[list[str], int] | None:
    """Split off the longest value at the end; return the rest of the text and this value."""
    tokens = _without_labels(tokens)
    for length in range(min(_LONGEST_VALUE, len(tokens) - 1), 0, -1):
        value = numbers.get(" ".join(tokens[-length:]))
        if value is not None:
            return _without_labels(tokens[:-length]), value
    return None


def _without_inner(
    tokens: list[str], numbers: Mapping[str, int]
) -> tuple[list[str], tuple[int, ...]]:
    """Remove all values from the tokens; return the remaining tokens and the values."""
    kept, values, start = list[str](), list[int](), 0
    while start < len(tokens):
        lengths = range(min(_LONGEST_VALUE, len(tokens) - start), 0, -1)
        ends = ((start + n, numbers.get(" ".join(tokens[start : start + n]))) for n in lengths)
        end, value = next(((e, v) for e, v in ends if v is not None), (start + 1, None))
        if value is None:
            kept.append(tokens[start])
        else:
            values.append(value)
        start = end
    return kept, tuple(values)
