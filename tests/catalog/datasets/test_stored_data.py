"""Tables are read once; later starts memory-map what the first one stored."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from auditkit.catalog.datasets import user_tables
from auditkit.catalog.datasets.stored_data import open_stored
from auditkit.catalog.datasets.user_tables import load_own_data

DESCRIPTION = """version: 1
name: shop
interactions: {file: events.csv, rating: stars}
items: {file: items.csv, genres: tags, year: year}
users: {file: users.csv, attributes: [gender, region]}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A description and its tables, and a cache that two starts share."""
    monkeypatch.setattr(user_tables, "cache_dir", lambda: tmp_path / "cache")
    (tmp_path / "data.yaml").write_text(DESCRIPTION)
    items = [f"i{n},Thing {n} \u00e9,{'red|blue' if n % 2 else ''},{1990 + n}" for n in range(6)]
    (tmp_path / "items.csv").write_text("id,title,tags,year\n" + "\n".join(items))
    users = [f"u{n},{'fm'[n % 2]},north" for n in range(4)]
    (tmp_path / "users.csv").write_text("id,gender,region\n" + "\n".join(users))
    rows = itertools.product(range(4), range(5))
    events = [f"u{u},i{(u + i) % 6},{100 * u + i},{1 + i}.5" for u, i in rows]
    (tmp_path / "events.csv").write_text("user,item,timestamp,stars\n" + "\n".join(events))
    return tmp_path / "data.yaml"


def entries(shop):
    return sorted((shop.parent / "cache" / "datasets").glob("*"))


def parsed(shop, monkeypatch):
    """The data as the tables give them, without a cache."""
    with monkeypatch.context() as patched:
        patched.setattr(user_tables, "open_stored", lambda _: None)
        return load_own_data(shop)


def test_second_start_reads_no_table_and_has_the_same_data(shop, monkeypatch):
    first = parsed(shop, monkeypatch)
    monkeypatch.setattr(user_tables, "_read", lambda *_: pytest.fail("the tables were read"))
    again = load_own_data(shop)
    assert isinstance(again.interactions.item_index.base, np.memmap)
    assert list(again.catalog.items) == list(first.catalog.items)
    assert again.catalog.items[3:] == tuple(first.catalog.items[3:])
    assert again.notes == first.notes
    assert again.catalog.fingerprint == first.catalog.fingerprint
    assert again.fingerprint == first.fingerprint
    for name in ("user_index", "item_index", "timestamp", "rating"):
        ours, theirs = (getattr(data.interactions, name) for data in (first, again))
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()
    for name in ("user_ids", "item_ids", "attributes", "tie_seed", "n_duplicates", "cuts"):
        assert getattr(again.interactions, name) == getattr(first.interactions, name)
    assert again.catalog.link(["Thing 3 \u00e9"]) == first.catalog.link(["Thing 3 \u00e9"])


def test_stored_fingerprint_is_that_of_the_stored_data(shop):
    stored = load_own_data(shop)
    assert stored.content_sha256
    computed = type(stored)(stored.catalog, stored.interactions)
    assert computed.fingerprint == stored.fingerprint


def test_stored_graph_has_the_facts_of_the_items(shop, monkeypatch):
    first, again = parsed(shop, monkeypatch), load_own_data(shop)
    assert len(again.catalog.graph) == len(first.catalog.graph) == 2 * 6 + 2 * 3
    assert again.catalog.graph.worlds == first.catalog.graph.worlds
    for item in first.catalog.ids:
        for name in ("genre", "year", "decade"):
            values = first.catalog.graph.values(item, name)
            assert again.catalog.graph.values(item, name) == values


def test_another_table_or_description_is_another_entry(shop):
    load_own_data(shop)
    shop.write_text(DESCRIPTION + "split: {validation_from: 2, test_from: 3}\n")
    split = load_own_data(shop)
    events = shop.parent / "events.csv"
    events.write_text(events.read_text().replace("1.5", "2.5"))
    changed = load_own_data(shop)
    assert len(entries(shop)) == 3
    assert split.interactions.cuts == (2, 3)
    assert changed.fingerprint != split.fingerprint


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "meta"])
def test_damaged_entry_is_read_from_the_tables_again(shop, damage):
    whole = load_own_data(shop)
    (entry,) = entries(shop)
    file = entry / ("meta.json" if damage == "meta" else "rating.npy")
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-5] if damage == "cut" else content)
    assert open_stored(entry) is None
    assert load_own_data(shop).fingerprint == whole.fingerprint
    assert open_stored(entry) is not None


def test_cache_that_cannot_be_written_costs_nothing_but_time(shop, monkeypatch):
    whole = load_own_data(shop)
    (shop.parent / "file").write_text("")
    monkeypatch.setattr(user_tables, "cache_dir", lambda: shop.parent / "file")
    assert load_own_data(shop).fingerprint == whole.fingerprint


def test_nothing_unfinished_is_left(shop):
    load_own_data(shop)
    assert [path.name[:10] for path in entries(shop)] != ["unfinished"]
    assert len(entries(shop)) == 1
