"""Misspelled titles that word-by-word correction leaves: one catalog title is nearly the same text.

A similarity threshold would also link sequels and remakes, so three conditions replace it: numbers
are equal, at most one or two letters differ in all, and only one catalog title is that near. A
stated year must be that title's; without one, only long titles are accepted. Candidates share a
rare word with the text, or have a word that a token of the text may mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.edit_distance import osa_counter, osa_in_python
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.vocabulary import english_words

__all__ = ["nearest_entries", "small_words_mended"]

RAREST = 12  # words, a misspelled token counts with each word that it may mean
_NUMBER = re.compile(r"\d+")
_ARTICLES = ("la", "le", "les", "el", "los", "las", "il", "lo", "der", "die", "das", "det", "den")
_SHORT, _LONG, _VERY_LONG = 4, 15, 25  # letters of a title
_SMALL_CATALOG = 10_000  # in a larger one, short titles have neighbors of the same year


def small_words_mended(tokens: Sequence[str], *, after_comma: bool) -> Iterator[tuple[str, str]]:
    """Yield each token that may be a misspelled article or `and`, with the full key that is meant.

    An article may be misspelled at the beginning, or at the end after a comma. A full key has no
    English article and no inner `and`, and other articles in front.
    """
    first, last = " ".join(tokens[1:]), " ".join(tokens[:-1])
    if after_comma and last:
        if any(_near(tokens[-1], article) for article in ("the", "a", "an")):
            yield tokens[-1], last
        for article in _ARTICLES:
            if _near(tokens[-1], article):
                yield tokens[-1], f"{article} {last}"
    if first and _near(tokens[0], "the"):
        yield tokens[0], first
    for i in range(1, len(tokens) - 1):
        if _near(tokens[i], "and"):
            yield tokens[i], " ".join([*tokens[:i], *tokens[i + 1 :]])


def _near(token: str, word: str) -> bool:
    return osa_in_python(token, word, 1) == 1


def nearest_entries(
    index: TitleIndex, keys: Sequence[tuple[str, int | None]], *, without: Sequence[int | None]
) -> list[list[int]]:
    """For each full key and its year, the entries at the smallest accepted distance.

    Args:
        without: for each key, an entry that does not count.
    """
    tokens = list(dict.fromkeys(token for key, _ in keys for token in key.split()))
    rows = dict(zip(tokens, index.vocabulary.rows(tokens).tolist(), strict=True))
    meant = index.vocabulary.neighbors(tokens, within=2)
    words = list({other.word for near in meant.values() for other in near})
    rows_of_words = dict(zip(words, index.vocabulary.rows(words).tolist(), strict=True))
    counts, found = index.vocabulary.counts, []
    for (key, year), hidden in zip(keys, without, strict=True):
        own = key.split()
        n_words = sum(rows[token] >= 0 or token in english_words() for token in own)
        known = {rows[token] for token in own if rows[token] >= 0}
        unsure = own if len(known) < 2 else [token for token in own if rows[token] < 0]
        known |= {rows_of_words[other.word] for token in unsure for other in meant.get(token, ())}
        # Of words alone, one may be changed, if another one stays.
        most = 2 if n_words < len(own) else min(1, n_words - 1)
        rarest = sorted(known, key=lambda row: (int(counts[row]), row))[:RAREST]
        found.append(_nearest(index, key, year, index.entries_with(rarest), hidden, most))
    return found


def _nearest(
    index: TitleIndex,
    key: str,
    year: int | None,
    entries: NDArray[np.int32],
    hidden: int | None,
    most: int,
) -> list[int]:
    """Entries at the smallest distance, at most `most`."""
    entries = entries[np.abs(index.letters[entries].astype(np.int64) - len(key)) <= 2]
    if year is not None:
        entries = entries[index.years[entries] == year]
    if hidden is not None:
        entries = entries[entries != hidden]
    if not len(entries):
        return []
    texts = index.keys.texts(entries)
    numbers, small = _NUMBER.findall(key), index.n_entries < _SMALL_CATALOG
    best: dict[int, list[int]] = {}
    distances = osa_counter()([key] * len(texts), texts, 2)
    for entry, text, distance in zip(entries.tolist(), texts, distances, strict=True):
        allowed = min(most, _most(key, text, year, small=small))
        if distance <= allowed and _NUMBER.findall(text) == numbers:
            best.setdefault(distance, []).append(entry)
    return best[min(best)] if best else []


def _most(key: str, text: str, year: int | None, *, small: bool) -> int:
    """Largest accepted number of edits between a text and a title."""
    letters = min(len(key), len(text))
    if year is None:
        return int(letters >= _LONG) + int(letters >= _VERY_LONG)
    if letters < (_SHORT if small else _SHORT + 2):
        return int(small and key[0] == text[0])
    return 1 if letters < (5 if small else 9) else 2
