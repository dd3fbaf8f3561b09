"""The classic scorers with dense items x items matrices, as references for the sparse ones."""

from __future__ import annotations

import numpy as np


def dense_item_knn(train, *, neighbors=20):
    """Scores [items] of a history, from the whole matrix of cosines."""
    gram = np.asarray((train.T @ train).todense(), dtype=np.float64)
    norm = np.sqrt(np.diagonal(gram))
    scale = np.where(norm == 0, 1.0, norm)
    cosine = gram / scale[:, None] / scale[None, :]
    np.fill_diagonal(cosine, 0.0)
    if neighbors < len(cosine):
        smallest_kept = np.partition(cosine, -neighbors, axis=1)[:, -neighbors]
        cosine[cosine < smallest_kept[:, None]] = 0.0
    return lambda history: _in_order(cosine.T[np.asarray(history, dtype=np.int64)])


def dense_transition_counts(histories, n_items, *, reach=5, recent=5):
    """Scores [items] of a history, from the whole matrix of counts."""
    counts = np.zeros((n_items, n_items))
    for history in histories:
        items = np.asarray(history, dtype=np.int64)
        for distance in range(1, min(reach, len(items) - 1) + 1):
            np.add.at(counts, (items[:-distance], items[distance:]), 1 / distance)

    def score(history):
        latest = np.asarray(history, dtype=np.int64)[::-1][:recent]
        return _in_order((1 / np.arange(1, len(latest) + 1))[:, None] * counts[latest])

    return score


def _in_order(rows):
    """Sum of rows, added one after another."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total
