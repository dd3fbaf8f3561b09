"""Tables that are opened as catalogs: built once into the cache, whatever became of the entry."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys

import pytest

from auditkit.catalog.building import open as opening
from auditkit.catalog.building.open import load_catalog

TABLE = "id,title,year\n1,Heat,1995\n2,Alien,1979\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "catalogs"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "films.csv").write_text(TABLE)
    return tmp_path / "films.csv"


def test_the_catalog_of_a_data_set_loads_by_name(ml100k):
    assert load_catalog("ml-100k").fingerprint == ml100k.catalog.fingerprint


def test_a_table_keeps_its_own_name_and_is_read_once(cache, table, monkeypatch):
    first = load_catalog(table)
    monkeypatch.setattr(opening, "build_catalog", None)
    second = load_catalog(table)
    assert (first.name, second.name) == ("films.csv", "films.csv")
    assert first.fingerprint == second.fingerprint
    assert second.index_folder.is_dir()


def titles(path):
    return [item.title for item in load_catalog(str(path)).items]


def entries(cache):
    return sorted(path for path in cache.iterdir() if path.suffix == ".akg")


def damage_header(entry):
    entry.write_bytes(b"SQLite format 3\0" + b"x" * 5000)


def damage_items(entry):
    with sqlite3.connect(entry) as connection:
        connection.execute("UPDATE items SET year = 99999")


def damage_version(entry):
    with sqlite3.connect(entry) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    "damage", [damage_header, damage_items, damage_version, lambda entry: entry.write_bytes(b"")]
)
def test_a_damaged_entry_is_built_anew(cache, table, damage):
    assert titles(table) == ["Heat", "Alien"]
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    damage(entry)
    assert titles(table) == ["Heat", "Alien"]
    assert entry.read_bytes() == whole


def test_a_lost_or_damaged_index_costs_nothing_but_time(cache, table):
    titles(table)
    (entry,) = entries(cache)
    index = entry.with_name(f"{entry.name}.index")
    (index / "full.npy").write_bytes(b"x")
    assert load_catalog(str(table)).link(["Heat"])[0].item_id == "1"
    shutil.rmtree(index)
    assert load_catalog(str(table)).link(["Heat"])[0].item_id == "1"


def test_the_same_bytes_under_another_suffix_are_another_table(cache, table):
    table.write_text('id,title\n1,"Weird"\n')
    titles(table)
    other = shutil.copy(table, table.with_suffix(".CSV"))
    titles(other)
    assert len(entries(cache)) == 1
    lines = '{"id": "1", "title": "Heat"}\n'
    (table.with_suffix(".jsonl")).write_text(lines)
    (table.with_suffix(".ndjson")).write_text(lines)
    assert titles(table.with_suffix(".jsonl")) == titles(table.with_suffix(".ndjson")) == ["Heat"]
    assert len(entries(cache)) == 3


@pytest.mark.parametrize("name", ["TABLE_READER_VERSION", "SCHEMA_VERSION", "INDEX_FORMAT_VERSION"])
def test_an_entry_of_another_recipe_is_not_used(cache, table, monkeypatch, name):
    titles(table)
    monkeypatch.setattr(opening, name, 99)
    titles(table)
    assert len(entries(cache)) == 2


def test_processes_that_build_the_same_entry_at_once_do_not_meet(cache, table):
    code = (
        "import sys\nfrom auditkit.catalog.building.open import load_catalog\n"
        "print(load_catalog(sys.argv[1]).link(['Alien (1979)'])[0].item_id)"
    )
    command = [sys.executable, "-c", code, str(table)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0] for process in running] == ["2\n"] * 3
    (entry,) = entries(cache)
    assert sorted(path.name for path in cache.iterdir()) == [entry.name, f"{entry.name}.index"]
