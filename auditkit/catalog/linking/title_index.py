"""Index of the titles of a catalog: sorted arrays, stored as .npy and memory-mapped.

A *row* is one key: rows 0 to n - 1 are the main titles of the n entries, followed by the aliases
and then by the main titles before a colon ("prefixes"). An entry is a unique (title, year) and may
have several items (duplicate entries). Every table maps a hash to rows, and every lookup compares
the key. A hash and a row are packed into one number, which halves the size of the tables.
"""

from __future__ import annotations

import json
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.normalize import (
    full_key,
    joined_key,
    parse_title,
    prefix_of,
    sorted_key,
)
from auditkit.catalog.linking.string_array import Strings
from auditkit.catalog.linking.text_hashing import ROW_BITS, HashTable, text_hashes
from auditkit.catalog.linking.variants import VariantIndex
from auditkit.catalog.linking.vocabulary import Vocabulary
from auditkit.errors import CatalogError
from auditkit.serialization.mapped_arrays import map_array

__all__ = ["INDEX_FORMAT_VERSION", "TitleIndex", "without_digits"]

INDEX_FORMAT_VERSION = 5  # of normalization and layout; a stored index of another one is rebuilt
MAX_POSTINGS = 200
_CHUNK = 1 << 16


class TitleIndex(NamedTuple):
    """Lookup tables of title linking.

    Attributes:
        years: int16 [n entries], 0 if unknown.
        items_from, items: entry e has the items (rows of the catalog) items[items_from[e] :
            items_from[e + 1]], in catalog order.
        keys: full key of every row.
        letters: int32 [n entries], length of each main key.
        entry_of: int32 [rows], the entry of every row.
        n_aliases: number of aliases; rows n to n + n_aliases - 1 are aliases, and later rows are
            prefixes.
        full: rows of main titles and aliases by hash of the full key.
        prefix: rows of prefixes by hash of the full key.
        ordered, joined, bare: rows of main titles by hash of the sorted key, of the key without
            spaces, and of the key without numbers.
        vocabulary: tokens of main titles and aliases.
        postings_from, postings: the first 200 entries that contain word w are
            postings[postings_from[w] : postings_from[w + 1]].
        variants: bases and values of products with variants; None if there are none.
    """

    years: NDArray[np.int16]
    items_from: NDArray[np.int64]
    items: NDArray[np.int32]
    keys: Strings
    letters: NDArray[np.int32]
    entry_of: NDArray[np.int32]
    n_aliases: int
    full: HashTable
    prefix: HashTable
    ordered: HashTable
    joined: HashTable
    bare: HashTable
    vocabulary: Vocabulary
    postings_from: NDArray[np.int64]
    postings: NDArray[np.int32]
    variants: VariantIndex | None = None

    @property
    def n_entries(self) -> int:
        """Number of unique (title, year) pairs."""
        return len(self.years)

    def is_alias(self, row: int) -> bool:
        """Whether this row is an alias and not a main title or prefix."""
        return self.n_entries <= row < self.n_entries + self.n_aliases

    def entries_with(self, words: Sequence[int]) -> NDArray[np.int32]:
        """Entries whose title contains at least one of the words, given as rows of the
        vocabulary.
        """
        parts = [self.postings[self.postings_from[w] : self.postings_from[w + 1]] for w in words]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int32)

    def members(self, entry: int) -> NDArray[np.int32]:
        """Catalog rows of one entry."""
        return self.items[self.items_from[entry] : self.items_from[entry + 1]]

    @classmethod
    def build(
        cls,
        titles: Sequence[str],
        years: Sequence[int | None],
        aliases: Mapping[int, Sequence[str]] | None = None,
        variants: Sequence[Mapping[int, str]] = (),
    ) -> TitleIndex:
        """Index titles in catalog order.

        Args:
            titles: titles without their year.
            years: year of each title; None or 0 if unknown.
            aliases: further titles of some items, by row.
            variants: for each variant, such as color and size, the values by row.

        Raises:
            CatalogError: there are more titles than fit into a table.
        """
        if 3 * len(titles) >= 1 << ROW_BITS:
            raise CatalogError(
                f"{len(titles)} titles are too many for one index. Split the catalog."
            )
        entries, entry_of_item = _entries(titles, years)
        index_of_variants = VariantIndex.build(titles, variants)
        mains, named, prefixes = _keys(
            [title for title, _ in entries], with_aliases=index_of_variants is None
        )
        given = _given_aliases(aliases or {}, entry_of_item, mains)
        others = list(dict.fromkeys([*named, *given]))
        keys = Strings.pack([*mains, *(key for _, key in others), *(key for _, key in prefixes)])
        n, n_aliases = len(entries), len(others)
        extra = [entry for entry, _ in (*others, *prefixes)]
        entry_of = np.concatenate((np.arange(n), np.asarray(extra, dtype=np.int64)))
        counted, postings_from, postings = _postings(
            [*mains, *(key for _, key in others)], entry_of
        )
        order = np.argsort(entry_of_item, kind="stable")
        return cls(
            years=np.asarray([year or 0 for _, year in entries], dtype=np.int16),
            items_from=_offsets(np.bincount(entry_of_item, minlength=n)),
            items=order.astype(np.int32),
            keys=keys,
            letters=np.fromiter(map(len, mains), dtype=np.int32, count=n),
            entry_of=entry_of.astype(np.int32),
            n_aliases=n_aliases,
            full=_table([*mains, *(key for _, key in others)]),
            prefix=_table([key for _, key in prefixes], first=n + n_aliases),
            ordered=_table(map(sorted_key, mains)),
            joined=_table(map(joined_key, mains)),
            bare=_table(map(without_digits, mains)),
            vocabulary=Vocabulary.build(counted),
            postings_from=postings_from,
            postings=postings,
            variants=index_of_variants,
        )

    def save(self, folder: Path, *, source: str) -> None:
        """Write the index to a folder atomically.

        Args:
            folder: the folder of the index, next to the catalog file.
            source: SHA-256 of the indexed catalog.

        Raises:
            OSError: the folder cannot be written, or another process created it meanwhile.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            unfinished = Path(temporary) / folder.name
            unfinished.mkdir()
            for name, values in self._arrays().items():
                np.save(unfinished / f"{name}.npy", values, allow_pickle=False)
            described = {
                "recipe": INDEX_FORMAT_VERSION,
                "source": source,
                "n_aliases": self.n_aliases,
            }
            (unfinished / "index.json").write_text(json.dumps(described), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)

    @classmethod
    def open(cls, folder: Path, *, source: str) -> TitleIndex | None:
        """Memory-map a stored index; None if `folder` has no index of this source and format."""
        try:
            described = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            if described["recipe"] != INDEX_FORMAT_VERSION or described["source"] != source:
                return None
            arrays = {path.stem: map_array(path) for path in folder.glob("*.npy")}
            return cls._from_arrays(arrays, n_aliases=int(described["n_aliases"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        words = self.vocabulary
        return {
            "years": self.years, "items_from": self.items_from, "items": self.items,
            "key_blob": self.keys.blob, "key_offsets": self.keys.offsets, "entry_of": self.entry_of,
            "letters": self.letters,
            "full": self.full.keys, "prefix": self.prefix.keys, "ordered": self.ordered.keys,
            "joined": self.joined.keys, "bare": self.bare.keys,
            "word_blob": words.words.blob, "word_offsets": words.words.offsets,
            "word_counts": words.counts, "word_table": words.table.keys,
            "shorter_by_one": words.shorter_by[0].keys, "shorter_by_two": words.shorter_by[1].keys,
            "postings_from": self.postings_from, "postings": self.postings,
            **(self.variants.arrays() if self.variants is not None else {}),
        }  # fmt: skip

    @classmethod
    def _from_arrays(cls, arrays: dict[str, NDArray[np.generic]], *, n_aliases: int) -> TitleIndex:
        def table(name: str) -> HashTable:
            return HashTable(arrays[name])  # type: ignore[arg-type]  # types are those of `save`

        vocabulary = Vocabulary(
            Strings(arrays["word_blob"], arrays["word_offsets"]),  # type: ignore[arg-type]
            arrays["word_counts"],  # type: ignore[arg-type]
            table=table("word_table"),
            shorter_by=(table("shorter_by_one"), table("shorter_by_two")),
        )
        plain = {name: arrays[name] for name in (
            "years", "items_from", "items", "letters", "entry_of", "postings_from", "postings",
        )}  # fmt: skip
        return cls(
            **plain,  # type: ignore[arg-type]
            keys=Strings(arrays["key_blob"], arrays["key_offsets"]),  # type: ignore[arg-type]
            n_aliases=n_aliases,
            full=table("full"),
            prefix=table("prefix"),
            ordered=table("ordered"),
            joined=table("joined"),
            bare=table("bare"),
            vocabulary=vocabulary,
            variants=VariantIndex.from_arrays(arrays),
        )


def without_digits(key: str) -> str:
    """Full key without numbers; a film and its numbered sequel have equal keys of this kind."""
    return " ".join(token for token in key.split(" ") if not token.isdigit())


def _entries(
    titles: Sequence[str], years: Sequence[int | None]
) -> tuple[list[tuple[str, int | None]], NDArray[np.int64]]:
    """Unique (title, year) pairs in catalog order, and the entry of every item.

    Equal pairs are found by hash; pairs with the same hash are compared.
    """
    hashes = text_hashes(titles)
    hashes ^= np.asarray([year or 0 for year in years], dtype=np.uint64) << np.uint64(40)
    _, first, entry_of = np.unique(hashes, return_index=True, return_inverse=True)
    shared = np.flatnonzero(first[entry_of] != np.arange(len(titles)))
    if all(
        (titles[row], years[row] or None) == (titles[start], years[start] or None)
        for row, start in zip(shared.tolist(), first[entry_of[shared]].tolist(), strict=True)
    ):
        order = np.argsort(first, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        starts = first[order].tolist()
        return [(titles[row], years[row] or None) for row in starts], rank[entry_of]
    numbers: dict[tuple[str, int | None], int] = {}  # used if two pairs have the same hash
    pairs = zip(titles, years, strict=True)
    found = [numbers.setdefault((title, year or None), len(numbers)) for title, year in pairs]
    return list(numbers), np.asarray(found, dtype=np.int64)


def _keys(
    titles: Sequence[str], *, with_aliases: bool
) -> tuple[list[str], list[tuple[int, str]], list[tuple[int, str]]]:
    """Full keys of main titles, (entry, key) of aliases, and (entry, key) of unique prefixes.

    Args:
        with_aliases: whether a text in brackets at the end is an alias instead of a variant.
    """
    mains: list[str] = []
    aliases: list[tuple[int, str]] = []
    fronts: list[tuple[int, str]] = []
    for entry, title in enumerate(titles):
        parsed = parse_title(title, with_year=False)
        if not with_aliases:
            parsed = parsed._replace(core=title, alias=None)
        main = full_key(parsed.core)
        mains.append(main)
        alias = full_key(parsed.alias) if parsed.alias else ""
        if alias and alias != main:
            aliases.append((entry, alias))
        front = full_key(prefix_of(parsed.core) or "")
        if " " in front and front != main:
            fronts.append((entry, front))
    of_prefix = Counter(front for _, front in fronts)
    shared = {key for key, count in of_prefix.items() if count > 1}
    whole = of_prefix.keys() & set(mains) | of_prefix.keys() & {alias for _, alias in aliases}
    prefixes = [(entry, key) for entry, key in fronts if key not in shared and key not in whole]
    return mains, aliases, prefixes


def _given_aliases(
    aliases: Mapping[int, Sequence[str]], entry_of_item: NDArray[np.int64], mains: Sequence[str]
) -> list[tuple[int, str]]:
    """(entry, key) of every alias that the catalog lists."""
    found = [
        (int(entry_of_item[row]), full_key(name))
        for row, names in aliases.items()
        for name in names
    ]
    return [(entry, key) for entry, key in found if key and key != mains[entry]]


def _postings(
    keys: Sequence[str], entry_of: NDArray[np.int64]
) -> tuple[Counter[str], NDArray[np.int64], NDArray[np.int32]]:
    """Count of every token, and `postings_from` and `postings` of the index."""
    counted: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    words, entries = array("i"), array("i")
    for begin in range(0, len(keys), _CHUNK):
        for row in range(begin, min(begin + _CHUNK, len(keys))):
            if keys[row].startswith("raw:"):
                continue
            tokens = keys[row].split()
            counted.update(tokens)
            for token in dict.fromkeys(tokens):
                number = numbers.setdefault(token, len(numbers))
                words.append(number)
                entries.append(row)
    word = np.frombuffer(words, dtype=np.int32) if words else np.empty(0, dtype=np.int32)
    entry = entry_of[np.asarray(entries, dtype=np.int64)].astype(np.int32)
    order = np.argsort(word, kind="stable")
    word, entry = word[order], entry[order]
    starts = _offsets(np.bincount(word, minlength=len(numbers)))
    kept = np.arange(len(word)) - starts[word] < MAX_POSTINGS
    return counted, _offsets(np.bincount(word[kept], minlength=len(numbers))), entry[kept]


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _table(keys: Iterable[str], *, first: int = 0) -> HashTable:
    """Hash table in which keys[i] has row `first` + i; empty keys are left out."""
    hashes, rows = [], []
    texts = list(keys)
    for begin in range(0, len(texts), _CHUNK):
        chunk = texts[begin : begin + _CHUNK]
        hashes.append(text_hashes(chunk))
        rows.append(first + begin + np.flatnonzero([bool(text) for text in chunk]))
        hashes[-1] = hashes[-1][rows[-1] - first - begin]
    if not hashes:
        return HashTable(np.empty(0, dtype=np.uint64))
    return HashTable.build(np.concatenate(hashes), np.concatenate(rows))
