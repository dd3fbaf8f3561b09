"""Tries of titles that are given as lists of token ids."""

from __future__ import annotations

import numpy as np

from auditkit.engine.title_trie import build_trie


def trie_of(titles, *, vocabulary):
    return build_trie(
        np.array([token for title in titles for token in title], np.int32),
        np.array([len(title) for title in titles], np.int64),
        vocabulary=vocabulary,
    )
