"""`auditkit catalog build`: what it prints, what it refuses."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path

import pytest

from auditkit.catalog.building.build import build_catalog
from auditkit.catalog.building.inputs import Inputs
from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.datasets.download import get_dataset
from auditkit.cli import main
from auditkit.errors import AuditkitError, CatalogError, ConfigurationError, MissingDependency

FACTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "ml-1m-films.csv"
KEYS = {
    "items", "entries", "aliases", "triples", "predicates", "linked", "unlinked", "agreement",
    "self_check", "warnings",
}  # fmt: skip


def write(folder, name, text, encoding="utf-8"):
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


def build(folder, text, name="films.csv", **inputs):
    return build_catalog(
        Inputs(sources=(str(write(folder, name, text)),), **inputs), folder / "films.akg"
    )


def test_it_prints_one_json_object(tmp_path, capsys):
    table = write(tmp_path, "films.csv", "id,title,year,genres\n1,Heat,1995,Crime\n2,Ran,1985,\n")
    with pytest.raises(SystemExit, match="0"):
        main(["catalog", "build", str(table), "--out", str(tmp_path / "c.akg"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert set(said) == KEYS
    assert said["items"] == said["entries"] == 2
    assert said["linked"] is said["unlinked"] is said["agreement"] is None
    assert said["predicates"][0] == {
        "name": "year", "world": "functional", "triples": 2, "subjects": 2,
    }  # fmt: skip
    assert said["self_check"]["recall"]["value"] == 1.0
    assert said["triples"] == len(load_catalog(tmp_path / "c.akg").graph)


def test_people_read_a_table(tmp_path, capsys):
    table = write(tmp_path, "films.csv", "id,title,mood\n1,Heat,tense\n")
    with pytest.raises(SystemExit, match="0"):
        main(["catalog", "build", str(table), "--out", str(tmp_path / "c.akg")])
    captured = capsys.readouterr()
    assert "mood" in captured.out
    assert "1 items, 1 titles, 0 aliases" in captured.out
    assert "indexing titles" in captured.err


def test_ml100k_links_by_the_shipped_crosswalk(ml100k, tmp_path):
    report = build_catalog(Inputs(sources=("ml-100k",)), tmp_path / "ml.akg")
    built = load_catalog(tmp_path / "ml.akg")
    assert report.linked >= 1500
    assert report.agreement >= 0.6
    assert built.graph.link == "checked"
    plain = ml100k.catalog.graph
    assert report.triples == len(plain)
    for item in ml100k.catalog.items[::50]:
        for p in plain.predicates:
            assert built.graph.values(item.id, p.name) == plain.values(item.id, p.name)


def test_the_plain_join_of_ml100k_is_refused(ml100k, tmp_path):
    folder = get_dataset("ml-100k")
    inputs = Inputs(
        items=folder / "ml-100k.item", kg=folder / "ml-100k.kg", link=folder / "ml-100k.link"
    )
    report = build_catalog(inputs, tmp_path / "ml.akg")
    catalog = load_catalog(tmp_path / "ml.akg")
    assert report.linked == 0
    assert report.agreement < 0.2
    assert any("is rejected" in warning for warning in report.warnings)
    assert catalog.graph.link == "refused"
    assert catalog.graph.warnings == report.warnings
    assert [(i.title, i.year) for i in catalog.items] == [
        (i.title, i.year) for i in ml100k.catalog.items
    ]


@pytest.mark.skipif(not FACTS.is_file(), reason="the shared film table is absent")
def test_a_crosswalk_by_title_and_year_links_ml100k(ml100k, tmp_path):
    inputs = Inputs(sources=("ml-100k",), crosswalk=FACTS, facts=FACTS)
    report = build_catalog(inputs, tmp_path / "ml.akg")
    graph = load_catalog(tmp_path / "ml.akg").graph
    assert report.linked >= 1500
    assert report.agreement >= 0.6
    assert graph.worlds["director"] == "closed"
    assert graph.values("2", "director") == ("Martin Campbell",)
    assert "movie_id" not in graph.worlds
    assert graph.values("1", "genre") == ("Animation", "Children's", "Comedy")


def test_facts_are_attached_by_title_and_year_and_never_by_a_guess(tmp_path):
    table = (
        "id,title,year\n1,Heat,1995\n2,Alien,1979\n3,Casablanca,1942\n4,Fargo,1996\n5,Fargo,1952\n"
    )
    facts = write(
        tmp_path,
        "facts.csv",
        "movie_id,title,year,director,actor\n"
        '9,Heat,1995,Michael_Mann_(director),"[\'Al_Pacino\', ""Val_Kilmer""]"\n'
        "8,Alien,1992,Somebody,\n"  # another year
        "7,Casablnaca,1942,Somebody,\n"  # a typo
        "6,Fargo,,Somebody,\n",  # two films
    )
    report = build(tmp_path, table, facts=facts)
    graph = load_catalog(tmp_path / "films.akg").graph
    assert report.warnings == ("facts.csv: 1 rows linked, 2 unlinked, 1 ambiguous",)
    assert (report.linked, report.unlinked) == (1, 4)
    assert graph.values("1", "director") == ("Michael Mann",)
    assert graph.values("1", "actor") == ("Al Pacino", "Val Kilmer")
    assert graph.labels("director") == ("Michael Mann",)


def test_a_mapping_describes_facts_and_their_license(tmp_path):
    facts = write(tmp_path, "facts.csv", "name,made_by\nHeat,Forward Pass\n")
    mapping = write(
        tmp_path,
        "m.yaml",
        "facts:\n  source: {name: Studios, license: CC BY, attribution: them}\n"
        "  predicates: {studio: {column: made_by, type: entity, world: closed}}\n",
    )
    build(tmp_path, "id,title\n1,Heat\n", facts=facts, mapping=mapping)
    graph = load_catalog(tmp_path / "films.akg").graph
    assert graph.values("1", "studio") == ("Forward Pass",)
    said = dict(graph.store._file.rows("SELECT key, value FROM meta"))
    assert {"license": "CC BY", "attribution": "them"}.items() <= json.loads(said["sources"])[
        1
    ].items()


def test_amazon_metadata_is_known_without_a_mapping(tmp_path):
    lines = [
        {"parent_asin": "B1", "title": "Kettle", "store": "Acme", "categories": ["Home", "Kitchen"],
         "price": 12.5, "details": {"Brand": "Other"}, "images": [{"large": "x"}]},
        {"parent_asin": "B2", "title": "Pan", "store": None, "categories": [], "price": "from 9",
         "details": {"Brand": "Panny"}},
    ]  # fmt: skip
    report = build(tmp_path, "\n".join(map(json.dumps, lines)), name="meta.jsonl")
    graph = load_catalog(tmp_path / "films.akg").graph
    assert graph.values("B1", "brand") == ("Acme",)
    assert graph.values("B2", "brand") == ("Panny",)
    assert graph.values("B1", "category") == ("Home", "Kitchen")
    assert graph.verdict("B1", "price", "<20") == "supported"
    assert report.warnings == (
        "meta.jsonl: 1 values of price are left out, the first: line 2: 'from 9' is not a number",
    )


def test_the_second_table_adds_facts_and_references(tmp_path):
    write(tmp_path, "items.csv", "id,title\n1,Alien\n2,Aliens\n")
    write(tmp_path, "more.csv", "id,sequel,mood\n2,1,loud\n1,9,\n7,1,x\n")
    mapping = write(tmp_path, "m.yaml", "predicates:\n  sequel_of: {column: sequel, type: item}\n")
    items = tmp_path / "items.csv"
    with pytest.raises(CatalogError, match="but not sequel"):
        build_catalog(Inputs(sources=(str(items),), mapping=mapping), tmp_path / "c.akg")
    inputs = Inputs(sources=(str(tmp_path),))
    report = build_catalog(inputs, tmp_path / "c.akg")
    assert report.warnings == (
        "more.csv with the catalog: 2 of 3 rows match by item id, 1 do not match and are not used, "
        "such as '7'",
    )
    assert load_catalog(tmp_path / "c.akg").graph.values("2", "mood") == ("loud",)


def test_references_between_items_become_triples(tmp_path):
    mapping = write(tmp_path, "m.yaml", "predicates:\n  sequel_of: {column: sequel, type: item}\n")
    report = build(tmp_path, "id,title,sequel\n1,Alien,\n2,Aliens,1\n3,Ran,8\n", mapping=mapping)
    graph = load_catalog(tmp_path / "films.akg").graph
    assert graph.verdict("2", "sequel_of", "1") == "supported"
    assert report.warnings == (
        "films.csv: 1 of 2 references to items match no item and are left out, such as '8'",
    )


def test_a_mapping_of_the_genre_column_sets_its_world(tmp_path):
    mapping = write(tmp_path, "m.yaml", "predicates: {genre: {column: tags, separator: ;}}\n")
    build(tmp_path, "id,title,tags\n1,Heat,Crime;Drama\n", mapping=mapping)
    catalog = load_catalog(tmp_path / "films.akg")
    assert catalog.items[0].genres == ("Crime", "Drama")
    assert catalog.graph.worlds["genre"] == "open"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,title,runtime\n1,Heat,long\n", "line 2: runtime: 'long' is not a whole number"),
        ("id,title,runtime\n1,Heat,\n1,Ran,\n", "line 3: id '1' is already on line 2"),
        ("id,title\n1,Heat\n", "but not (minutes|runtime)"),
        ("id,title,runtime\n", "contains no items"),
        ("id,title,runtime\n1,Heat,170\n2,Ran\n", "line 3: 2 cells, the header has 3"),
        ("id,title,runtime\n1," + "x" * 200_000 + ",3\n", "line 2: field larger than"),
        ("id,title,runtime,year\n1,Heat,3,99999\n", "line 2: year: year '99999'"),
        ('id,title,runtime\n1,"Heat,3\n2,Alien,3\n3,Jaws,3', "line 2: unexpected end of data"),
        ('id,title,runtime\n1,Ran,3\n2,"Weird Al" Show,3\n', "line 3: ',' expected after"),
        ("id,title,runtime,title\n1,Heat,3,Ran\n", "two columns 'title'"),
        ("id,title,runtime,Title\n1,Heat,3,Ran\n", "two columns 'title'"),
    ],
)
def test_faults_of_a_table_are_named_with_their_line(tmp_path, text, expected):
    mapping = write(tmp_path, "m.yaml", "predicates: {runtime: {column: runtime, type: integer}}\n")
    with pytest.raises(CatalogError, match=expected):
        build(tmp_path, text, mapping=mapping, strict=True)
    assert not (tmp_path / "films.akg").exists()


def test_quotes_in_a_tsv_file_count_only_around_a_whole_cell(tmp_path):
    rows = ['3\t"Crocodile" Dundee', '4\t"Weird Al" Show', '5\tJaws "3', '6\t"Heat"',
            '7\t"Say ""Yes"" Again"', '8\t"Ran', '9\tThe "Burbs"', '10\t"A" and "B"']  # fmt: skip
    build(tmp_path, "id\ttitle\n" + "\n".join(rows) + "\n", name="films.tsv")
    assert [item.title for item in load_catalog(tmp_path / "films.akg").items] == [
        '"Crocodile" Dundee', '"Weird Al" Show', 'Jaws "3', "Heat", 'Say "Yes" Again', '"Ran',
        'The "Burbs"', '"A" and "B"',
    ]  # fmt: skip


def test_a_quoted_cell_of_a_csv_file_may_span_lines(tmp_path):
    build(tmp_path, 'id,title\n1,"Dr.\nStrangelove"\n2,"He said ""no"""\n3,5" Disc\n')
    titles = [item.title for item in load_catalog(tmp_path / "films.akg").items]
    assert titles == ["Dr. Strangelove", 'He said "no"', '5" Disc']


@pytest.mark.parametrize("name", ["films.csv", "films.jsonl", "films.parquet"])
def test_the_usual_column_names_count_in_any_case(tmp_path, name):
    row = {"ID": "1", "Title": "Heat", "Year": 1995, "Genre": "Crime", "Director": "Mann"}
    path = tmp_path / name
    if name.endswith("jsonl"):
        path.write_text(json.dumps(row))
    elif name.endswith("csv"):
        path.write_text(",".join(row) + "\n" + ",".join(map(str, row.values())))
    else:
        import duckdb

        columns = ", ".join(f"'{cell}' AS \"{key}\"" for key, cell in row.items())
        duckdb.sql(f"COPY (SELECT {columns}) TO '{path}' (FORMAT parquet)")
    build_catalog(Inputs(sources=(str(path),)), tmp_path / "films.akg")
    catalog = load_catalog(tmp_path / "films.akg")
    item = catalog.items[0]
    assert (item.id, item.title, item.year, item.genres) == ("1", "Heat", 1995, ("Crime",))
    assert set(catalog.graph.worlds) == {"year", "decade", "genre", "director"}


def test_a_mapping_names_its_columns_by_their_very_spelling(tmp_path):
    mapping = write(tmp_path, "m.yaml", "predicates: {tag: {column: Genre}}\n")
    build(tmp_path, "Id,TITLE,Genre\n1,Heat,Crime\n", mapping=mapping)
    assert load_catalog(tmp_path / "films.akg").graph.values("1", "tag") == ("Crime",)


def test_keys_that_differ_only_in_case_are_refused(tmp_path):
    with pytest.raises(CatalogError, match="line 1: two keys that differ only in case"):
        build(tmp_path, '{"id": "1", "title": "Heat", "Title": "Ran"}\n', name="films.jsonl")


def test_half_of_a_surrogate_pair_in_a_key_is_refused_with_its_line(tmp_path):
    text = '{"id": "1", "title": "Heat"}\n{"id": "2", "title": "Ran", "mood\\ud83d": "x"}\n'
    with pytest.raises(CatalogError, match=r"line 2: the key .* unpaired surrogate"):
        build(tmp_path, text, name="films.jsonl")


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("items: {idd: x}", "m.yaml:1: items.idd: unknown key. Did you mean 'id'"),
        ("predicates:\n  a: {column: b, typ: entity}", "m.yaml:2: predicates.a.typ: unknown key"),
        ("predicates: {a: {column: b, type: person}}", "predicates.a.type"),
        ("predicates: {decade: {column: b}}", "year and decade are reserved"),
        ("predicates: {'a b': {column: b}}", "pattern"),
    ],
)
def test_a_faulty_mapping_is_refused(tmp_path, mapping, expected):
    with pytest.raises(ConfigurationError, match=expected):
        build(tmp_path, "id,title\n1,Heat\n", mapping=write(tmp_path, "m.yaml", mapping))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"sources": ()}, "no source is given"),
        ({"sources": ("absent.csv",)}, "cannot be read"),
        ({"sources": ("films.doc",)}, "has an unknown file type"),
        ({"sources": ("a.ttl",)}, "needs --mapping"),
        ({"sources": ("sparql:http://x/",)}, "needs --mapping"),
        ({"sources": ("bolt://x",)}, "needs --mapping"),
        ({"sources": ("ml-100k",), "kg": Path("x.kg")}, "--kg needs --link"),
    ],
)
def test_unusable_inputs_say_what_to_do(tmp_path, inputs, expected):
    with pytest.raises(CatalogError, match=expected):
        build_catalog(Inputs(**inputs), tmp_path / "c.akg")


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [
        ("duckdb", "a.parquet", "graph"),
        ("pyoxigraph", "a.ttl", "rdf"),
        ("neo4j", "bolt://x", "neo4j"),
    ],
)
def test_a_missing_extra_is_one_error_with_the_pip_line(
    tmp_path, monkeypatch, package, name, extra
):
    real = builtins.__import__

    def without(wanted, *args, **kwargs):
        if wanted.split(".")[0] == package:
            raise ImportError(wanted)
        return real(wanted, *args, **kwargs)

    mapping = write(
        tmp_path, "m.yaml", "items: {label: Film}\n" if extra == "neo4j" else "version: 1\n"
    )
    monkeypatch.setattr(builtins, "__import__", without)
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingDependency, match=rf'pip install "auditkit\[{extra}\]"'):
        build_catalog(Inputs(sources=(name,), mapping=mapping), tmp_path / "c.akg")


def atomic(folder, items, kg, link):
    write(folder, "x.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n" + items)
    write(folder, "x.kg", "head_id:token\trelation_id:token\ttail_id:token\n" + kg)
    write(folder, "x.link", "item_id:token\tentity_id:token\n" + link)
    return Inputs(sources=(str(folder),))


def test_atomic_files_of_any_data_set_are_read(tmp_path):
    n = 60
    genres = ["Rock", "Jazz", "Folk"]
    inputs = atomic(
        tmp_path,
        "".join(f"i{i}\tSong {i} (19{i + 10})\t{genres[i % 3]} unknown\n" for i in range(n)),
        "".join(f"m.{i}\tmusic.song.genre\tg{i % 3}\n" for i in range(n))
        + "m.0\tmusic.song.follows\tm.1\nm.9999\tmusic.song.genre\tg1\n",
        "".join(f"i{i}\tm.{i}\n" for i in range(n)),
    )
    report = build_catalog(inputs, tmp_path / "c.akg")
    catalog = load_catalog(tmp_path / "c.akg")
    assert (report.linked, report.agreement) == (n, 1.0)
    assert catalog.items[0].title == "Song 0"
    assert catalog.items[0].year == 1910
    assert catalog.items[0].genres == ("Rock",)
    assert catalog.graph.values("i0", "kg:music.song.follows") == ("i1",)
    assert catalog.graph.verdict("i0", "kg:music.song.genre", "Rock") == "unverifiable"


def test_a_link_that_cannot_be_checked_is_used_with_a_warning(tmp_path):
    inputs = atomic(tmp_path, "1\tHeat\tunknown\n", "m.1\tr\tm.2\n", "1\tm.1\n")
    report = build_catalog(inputs, tmp_path / "c.akg")
    assert report.agreement is None
    assert report.warnings == (
        "x.link could not be checked, because the catalog or the graph has no genres",
    )
    assert load_catalog(tmp_path / "c.akg").graph.link == "unchecked"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.kg", "a:token\tb:token\n1\t2\n", "3 columns"),
        ("x.kg", "h:token\tr:token\tt:token\n1\t2\n", r"x.kg:2 has 2 columns instead of 3"),
        ("x.link", "no header\n", "name:type"),
        ("x.item", "item_id:token\tclass:token_seq\n1\tA\n", "Name one column id or item_id"),
        ("x.item", "item_id:token\tname:token_seq\n1\t \n", r"x.item:2: empty id or title"),
        ("x.item", "item_id:token\tname:token_seq\n1\tA\n1\tB\n", r"x.item:3: the item id '1'"),
    ],
)
def test_faults_of_atomic_files_are_named(tmp_path, name, text, expected):
    inputs = atomic(tmp_path, "1\tHeat\tA\n", "m.1\tr\tm.2\n", "1\tm.1\n")
    write(tmp_path, name, text)
    with pytest.raises(AuditkitError, match=expected):
        build_catalog(inputs, tmp_path / "c.akg")


def test_years_and_numbers_of_atomic_files_that_cannot_be_read_are_counted(tmp_path):
    inputs = atomic(tmp_path, "", "m.1\tr\tm.2\n", "1\tm.1\n2\tm.2\n")
    header = "item_id:token\tname:token_seq\trelease_year:token\tprice:float\tlang:token\n"
    rows = "1\tHeat (1995)\t99999\t9.5\tNA\n2\tRan (1985)\tV\tfree\ten\n3\tJaws\t1975\t\\N\ten\n"
    write(tmp_path, "x.item", header + rows)
    report = build_catalog(inputs, tmp_path / "c.akg")
    catalog = load_catalog(tmp_path / "c.akg")
    assert [item.display_title for item in catalog.items] == [
        "Heat (1995)", "Ran (1985)", "Jaws (1975)",
    ]  # fmt: skip
    assert catalog.graph.values("2", "price") == ()
    assert catalog.graph.values("1", "lang") == ()
    assert report.warnings[:4] == (
        "x.item: 2 values of year are left out, the first: line 2: '99999' is not a year",
        "x.item: 1 values of price are left out, the first: line 3: 'free' is not a number",
        "x.item: 1 values of lang are marked as unknown (such as \\N or NA)",
        "x.item: 1 values of price are marked as unknown (such as \\N or NA)",
    )


@pytest.mark.parametrize(
    ("text", "linked"),
    [("foreign,ours\nx,1\n", 1), ("id,title,year\nx,Heat,1995\ny,Ran,1985\n", 1)],
)
def test_a_crosswalk_is_a_table_of_pairs_or_of_titles(tmp_path, text, linked):
    inputs = atomic(
        tmp_path, "1\tHeat (1995)\tA\n2\tOran\tA\n", "m.1\tr\tm.2\n", "x\tm.1\ny\tm.3\n"
    )
    crosswalk = write(tmp_path.parent, f"{tmp_path.name}-walk.csv", text)
    inputs = Inputs(sources=inputs.sources, crosswalk=crosswalk)
    assert build_catalog(inputs, tmp_path / "c.akg").linked == linked


def test_a_crosswalk_of_another_shape_is_refused(tmp_path):
    inputs = atomic(tmp_path, "1\tHeat\tA\n", "m.1\tr\tm.2\n", "1\tm.1\n")
    crosswalk = write(tmp_path.parent, f"{tmp_path.name}-walk.csv", "a,b,c\n1,2,3\n")
    with pytest.raises(CatalogError, match="Give two id columns"):
        build_catalog(Inputs(sources=inputs.sources, crosswalk=crosswalk), tmp_path / "c.akg")
