"""Cells that state no value: one unknown value each, counted, and never a false one."""

from __future__ import annotations

import json

import pytest

from auditkit.catalog.building.build import build_catalog
from auditkit.catalog.building.inputs import Inputs
from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.sources.cell_values import WrittenNumber, cell_texts
from auditkit.errors import CatalogError

SENTINELS = ["\\N", "NA", "N/A", "nan", "NULL", "None", "-"]


def build(folder, text, name="films.csv", mapping=None, **inputs):
    (folder / name).write_text(text, encoding="utf-8")
    if mapping is not None:
        (folder / "m.yaml").write_text(mapping)
        inputs["mapping"] = folder / "m.yaml"
    report = build_catalog(Inputs(sources=(str(folder / name),), **inputs), folder / "films.akg")
    return load_catalog(folder / "films.akg"), report


@pytest.mark.parametrize("sentinel", ["", *SENTINELS, "(no genres listed)", "<NA>"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_a_sentinel_is_an_unknown_value_in_every_column(tmp_path, sentinel, kind):
    names = ("id", "title", "year", "genres", "director")
    rows = [("1", "Heat", sentinel, sentinel, sentinel), ("2", "Ran", "1985", "War", "Kurosawa")]
    if kind == "jsonl":
        text = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
    else:
        text = "\n".join(("," if kind == "csv" else "\t").join(row) for row in (names, *rows))
    catalog, report = build(tmp_path, text, name=f"films.{kind}")
    heat = catalog["1"]
    assert (heat.year, heat.genres) == (None, ())
    for claim in (("year", "1995"), ("genre", "Crime"), ("director", "Michael Mann")):
        assert catalog.graph.verdict("1", *claim) == "unverifiable"
    assert catalog.graph.verdict("2", "genre", "Crime") == "contradicted"
    assert len(report.warnings) == (3 if sentinel else 0)


@pytest.mark.parametrize("title", ["None", "NA", "N/A", "-", "NULL", "nan"])
def test_a_title_that_looks_like_a_sentinel_stays_a_title(tmp_path, title):
    catalog, report = build(tmp_path, f"id,title,aliases\n1,{title},None|\\N\n2,Ran,\n")
    assert (catalog["1"].title, catalog["1"].aliases) == (title, ("None",) * (title != "None"))
    assert catalog.link([title])[0].item_id == "1"
    assert report.warnings == (
        "films.csv: 1 values of aliases are marked as unknown (such as \\N or NA)",
    )


@pytest.mark.parametrize("year", ["-750", "c. 1600", "1995-11-22", "12345", "-750.0", "MCMXCV"])
def test_a_year_that_cannot_be_read_is_unknown_and_the_table_is_used(tmp_path, year):
    text = f"id,title,year\n1,The Odyssey,{year}\n2,Emma,1815\n"
    catalog, report = build(tmp_path, text)
    assert [item.year for item in catalog.items] == [None, 1815]
    assert report.warnings[0].startswith("films.csv: 1 values of year are left out, the first: ")
    assert "line 2: year" in report.warnings[0]
    with pytest.raises(CatalogError, match="line 2: year"):
        build(tmp_path, text, strict=True)
    with pytest.raises(CatalogError, match="line 2: year"):
        build(tmp_path, text, mapping="{strict: true, items: {year: year}}")


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("['Fantasy', 'Young Adult']", ("Fantasy", "Young Adult")),
        ('["Fantasy", "Young Adult"]', ("Fantasy", "Young Adult")),
        ("['Fantasy' 'Young Adult']", ("Fantasy", "Young Adult")),  # numpy
        (r"['Children\'s', \"Men's\"]".replace('\\"', '"'), ("Children's", "Men's")),
        ("['Fantasy', nan, None]", ("Fantasy",)),
        ("[12, 1.50]", ("12", "1.50")),
        ("[]", ()),
        ("[ 'Drama' ]", ("Drama",)),
        ("[REC]", ("[REC]",)),
        ("[Live] 1999", ("[Live] 1999",)),
        ("Crime|Drama", ("Crime", "Drama")),
    ],
)
def test_a_printed_list_is_a_list(cell, values):
    assert cell_texts(cell, "genres") == values


@pytest.mark.parametrize(
    "cell",
    ["['Fantasy', 'Young", "[{'id': 16, 'name': 'Animation'}]", "{'fantasy': 12}", "[['a'], ['b']]",
     "['" + "x" * 100_001 + "']"],
)  # fmt: skip
def test_a_cell_that_begins_like_a_list_and_is_none_cannot_be_read(cell):
    with pytest.raises(ValueError, match=r"genres is .* not a list of texts"):
        cell_texts(cell, "genres")


def test_a_true_claim_about_a_printed_list_is_supported(tmp_path):
    text = (
        "id,title,genres,mood\n1,Eragon,\"['Fantasy', 'Young Adult']\",calm\n"
        "2,Emma,\"['Romance', 'Clas\",calm\n"
    )
    catalog, report = build(tmp_path, text)
    assert catalog.graph.verdict("1", "genre", "Young Adult") == "supported"
    assert catalog.graph.verdict("1", "genre", "Horror") == "contradicted"
    assert catalog.graph.verdict("2", "genre", "Romance") == "unverifiable"
    assert "1 values of genres are left out" in report.warnings[0]


def test_a_mapped_genre_column_is_read_the_same_way(tmp_path):
    text = (
        "code,name,shelves\n1,Eragon,\"['Fantasy', 'NA']\"\n2,Emma,Romance;None\n3,Ubik,{'a': 1}\n"
    )
    mapping = (
        "items: {id: code, title: name}\n"
        "predicates: {genre: {column: shelves, separator: ;, world: closed}}"
    )
    catalog, report = build(tmp_path, text, mapping=mapping)
    assert [item.genres for item in catalog.items] == [("Fantasy",), ("Romance",), ()]
    assert len(report.warnings) == 2


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_ids_and_texts_stay_as_they_are_written(tmp_path, kind):
    ids = ["007", "1.0", "1e5", "12345678901234567890", "0x1F"]
    rows = [
        {"id": i, "title": f"Film {n}", "code": "0042", "size": "1.50"} for n, i in enumerate(ids)
    ]
    path = tmp_path / f"films.{kind}"
    if kind == "csv":
        lines = ["id,title,code,size", *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines))
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        duckdb = pytest.importorskip("duckdb")
        values = ", ".join(str(tuple(row.values())) for row in rows)
        duckdb.sql(
            f"COPY (SELECT * FROM (VALUES {values}) t(id, title, code, size)) TO '{path}' "
            "(FORMAT parquet)"
        )
    build_catalog(Inputs(sources=(str(path),)), tmp_path / "films.akg")
    catalog = load_catalog(tmp_path / "films.akg")
    assert [item.id for item in catalog.items] == ids
    assert catalog.graph.values("007", "code") == ("0042",)
    assert catalog.graph.values("1e5", "size") == ("1.50",)


def test_numbers_of_json_keep_the_text_of_the_file(tmp_path):
    lines = [
        '{"id": 1.0, "title": "A", "size": 1.50, "year": 1995.0, "n": 1}',
        '{"id": 1e5, "title": "B", "size": [2.0, 3], "year": null}',
        '{"id": 12345678901234567890, "title": "C", "size": 1E400}',
    ]
    catalog, report = build(tmp_path, "\n".join(lines), name="films.jsonl")
    assert [item.id for item in catalog.items] == ["1.0", "1e5", "12345678901234567890"]
    assert catalog.graph.values("1.0", "size") == ("1.50",)
    assert set(catalog.graph.values("1e5", "size")) == {"2.0", "3"}
    assert (catalog["1.0"].year, report.warnings) == (1995, ())
    assert WrittenNumber("1.50") == 1.5


def test_large_decimals_of_parquet_keep_every_digit(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "films.parquet"
    duckdb.sql(
        "COPY (SELECT 12345678901234567890::DECIMAL(20, 0) AS id, 'A' AS title, "
        f"1.50::DECIMAL(4, 2) AS size) TO '{path}' (FORMAT parquet)"
    )
    build_catalog(Inputs(sources=(str(path),)), tmp_path / "films.akg")
    catalog = load_catalog(tmp_path / "films.akg")
    assert catalog.items[0].id == "12345678901234567890"
    assert catalog.graph.values(catalog.items[0].id, "size") == ("1.50",)


def test_facts_of_another_table_that_match_no_item_are_an_error_with_examples(tmp_path):
    (tmp_path / "items.csv").write_text("id,title\n1,Heat\n2,Ran\n")
    (tmp_path / "more.csv").write_text("id,mood\n1.0,calm\n2.0,wild\n3.0,wild\n")
    with pytest.raises(CatalogError, match=r"0 of 3 .*'1\.0' and '2\.0'.*'1' and '2'"):
        build_catalog(Inputs(sources=(str(tmp_path),)), tmp_path / "c.akg")
    (tmp_path / "more.csv").write_text("id,mood\n1,calm\n2,wild\n")
    report = build_catalog(Inputs(sources=(str(tmp_path),)), tmp_path / "c.akg")
    assert report.warnings == ()
    assert report.notes == ("more.csv with the catalog: 2 of 2 rows match by item id",)


def test_facts_by_title_that_name_no_item_are_an_error_with_examples(tmp_path):
    (tmp_path / "facts.csv").write_text("title,year,mood\nAlien,1979,wild\nJaws,1975,wild\n")
    with pytest.raises(CatalogError, match=r"0 rows linked.*'Alien \(1979\)'.*'Heat'"):
        build(tmp_path, "id,title\n1,Heat\n2,Ran\n", facts=tmp_path / "facts.csv")


def test_a_link_file_with_other_ids_is_an_error_with_examples(tmp_path):
    (tmp_path / "x.item").write_text("item_id:token\ttitle:token\n1\tHeat\n2\tRan\n")
    (tmp_path / "x.kg").write_text("head:token\trelation:token\ttail:token\nm.1\tr\tm.2\n")
    (tmp_path / "x.link").write_text("item_id:token\tentity_id:token\n01\tm.1\n02\tm.2\n")
    with pytest.raises(CatalogError, match=r"0 of 2 .*'01' and '02'.*'1' and '2'"):
        build_catalog(Inputs(sources=(str(tmp_path),)), tmp_path / "c.akg")
    (tmp_path / "x.link").write_text("item_id:token\tentity_id:token\n1\tg.1\n3\tg.2\n")
    with pytest.raises(CatalogError, match=r"0 of 1 .*'g\.1'.*'m\.1'"):
        build_catalog(Inputs(sources=(str(tmp_path),)), tmp_path / "c.akg")
