"""Items as paths of tokens: distinct, prefix-free, from training rows alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from small_world import world

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.items import CatalogItem
from auditkit.errors import ConfigurationError
from auditkit.training import item_indexing
from auditkit.training.item_indexing import INDEXINGS, index_items
from auditkit.training.rows.history_sampling import training_histories

NAMES = ["item", *INDEXINGS]


def indexed(name, data=None, seed=0):
    data = data or world()
    return index_items(name, data, training_histories(data, fit="all_but_test"), seed=seed)


@pytest.mark.parametrize("name", NAMES)
def test_no_item_is_the_beginning_of_another(name):
    index = indexed(name)
    paths = list(index.values())
    assert list(index) == [item.id for item in world().catalog.items]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert not any(path[:n] in set(paths) for n in range(len(path)))


@pytest.mark.parametrize("name", NAMES)
def test_index_is_a_function_of_seed_and_data(name):
    assert indexed(name) == indexed(name)
    if name in ("random", "collaborative"):
        assert indexed(name, seed=1) != indexed(name)


@pytest.mark.parametrize("name", NAMES)
def test_test_items_move_no_index(name):
    """Whatever users do last, the index is the same."""
    data = world()
    items = data.interactions.item_index.copy()
    last = data.interactions.split().test
    items[last] = np.roll(items[last], 1)
    changed = Dataset(data.catalog, replace(data.interactions, item_index=items))
    assert indexed(name, changed) == indexed(name)


def two_tribes():
    """100 items; the users of each half of the catalog consume nothing of the other."""
    rng = np.random.default_rng(0)
    histories = [
        np.asarray(50 * (user % 2) + rng.choice(50, size=20, replace=False), dtype=np.int32)
        for user in range(80)
    ]
    catalog = Catalog(tuple(CatalogItem(str(i), f"Title {i}") for i in range(100)))
    return Dataset(catalog, world().interactions), histories


@pytest.mark.parametrize("name", ["collaborative", "hybrid"])
def test_items_of_one_tribe_share_their_clusters(name):
    data, histories = two_tribes()
    index = index_items(name, data, histories, seed=0)
    tribes = {}
    for item, path in index.items():
        tribes.setdefault(path[0], set()).add(int(item) // 50)
    assert all(len(found) == 1 for found in tribes.values())


def test_neighbors_in_time_share_their_first_token_when_indexed_sequentially():
    data, _ = two_tribes()
    index = index_items("sequential", data, [np.arange(100, dtype=np.int32)], seed=0)
    firsts = [index[str(i)][0] for i in range(100)]
    assert len(set(firsts)) == 3
    assert sum(a != b for a, b in itertools.pairwise(firsts)) == 2


def test_items_of_one_genre_share_their_semantic_code():
    items = tuple(
        CatalogItem(str(i), f"T{i}", genres=("Horror",) if i % 2 else ("Comedy",))
        for i in range(60)
    )
    data = Dataset(Catalog(items), world().interactions)
    index = index_items("semantic", data, [np.arange(60, dtype=np.int32)], seed=0)
    codes = {}
    for i in range(60):
        codes.setdefault(index[str(i)][0], set()).add(i % 2)
    assert np.mean([len(found) == 1 for found in codes.values()]) > 0.8


@pytest.mark.parametrize("name", ["collaborative", "semantic", "hybrid"])
def test_large_catalog_is_refused_by_methods_with_a_dense_matrix(monkeypatch, name):
    monkeypatch.setattr(item_indexing, "MOST_DENSE_ITEMS", 59)
    with pytest.raises(ConfigurationError, match="this catalog has 60"):
        indexed(name)
    assert len(indexed("sequential")) == 60
