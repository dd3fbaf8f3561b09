from __future__ import annotations

import json

import pytest

from auditkit.catalog import catalog as catalog_module
from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.items import CatalogItem
from auditkit.errors import CatalogError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding, newline="")
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_is_read_with_and_without_byte_order_mark(tmp_path, encoding, end):
    text = end.join(
        ["id,title,year,genres", "1,Toy Story,1995,Animation|Comedy", '2,"Saint, The",,']
    )
    catalog = load_catalog(write(tmp_path / "c.csv", text, encoding))
    assert tuple(catalog.items) == (
        CatalogItem("1", "Toy Story", 1995, ("Animation", "Comedy")),
        CatalogItem("2", "Saint, The"),
    )
    assert [link.item_id for link in catalog.link(["The Saint", "Toy Story (1995)"])] == ["2", "1"]


def test_json_lines_give_the_same_catalog_as_csv(tmp_path):
    table = load_catalog(write(tmp_path / "c.csv", "id,title,year,genres\n1,Café,1995,A|B\n"))
    row = {"id": 1, "title": "Café", "year": 1995, "genres": ["A", "B"]}
    lines = load_catalog(write(tmp_path / "c.jsonl", json.dumps(row)))
    assert table.fingerprint == lines.fingerprint


def test_without_a_year_column_only_a_bracketed_year_is_split_off(tmp_path):
    path = write(tmp_path / "c.csv", "id,title\n1,Heat (1995)\n2,Blues Brothers 2000\n")
    assert [(item.title, item.year) for item in load_catalog(path).items] == [
        ("Heat", 1995),
        ("Blues Brothers 2000", None),
    ]


def test_a_bracketed_year_stays_if_the_year_column_disagrees(tmp_path):
    path = write(
        tmp_path / "c.csv", "id,title,year\n1,Heat (1995),1995.0\n2,Heat (1986),1987\n3,Ran,0\n"
    )
    items = load_catalog(path).items
    assert [(item.title, item.year) for item in items] == [
        ("Heat", 1995),
        ("Heat (1986)", 1987),
        ("Ran", None),
    ]


def test_every_faulty_line_is_named_in_one_message(tmp_path):
    path = write(tmp_path / "c.csv", "id,title,year\n1,A,1990\n,B,\n1,C,\n4,,\n5,E,soon\n6\n")
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    message = str(caught.value)
    for expected in (
        "line 3: empty id",
        "line 4: id '1' is already on line 2",
        "line 5: empty title",
        "line 7: 1 cells",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("c.csv", b"", r"has the columns \(none\) but not id"),
        ("c.csv", b"name,year\nx,1\n", "has the columns name, year but not id"),
        ("c.csv", b"id,title\n", "no items"),
        ("c.csv", b"id,title\n1,\xff\n", "not UTF-8"),
        ("c.jsonl", b"{", "line 1"),
        ("c.jsonl", b"[1]", "not a JSON object"),
        ("c.jsonl", b'{"id": {}, "title": "x"}', "not a string"),
    ],
)
def test_an_unreadable_file_says_what_is_wrong(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogError, match=expected):
        load_catalog(tmp_path / name)


def test_a_missing_file_is_a_catalog_error(tmp_path):
    with pytest.raises(CatalogError, match="cannot be read"):
        load_catalog(tmp_path / "absent.csv")


def test_items_without_unique_ids_are_refused():
    with pytest.raises(CatalogError, match="'1' occurs twice"):
        Catalog((CatalogItem("1", "A"), CatalogItem("1", "B")))


def test_a_catalog_carries_the_facts_of_its_items():
    catalog = Catalog((CatalogItem("1", "Heat", 1995, ("Crime",)),))
    assert catalog.graph.values("1", "genre") == ("Crime",)
    assert catalog.graph.values("1", "decade") == ("1990s",)
    assert catalog.graph.link == "none"


def test_links_that_are_kept_are_those_of_the_linker(monkeypatch):
    monkeypatch.setattr(catalog_module, "_MOST_LINKS", 3)
    items = [CatalogItem(str(n), title, None) for n, title in enumerate(("Heat", "Ran", "Alien"))]
    catalog, requested = Catalog(items), []
    link = catalog.linker.link
    monkeypatch.setattr(
        catalog.linker,
        "link",
        lambda titles, **how: requested.extend(titles) or link(titles, **how),
    )
    written = ["Heat", "Nothing Of This", "Heat", "ran", "Alien (1979)"]
    for titles in (written, written[::-1], ["Alien", *written]):
        assert catalog.link(titles) == link(titles)
    assert requested.count("Heat") == 2  # once, and again after the links were dropped
    assert catalog.link([]) == []
