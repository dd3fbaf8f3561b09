"""The built file: same bytes, everything restored, damage named."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys

import pytest

from auditkit.catalog.building.build import build_catalog
from auditkit.catalog.building.inputs import Inputs
from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.items import CatalogItem
from auditkit.catalog.storage.reader import open_graph
from auditkit.errors import CatalogError

TABLE = (
    "id,title,year,genres,aliases,director\n"
    '1,Heat,1995,"Drama|Crime","Feu|Manhattan Heat",Michael Mann\n'
    '2,"Class of 1984",,Horror,,"Mark L. Lester"\n'
    "3,Heat,1986,Action,,\n"
    "4,Heat,1995,Crime,,Somebody\n"
)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "films.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path / "films.csv"


@pytest.fixture
def built(table):
    build_catalog(Inputs(sources=(str(table),)), table.with_name("films.akg"))
    return table.with_name("films.akg")


@pytest.mark.parametrize("store", ["sqlite", "duckdb"])
def test_a_built_catalog_is_the_table_it_was_built_from(table, store):
    out = table.with_name("films.any-suffix")
    build_catalog(Inputs(sources=(str(table),)), out, store=store)
    restored = load_catalog(out)
    assert tuple(restored.items) == (
        CatalogItem("1", "Heat", 1995, ("Crime", "Drama"), ("Feu", "Manhattan Heat")),
        CatalogItem("2", "Class of 1984", None, ("Horror",)),
        CatalogItem("3", "Heat", 1986, ("Action",)),
        CatalogItem("4", "Heat", 1995, ("Crime",)),
    )
    # Three items have year and decade, five genres in all, three directors.
    assert len(restored.graph) == 3 * 2 + 5 + 3
    titles = ["Manhattan Heat", "Class of 1984", "Heat (1986)", "Heat (1995)"]
    assert [link.item_id for link in restored.link(titles)] == ["1", "2", "3", "1"]
    assert restored.graph.values("1", "director") == ("Michael Mann",)


def test_the_same_input_gives_the_same_bytes_in_another_process(built, table):
    out = table.with_name("again.akg")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from auditkit.catalog.building.build import Inputs, build_catalog\n"
        "build_catalog(Inputs(sources=(sys.argv[1],)), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(table), str(out)],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert out.read_bytes() == built.read_bytes()


def test_the_order_of_facts_in_a_file_changes_nothing_but_the_order_of_items(table, built):
    lines = TABLE.splitlines()
    table.write_text("\n".join([lines[0].replace("year,genres", "year,genres"), *lines[1:]]))
    again = table.with_name("again.akg")
    build_catalog(Inputs(sources=(str(table),)), again)
    assert open_graph(again).labels("director") == open_graph(built).labels("director")


def test_the_file_says_what_it_is(built):
    with sqlite3.connect(built) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (0x4155444B,)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        kinds = {kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM terms")}
        years = connection.execute("SELECT text, num FROM terms WHERE kind = 'number' ORDER BY id")
        assert years.fetchall() == [("1986", 1986.0), ("1995", 1995.0)]
    assert kinds == {"item", "entity", "string", "number"}
    assert len(meta["content_sha256"]) == 64
    assert "films.csv" in meta["sources"]
    assert load_catalog(built).fingerprint == meta["content_sha256"]


def test_a_built_catalog_may_be_sent_to_another_process(built):
    catalog = load_catalog(built)
    assert catalog.graph.verdict("1", "year", "1995") == "supported"
    restored = pickle.loads(pickle.dumps(catalog))
    assert restored.graph.verdict("1", "year", "1995") == "supported"


def test_the_title_index_is_kept_beside_the_file_and_made_anew_for_another_one(built, table):
    index = built.with_name("films.akg.index")
    assert index.is_dir()
    before = (index / "index.json").read_text()
    table.write_text(TABLE + "5,Ran,1985,,,\n", encoding="utf-8")
    build_catalog(Inputs(sources=(str(table),)), built)
    assert load_catalog(built).link(["Ran"])[0].item_id == "5"
    assert (index / "index.json").read_text() != before


def test_a_full_disk_costs_only_the_index(built, monkeypatch):
    shutil.rmtree(built.with_name("films.akg.index"))

    def save(path, values, **options):
        path.write_bytes(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("auditkit.catalog.linking.title_index.np.save", save)
    before = sorted(built.parent.iterdir())
    assert load_catalog(built).link(["Heat (1986)"])[0].item_id == "3"
    assert sorted(built.parent.iterdir()) == before


def test_nothing_writes_to_an_load_catalog(built):
    file = open_graph(built).store._file
    with pytest.raises(CatalogError, match="readonly"):
        file.rows("DELETE FROM triples")


def test_a_failed_build_leaves_the_old_file(built, table, monkeypatch):
    before = built.read_bytes()
    monkeypatch.setattr(
        "auditkit.catalog.storage.sqlite_writer.INDEXES", ("CREATE INDEX nonsense",)
    )
    with pytest.raises(CatalogError, match="cannot be written"):
        build_catalog(Inputs(sources=(str(table),)), built)
    assert built.read_bytes() == before
    assert sorted(p.name for p in built.parent.iterdir()) == [
        "films.akg", "films.akg.index", "films.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_damaged_file_is_an_error_or_gives_the_true_answer(built, place):
    content = bytearray(built.read_bytes())
    begin = int(len(content) * place) // 4096 * 4096
    content[begin : begin + 4096] = b"\xff" * 4096
    built.write_bytes(content)
    found = None
    with contextlib.suppress(CatalogError):
        found = load_catalog(built).graph.values("1", "director")
    assert found in (None, (), ("Michael Mann",))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("PRAGMA user_version = 2", "not a catalog of this version"),
        ("PRAGMA application_id = 0", "not a catalog of this version"),
        ("DROP TABLE aliases", "not a catalog of this version"),
        ("DELETE FROM meta WHERE key = 'link'", "'link'"),
        ("UPDATE meta SET value = 'odd' WHERE key = 'link'", "'odd' is not one of"),
        ("UPDATE meta SET value = '[0,9,1]' WHERE key = 'starts'", "invalid term ranges"),
        ("UPDATE predicates SET world = 'shut'", "'shut' is not one of"),
        ("UPDATE items SET year = 'soon' WHERE row = 1", "its year is not valid"),
        ("UPDATE items SET row = 9 WHERE row = 3", "out of order"),
        ("DELETE FROM items WHERE row = 1", "has 3 items, but its metadata says 4"),
        ("DELETE FROM terms WHERE id > 5", "it has 6 terms, but"),
        ("UPDATE items SET year = 99999 WHERE row = 1", "its year is not valid"),
        ("UPDATE items SET year = -1 WHERE row = 1", "its year is not valid"),
        ("UPDATE items SET title = x'ff00' WHERE row = 1", "is not a string"),
        ("UPDATE items SET item_id = x'31' WHERE row = 1", "is not a string"),
        ("UPDATE items SET item_id = '1' WHERE row = 1", "occurs twice"),
        ("UPDATE aliases SET text = x'ff'", "is not a string"),
        ("UPDATE aliases SET row = 7", "belongs to no item"),
        ("UPDATE predicates SET name = 'year'", "two have the same name"),
        ("UPDATE predicates SET id = 9 WHERE id = 3", "not numbered"),
        ("UPDATE meta SET value = '-1' WHERE key = 'triples'", "-1 is not a count"),
        ("UPDATE meta SET value = '1e3' WHERE key = 'triples'", "is not a count"),
        ("UPDATE meta SET value = 'x' WHERE key = 'warnings'", "cannot be read as a catalog"),
        ("UPDATE meta SET value = '\"x\"' WHERE key = 'warnings'", "is not a list"),
        ("UPDATE meta SET value = '[0,4.0]' WHERE key = 'starts'", "is not a count"),
        ("UPDATE meta SET value = x'00' WHERE key = 'link'", "is not a string"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(built, statement, expected):
    with sqlite3.connect(built) as connection:
        connection.execute(statement)
    with pytest.raises(CatalogError, match=expected):
        load_catalog(built)


def test_a_term_that_is_no_text_is_refused(built):
    with sqlite3.connect(built) as connection:
        connection.execute("UPDATE terms SET text = x'ff' WHERE kind = 'entity'")
    with pytest.raises(CatalogError, match="is not a string"):
        open_graph(built).values("1", "director")


@pytest.mark.parametrize("store", ["sqlite", "duckdb"])
def test_the_umask_decides_who_may_read_a_built_file(table, store):
    out = table.with_name("shared.akg")
    before = os.umask(0o027)
    try:
        build_catalog(Inputs(sources=(str(table),)), out, store=store)
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o640


def test_no_input_is_replaced_by_the_catalog(table):
    link = table.with_name("link.akg")
    link.symlink_to(table)
    for out in (table, link):
        with pytest.raises(CatalogError, match="same file as the input"):
            build_catalog(Inputs(sources=(str(table),)), out)
    mapping = table.with_name("m.yaml")
    mapping.write_text("version: 1\n")
    with pytest.raises(CatalogError, match="same file as the input"):
        build_catalog(Inputs(sources=(str(table),), mapping=mapping), mapping)
    assert table.read_text() == TABLE


def foreign_sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine(x)")


def foreign_duckdb(path):
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine(x INTEGER)")


@pytest.mark.parametrize(
    "make", [foreign_sqlite, foreign_duckdb, lambda p: p.write_text("notes"), lambda p: p.mkdir()]
)
def test_what_is_no_catalog_of_ours_is_not_replaced(table, make):
    out = table.with_name("other")
    make(out)
    before = out.read_bytes() if out.is_file() else None
    with pytest.raises(CatalogError, match="exists and is not an auditkit catalog"):
        build_catalog(Inputs(sources=(str(table),)), out)
    assert before == (out.read_bytes() if out.is_file() else None)


@pytest.mark.parametrize("store", ["sqlite", "duckdb"])
def test_a_catalog_of_ours_is_replaced_even_if_it_is_damaged(table, built, store):
    if store == "duckdb":
        built.unlink()
        build_catalog(Inputs(sources=(str(table),)), built, store=store)
    else:
        built.write_bytes(built.read_bytes()[:4096])
    build_catalog(Inputs(sources=(str(table),)), built)
    assert len(load_catalog(built)) == 4


def test_the_folder_of_somebody_else_is_not_taken_for_the_title_index(table, built):
    folder = built.with_name("new.akg.index")
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(CatalogError, match="is not a title index"):
        build_catalog(Inputs(sources=(str(table),)), built.with_name("new.akg"))
    shutil.copy(built, built.with_name("new.akg"))
    assert load_catalog(built.with_name("new.akg")).link(["Heat (1986)"])[0].item_id == "3"
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_triples_that_the_file_does_not_name_are_refused(built):
    with sqlite3.connect(built) as connection:
        connection.execute("INSERT INTO triples VALUES (0, 0, 1 << 40)")
        connection.execute("DELETE FROM triples WHERE s = 2")
    graph = open_graph(built)
    with pytest.raises(CatalogError, match="does not contain the"):
        graph.check([0] * 2000, 0, 0)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"SQLite format 3\0" + b"x" * 5000])
def test_half_a_file_is_an_error(tmp_path, content):
    (tmp_path / "c.akg").write_bytes(content)
    with pytest.raises(CatalogError):
        load_catalog(tmp_path / "c.akg")


def test_a_foreign_duckdb_file_is_refused(tmp_path):
    import duckdb

    with duckdb.connect(str(tmp_path / "c.duckdb")) as connection:
        connection.execute("CREATE TABLE meta(key VARCHAR, value VARCHAR)")
    with pytest.raises(CatalogError, match="not a catalog of this version"):
        load_catalog(tmp_path / "c.duckdb")
