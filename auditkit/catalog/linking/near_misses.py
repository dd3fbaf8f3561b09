"""Search for catalog titles that are similar to a title without a match.

The result only explains why there is no match: another sequel number, or a similar text. It is
never used to link a title, because different films can be equally similar
(docs/explain/hallucination.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditkit.catalog.linking.edit_distance import ratio_counter
from auditkit.catalog.linking.text_hashing import text_hashes
from auditkit.catalog.linking.title_index import MAX_POSTINGS, TitleIndex, without_digits

__all__ = ["near_entries"]

MAX_NEAR = 5
RAREST = 3
LEAST_RATIO = 85.0


def near_entries(index: TitleIndex, keys: Sequence[str]) -> list[list[int]]:
    """Return, for each full key, up to five entries with similar titles, most similar first."""
    usable = ["" if key.startswith("raw:") else key for key in keys]
    ratio = ratio_counter()
    found: list[list[int]] = []
    for key, sharing, numbered in zip(
        usable, _sharing(index, usable), _other_number(index, usable), strict=True
    ):
        scores = zip(sharing, index.keys.texts(sharing), strict=True)
        near = {e: score for e, text in scores if (score := ratio(key, text)) >= LEAST_RATIO}
        near |= {e: ratio(key, index.keys.text(e)) for e in numbered if e not in near}
        found.append(sorted(near, key=lambda e: (-near[e], e))[:MAX_NEAR])
    return found


def _other_number(index: TitleIndex, keys: Sequence[str]) -> list[list[int]]:
    """For each key, find the entries with equal tokens apart from numbers."""
    bare = [without_digits(key) for key in keys]
    found: list[list[int]] = [[] for _ in keys]
    queried, rows = index.bare.find(text_hashes(bare), at_most=MAX_POSTINGS)
    for number, row, text in zip(
        queried.tolist(), rows.tolist(), index.keys.texts(rows), strict=True
    ):
        if bare[number] and without_digits(text) == bare[number]:
            found[number].append(row)
    return found


def _sharing(index: TitleIndex, keys: Sequence[str]) -> list[list[int]]:
    """For each key, entries of similar length that share one of its three rarest words."""
    tokens = list(dict.fromkeys(token for key in keys for token in key.split()))
    rows = index.vocabulary.rows(tokens)
    known = rows >= 0
    words = [token for token, is_known in zip(tokens, known.tolist(), strict=True) if is_known]
    counts = index.vocabulary.counts[rows[known]].tolist()
    rarity = dict(zip(words, zip(counts, rows[known].tolist(), strict=True), strict=True))
    found: list[list[int]] = []
    for key in keys:
        rarest = sorted({rarity[token] for token in key.split() if token in rarity})[:RAREST]
        entries = index.entries_with([row for _, row in rarest])
        letters = index.letters[entries]
        most = 200.0 * np.minimum(letters, len(key)) / (letters + len(key))
        found.append(entries[most >= LEAST_RATIO].tolist())
    return found
