"""Products that are named by a part of their long title: `WH-1000XM4` or `Sony WH-1000XM4` for
`Sony WH-1000XM4 Wireless Headphones, Black`.

Only the beginning or the end of a title may be omitted, and one of the written words must be rare,
such as a model number. The caller decides which items of a product match.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.title_index import MAX_POSTINGS, TitleIndex

__all__ = ["rows_of_short_title", "rows_with_rare_word"]

_LEAST_TOKENS = 2
_MOST_TOKENS = 40


def rows_with_rare_word(index: TitleIndex, key: str) -> NDArray[np.int32]:
    """Catalog rows of the items whose title contains the rarest word of a text; empty if even this
    word is common.
    """
    entries = _entries_with_rarest(index, index.vocabulary.rows(key.split(" ")))
    members = [index.members(entry) for entry in entries.tolist()]
    return np.sort(np.concatenate([*members, np.zeros(0, dtype=np.int32)])).astype(np.int32)


def rows_of_short_title(index: TitleIndex, key: str) -> list[int]:
    """Catalog rows of the items whose title contains the words of a text as a contiguous sequence.

    Args:
        key: full key of the text.

    Returns:
        Rows in catalog order; empty if the text has fewer than two words, or no rare word.
    """
    tokens = key.split(" ")
    if not _LEAST_TOKENS <= len(tokens) <= _MOST_TOKENS:
        return []
    words = index.vocabulary.rows(tokens)
    if (words < 0).any():
        return []
    entries = _entries_with_rarest(index, words)
    within = f" {key} "
    found = [
        entry
        for entry, text in zip(entries.tolist(), index.keys.texts(entries), strict=True)
        if within in f" {text} "
    ]
    return sorted(row for entry in found for row in index.members(entry).tolist())


def _entries_with_rarest(index: TitleIndex, words: NDArray[np.int64]) -> NDArray[np.int32]:
    """Entries with the rarest of the known words (rows of the vocabulary, -1 if unknown)."""
    words = words[words >= 0]
    counts = index.vocabulary.counts[words]
    rare = len(words) > 0 and counts.min() < MAX_POSTINGS
    return index.entries_with([int(words[np.argmin(counts)])] if rare else [])
