"""Item indexing: the representation of a catalog item as tokens.

`item` gives every item its own token. The other methods write an item as a path of shared tokens
with a last token that is unique on this path, so no item is a prefix of another. The paths are
chosen at random (`random`), in the order of first consumption (`sequential`), by recursive spectral
clustering of co-consumption (`collaborative`), or by residual quantization of text and
co-consumption vectors (`semantic`); a `hybrid` path is a cluster followed by the item's own token.

Sources: Hua et al. 2023 (random, sequential, collaborative, hybrid indexing for P5); residual
quantization as in TIGER (Rajput et al. 2023), here with k-means on text and co-consumption vectors
instead of a trained autoencoder. Only training interactions are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.vq import kmeans2

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.seeding import generator

__all__ = ["INDEXINGS", "index_items"]

Paths = list[tuple[int, ...]]
_BRANCH = 42  # children of a node; two levels have room for 1,764 items
_DIMENSIONS = 64
MOST_DENSE_ITEMS = 10_000  # the decomposition of a larger matrix takes over 4 GB
_DENSE = ("collaborative", "semantic", "hybrid")


def index_items(
    name: str, dataset: Dataset, histories: Sequence[NDArray[np.int32]], *, seed: int
) -> dict[str, tuple[str, ...]]:
    """Map each item id to a sequence of tokens, such that no sequence is a prefix of another.

    Args:
        name: a key of `INDEXINGS`.
        histories: training history of each user, as catalog row numbers of items, oldest first.

    Raises:
        ConfigurationError: the method decomposes a dense item matrix, and there are more than
            10,000 items.
    """
    ids = list(dataset.catalog.ids)
    if name in _DENSE and len(ids) > MOST_DENSE_ITEMS:
        raise ConfigurationError(
            f"model.indexing {name} decomposes a dense matrix of items x items, which is "
            f"supported for up to {MOST_DENSE_ITEMS:,} items, but this catalog has {len(ids):,}. "
            "Choose item, random or sequential."
        )
    if name == "item":
        return {item_id: (item_reference(item_id),) for item_id in ids}
    paths = INDEXINGS[name](dataset, histories, generator(seed, "indexing", name))
    if name == "hybrid":
        return {
            item_id: (*_inner(path[:-1]), item_reference(item_id))
            for item_id, path in zip(ids, paths, strict=True)
        }
    return {
        item_id: (*_inner(path[:-1]), f"<leaf_{path[-1]}>")
        for item_id, path in zip(ids, paths, strict=True)
    }


def _inner(path: Sequence[int]) -> list[str]:
    """Tokens of the inner nodes of a path; the level is part of the token."""
    return [f"<node_{level}_{child}>" for level, child in enumerate(path)]


def _in_order(order: Sequence[int]) -> Paths:
    """Build two-level paths; runs of adjacent items in `order` share their first node."""
    paths: Paths = [()] * len(order)
    for place, item in enumerate(order):
        paths[item] = (place // _BRANCH, place % _BRANCH)
    return paths


def _random(dataset: Dataset, histories: object, rng: np.random.Generator) -> Paths:
    return _in_order([int(item) for item in rng.permutation(len(dataset.catalog.items))])


def _sequential(
    dataset: Dataset, histories: Sequence[NDArray[np.int32]], rng: np.random.Generator
) -> Paths:
    """Build paths of items in the order of first consumption, user by user."""
    seen = dict.fromkeys(int(item) for history in histories for item in history)
    seen.update(dict.fromkeys(range(len(dataset.catalog.items))))
    return _in_order(list(seen))


def _collaborative(
    dataset: Dataset, histories: Sequence[NDArray[np.int32]], rng: np.random.Generator
) -> Paths:
    together = _co_consumption(len(dataset.catalog.items), histories)
    return _clustered(
        np.arange(len(together)), lambda rows: _spectral(together[np.ix_(rows, rows)], rng)
    )


def _semantic(
    dataset: Dataset, histories: Sequence[NDArray[np.int32]], rng: np.random.Generator
) -> Paths:
    """Build paths of two residual codes of text and co-consumption vectors, and a unique number."""
    residual = np.hstack([_text_vectors(dataset), _co_vectors(dataset, histories)])
    codes = []
    for _ in range(2):
        centers, labels = kmeans2(residual, _BRANCH // 2, minit="++", rng=rng)
        residual = residual - centers[labels]
        codes.append(labels)
    return _numbered([tuple(int(code[i]) for code in codes) for i in range(len(residual))])


INDEXINGS: Mapping[
    str, Callable[[Dataset, Sequence[NDArray[np.int32]], np.random.Generator], Paths]
] = MappingProxyType(
    {
        "random": _random,
        "sequential": _sequential,
        "collaborative": _collaborative,
        "semantic": _semantic,
        "hybrid": _collaborative,
    }
)


def _numbered(paths: Paths) -> Paths:
    """Append to each path its position (0, 1, ...) among equal paths, so that paths are unique."""
    counts: dict[tuple[int, ...], int] = {}
    numbered: Paths = []
    for path in paths:
        counts[path] = counts.get(path, -1) + 1
        numbered.append((*path, counts[path]))
    return numbered


def _co_consumption(n_items: int, histories: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    """Count the users who consumed both items, [items, items]; the diagonal is zero."""
    columns = np.concatenate([np.unique(history) for history in histories])
    indptr = np.concatenate(([0], np.cumsum([len(np.unique(h)) for h in histories])))
    seen = sparse.csr_array(
        (np.ones(len(columns)), columns, indptr), shape=(len(histories), n_items)
    )
    together = np.asarray((seen.T @ seen).todense(), dtype=np.float64)
    np.fill_diagonal(together, 0.0)
    return together


def _clustered(
    rows: NDArray[np.int64], cluster: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> Paths:
    """Build paths by splitting recursively, until no cluster has more than `_BRANCH` items."""
    paths: dict[int, tuple[int, ...]] = {}

    def cut(members: NDArray[np.int64], above: tuple[int, ...]) -> None:
        if len(members) <= _BRANCH:
            paths.update({int(item): (*above, place) for place, item in enumerate(members)})
            return
        labels = cluster(members)
        if len(set(labels)) == 1:  # the clustering cannot separate the items
            labels = np.arange(len(members)) * _BRANCH // len(members)
        for label in range(int(labels.max()) + 1):
            if np.any(labels == label):
                cut(members[labels == label], (*above, label))

    cut(rows, ())
    return [paths[i] for i in range(len(rows))]


def _spectral(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Cluster by the normalized spectrum (Ng, Jordan & Weiss 2001), into at most `_BRANCH`
    clusters.
    """
    degree = weights.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1.0))
    n = min(_BRANCH, len(weights) - 1)
    _, vectors = np.linalg.eigh(weights * scale[:, None] * scale[None, :])
    space = vectors[:, -n:]
    norms = np.linalg.norm(space, axis=1, keepdims=True)
    _, labels = kmeans2(space / np.where(norms > 0, norms, 1.0), n, minit="++", rng=rng)
    return np.asarray(labels, dtype=np.int64)


def _text_vectors(dataset: Dataset) -> NDArray[np.float64]:
    """Unit vectors of genres and title words, from tf-idf reduced by SVD."""
    texts = [
        [*item.genres, *item.title.casefold().split(), str(item.year)]
        for item in dataset.catalog.items
    ]
    words = {word: i for i, word in enumerate(sorted({w for text in texts for w in text}))}
    counts = np.zeros((len(texts), len(words)))
    for row, text in enumerate(texts):
        for word in text:
            counts[row, words[word]] += 1
    counts *= np.log(len(texts) / np.maximum(1, (counts > 0).sum(axis=0)))
    return _reduced(counts)


def _co_vectors(dataset: Dataset, histories: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    return _reduced(np.log1p(_co_consumption(len(dataset.catalog.items), histories)))


def _reduced(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project a table on its first singular vectors and scale its rows to unit length."""
    left, sizes, _ = np.linalg.svd(table, full_matrices=False)
    vectors = left[:, :_DIMENSIONS] * sizes[:_DIMENSIONS]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))
