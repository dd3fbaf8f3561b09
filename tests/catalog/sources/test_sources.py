"""Every source that can say the same gives the same answers: one contract, all adapters."""

from __future__ import annotations

import json

import numpy as np
import pyoxigraph
import pytest
from film_sources import (
    FILMS,
    HOSTILE,
    NODE_MAPPING,
    RDF_MAPPING,
    TABLE_MAPPING,
    FakeDriver,
    rdf_store,
    write_rdf,
    write_table,
)
from sparql_server import sparql_server

from auditkit.catalog.building.build import build_catalog
from auditkit.catalog.building.inputs import Inputs, read_inputs
from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.sources import neo4j as neo4j_graph
from auditkit.catalog.sources.column_mapping import NodeMapping, RdfMapping, read_mapping
from auditkit.catalog.sources.neo4j import add_nodes
from auditkit.catalog.sources.rdf import add_rdf, iri
from auditkit.catalog.sources.rdf_file import RdfFile
from auditkit.catalog.sources.sparql_endpoint import Endpoint
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.errors import CatalogError, ConfigurationError

KINDS = ("csv", "tsv", "jsonl", "parquet", "nt", "ttl", "rdf", "sparql", "neo4j")
STORES = ("sqlite", "duckdb")


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def built_from(kind, folder, store="sqlite", monkeypatch=None):
    folder.mkdir(exist_ok=True)
    out = folder / f"films-{kind}.{store}"
    if kind in ("csv", "tsv", "jsonl", "parquet"):
        sources = (str(write_table(folder, kind)),)
        mapping = write(folder, "table.yaml", TABLE_MAPPING)
        build_catalog(Inputs(sources=sources, mapping=mapping), out, store=store)
    elif kind in ("nt", "ttl", "rdf"):
        mapping = write(folder, "rdf.yaml", RDF_MAPPING)
        inputs = Inputs(sources=(str(write_rdf(folder, kind)),), mapping=mapping)
        build_catalog(inputs, out, store=store)
    elif kind == "sparql":
        mapping = write(folder, "rdf.yaml", RDF_MAPPING)
        with sparql_server(rdf_store()) as (url, _):
            inputs = Inputs(sources=(f"sparql:{url}",), mapping=mapping)
            build_catalog(inputs, out, store=store)
    else:
        driver = FakeDriver(built_from("csv", folder))
        mapping = write(folder, "nodes.yaml", NODE_MAPPING)
        monkeypatch.setattr(neo4j_graph, "connect", lambda url: driver)
        build_catalog(Inputs(sources=("bolt://films",), mapping=mapping), out, store=store)
    return load_catalog(out)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return built_from("csv", tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_source_and_store_gives_the_same_answers(
    kind, store, reference, tmp_path, monkeypatch
):
    catalog = built_from(kind, tmp_path, store, monkeypatch)
    graph, expected = catalog.graph, reference.graph
    order = [catalog.index[item.id] for item in reference.items]

    assert {i.id: (i.title, i.year, i.genres, set(i.aliases)) for i in catalog.items} == {
        i.id: (i.title, i.year, i.genres, set(i.aliases)) for i in reference.items
    }
    assert len(graph) == len(expected)
    assert dict(graph.worlds) == dict(expected.worlds)
    for p in expected.predicates:
        assert graph.labels(p.name) == expected.labels(p.name)
        assert [graph.values(f["item_id"], p.name) for f in FILMS] == [
            expected.values(f["item_id"], p.name) for f in FILMS
        ]
        there = graph.has(order, graph.predicate(p.name))
        assert there.tolist() == expected.has(np.arange(4), expected.predicate(p.name)).tolist()
        for value in (*expected.labels(p.name), "nobody", "1995", "<2000"):
            for film in FILMS:
                assert graph.verdict(film["item_id"], p.name, value) == expected.verdict(
                    film["item_id"], p.name, value
                )
    for constraint in (
        Constraint("year", ">=", "1999"),
        Constraint("genre", "!=", "Drama"),
        Constraint("director", "=", "Michael Mann"),
        Constraint("runtime", "<", "160"),
    ):
        names = [catalog.items[row].id for row in graph.select([constraint])]
        assert sorted(names) == [reference.items[row].id for row in expected.select([constraint])]
    assert paths(catalog, "f1", "f2") == paths(reference, "f1", "f2")
    assert [link.item_id for link in catalog.link(["Feu", "Heat (1995)", "愛美麗"])] == [
        "f1",
        "f1",
        "f4",
    ]


def paths(catalog, a, b):
    found = catalog.graph.paths([catalog.index[a]], [catalog.index[b]])
    return {
        (int(hops), catalog.graph.predicates[p].name, catalog.graph.label(v))
        for hops, p, v in zip(found.hops, found.predicate, found.value, strict=True)
    }


def test_the_answers_are_those_of_the_films(reference):
    graph = reference.graph
    assert graph.values("f1", "genre") == ("Crime", "Drama")
    assert graph.values("f3", "director") == ("?s ?p ?o } #", HOSTILE)
    assert graph.verdict("f1", "runtime", "170") == "supported"
    assert graph.verdict("f1", "runtime", "171") == "contradicted"
    assert graph.verdict("f1", "actor", "Audrey Tautou") == "unverifiable"
    assert paths(reference, "f1", "f2") == {
        (2, "genre", "Drama"),
        (2, "director", "Michael Mann"),
        (2, "actor", "Al Pacino"),
        (2, "decade", "1990s"),
    }


def test_facts_of_a_graph_join_the_items_of_a_table(tmp_path):
    items = write(tmp_path, "items.csv", "id,title\nf1,Heat\nf2,The Insider\nf9,Ran\n")
    mapping = write(tmp_path, "rdf.yaml", RDF_MAPPING)
    inputs = Inputs(sources=(str(write_rdf(tmp_path, "nt")),), items=items, mapping=mapping)
    report = build_catalog(inputs, tmp_path / "films.akg")
    graph = load_catalog(tmp_path / "films.akg").graph
    assert (report.items, report.linked, report.unlinked) == (3, 2, 1)
    assert graph.values("f2", "director") == ("Michael Mann",)
    assert graph.values("f9", "director") == ()


def test_an_object_without_a_label_contradicts_no_name(tmp_path):
    turtle = """
        @prefix : <http://example.org/> .
        @prefix r: <http://www.w3.org/2000/01/rdf-schema#> .
        :a a :Film ; r:label "Heat" ; :director :p1 .
        :b a :Film ; r:label "Ran" ; :director :p2 .
        :p2 r:label "Akira Kurosawa"@en , "Kurosawa Akira"@ja .
    """
    mapping = write(tmp_path, "m.yaml", RDF_MAPPING.replace(", id: http://example.org/id", ""))
    source = str(write(tmp_path, "films.ttl", turtle))
    build_catalog(Inputs(sources=(source,), mapping=mapping), tmp_path / "films.akg")
    graph = load_catalog(tmp_path / "films.akg").graph
    heat, ran = "http://example.org/a", "http://example.org/b"
    assert graph.values(ran, "director") == ("Akira Kurosawa",)
    assert graph.verdict(ran, "director", "Michael Mann") == "contradicted"
    assert graph.verdict(heat, "director", "Michael Mann") == "unverifiable"


def test_queries_ask_for_blocks_of_checked_iris_in_a_fixed_order():
    mapping = RdfMapping.model_validate(
        {"items": {"prefix": "http://e/"}, "predicates": {"mood": {"iri": "http://e/mood"}}}
    )
    draft = CatalogDraft()
    for number in range(1201):
        draft.add_item(f"{number}", f"Film {number}")
    store, node = rdf_store(), pyoxigraph.NamedNode
    mood = pyoxigraph.Literal("calm")
    store.add(pyoxigraph.Quad(node("http://e/1200"), node("http://e/mood"), mood))
    with sparql_server(store) as (url, queries), Endpoint(url) as endpoint:
        add_rdf(draft, endpoint, mapping)
    assert draft.notes[-1].endswith("1 of 1201 items have values in the graph")
    assert [query.count("<http://e/") - 1 for query in queries] == [500, 500, 201, 201]
    assert all("VALUES ?s {" in query and "ORDER BY ?s ?o" in query for query in queries)


@pytest.mark.parametrize(
    "text",
    [
        "http://e/x> } DELETE",
        "no iri",
        "",
        'http://e/"',
        "http://e/\n",
        "javascript",
        "http://e/\ud83d",
    ],
)
def test_what_could_end_an_iri_is_refused(text):
    with pytest.raises(CatalogError, match="is not a valid IRI"):
        iri(text)


def test_an_item_id_that_is_no_iri_is_refused(tmp_path):
    mapping = RdfMapping.model_validate({"items": {"prefix": "http://e/"}})
    draft = CatalogDraft()
    draft.add_item("x> } DROP ALL #", "Film")
    with (
        sparql_server(rdf_store()) as (url, queries),
        Endpoint(url) as endpoint,
        pytest.raises(CatalogError, match="is not a valid IRI"),
    ):
        add_rdf(draft, endpoint, mapping)
    assert queries == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 500, "body": b"secret"}, "status 500"),
        ({"body": b"<html>"}, "not a SPARQL result"),
        ({"body": b"[" * 100_000}, "not a SPARQL result"),
        ({"body": b'{"results": {"bindings": 3}}'}, "not a SPARQL result"),
        ({"body": b'{"results": {"bindings": [{"s": {"type": "odd"}}]}}'}, "not an RDF term"),
    ],
)
def test_a_server_that_answers_something_else_is_an_error(answer, expected):
    with (
        sparql_server(rdf_store(), **answer) as (url, _),
        Endpoint(url.replace("http://", "http://me:secret@")) as endpoint,
        pytest.raises(CatalogError, match=expected) as caught,
    ):
        list(endpoint.select("SELECT * WHERE { ?s ?p ?o }"))
    assert "secret" not in str(caught.value)


def test_an_endpoint_that_is_down_is_an_error():
    with (
        Endpoint("http://127.0.0.1:9/query") as endpoint,
        pytest.raises(CatalogError, match="ConnectError"),
    ):
        list(endpoint.select("SELECT * WHERE { ?s ?p ?o }"))


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x/", "localhost:7878", "file:///etc/passwd", "http://[", "http://localhost:abc/",
     "http://localhost:99999/", "http://x/\n"],
)  # fmt: skip
def test_only_http_is_an_endpoint(url):
    with pytest.raises(CatalogError, match="needs a URL"):
        Endpoint(url)


def many_films(n):
    store = pyoxigraph.Store()
    turtle = "@prefix : <http://e/> . @prefix r: <http://www.w3.org/2000/01/rdf-schema#> .\n"
    turtle += "".join(
        f':f{i} a :Film ; r:label "Film {i}" ; :mood "calm"@en, "calm", "calm"@fr, "{i % 3}" .\n'
        for i in range(n)
    )
    store.load(turtle.encode(), format=pyoxigraph.RdfFormat.TURTLE)
    return store


MANY = RdfMapping.model_validate(
    {
        "items": {"type": "http://e/Film", "prefix": "http://e/"},
        "predicates": {"mood": {"iri": "http://e/mood"}},
    }
)


@pytest.mark.parametrize("most_rows", [1, 10, 25, 26])
def test_a_server_that_caps_its_answers_gives_the_whole_graph(most_rows):
    drafts = []
    for cap in (None, most_rows):
        drafts.append(CatalogDraft())
        with sparql_server(many_films(25), most_rows=cap) as (url, _), Endpoint(url) as endpoint:
            add_rdf(drafts[-1], endpoint, MANY)
    whole, paged = drafts
    assert len(whole) == 25
    assert (paged.ids, paged.titles) == (whole.ids, whole.titles)
    whole, paged = (draft.graph.encode(len(draft)) for draft in drafts)
    assert paged.texts == whole.texts
    assert paged.keys.tolist() == whole.keys.tolist()


def test_a_server_that_is_not_capped_is_asked_no_more_than_needed():
    with sparql_server(many_films(25)) as (url, queries), Endpoint(url) as endpoint:
        add_rdf(CatalogDraft(), endpoint, MANY)
    assert sum("OFFSET" in query for query in queries) <= 3


def test_a_server_that_caps_its_answers_and_knows_no_offset_is_an_error():
    with (
        sparql_server(many_films(25), most_rows=10, offset=False) as (url, _),
        Endpoint(url) as endpoint,
        pytest.raises(CatalogError, match="returns only 10 rows per response and ignores OFFSET"),
    ):
        add_rdf(CatalogDraft(), endpoint, MANY)


def test_half_of_a_surrogate_pair_from_a_server_is_an_error():
    body = json.dumps(
        {"results": {"bindings": [{"s": {"type": "literal", "value": "Heat \ud83d"}}]}}
    )
    with (
        sparql_server(rdf_store(), body=body.encode()) as (url, _),
        Endpoint(url) as endpoint,
        pytest.raises(CatalogError, match=r"SPARQL endpoint .* unpaired surrogate"),
    ):
        list(endpoint.select("SELECT * WHERE { ?s ?p ?o }"))


def test_neo4j_queries_hold_no_values(reference):
    draft, driver = CatalogDraft(), FakeDriver(reference)
    mapping = NodeMapping.model_validate(
        {
            "items": {
                "label": "Film", "id": "code", "title": "name", "year": "released",
                "aliases": "others",
            },
            "predicates": {
                "director": {"relationship": "DIRECTED", "direction": "in", "type": "entity"}
            },
            "database": "films",
        }
    )  # fmt: skip
    add_nodes(draft, driver, mapping)
    assert len(draft) == len(FILMS)
    fixed = {neo4j_graph.ITEMS, neo4j_graph.PROPERTIES, neo4j_graph.IN, neo4j_graph.OUT}
    assert {query for query, _, _ in driver.asked} <= fixed
    assert all(settings["database_"] == "films" for _, _, settings in driver.asked)
    assert all(settings["routing_"] == "r" for _, _, settings in driver.asked)


def test_neo4j_adds_facts_to_the_items_of_a_table(reference, tmp_path, monkeypatch):
    items = write(tmp_path, "items.csv", "id,title\nf2,The Insider\nf9,Ran\n")
    mapping = write(tmp_path, "nodes.yaml", NODE_MAPPING)
    monkeypatch.setattr(neo4j_graph, "connect", lambda url: FakeDriver(reference))
    draft = read_inputs(Inputs(sources=("bolt://x",), items=items, mapping=mapping))
    assert draft.linked == {0}
    assert draft.warnings == ["bolt://x: 3 nodes are not items of the catalog and are left out"]


def test_a_faulty_rdf_file_names_the_line(tmp_path):
    path = write(
        tmp_path, "bad.ttl", "<http://e/a> <http://e/b> <http://e/c> .\n<http://e/a> oops ."
    )
    inputs = Inputs(sources=(str(path),), mapping=write(tmp_path, "m.yaml", RDF_MAPPING))
    with pytest.raises(CatalogError, match=r"bad\.ttl.*line 2"):
        read_inputs(inputs)


@pytest.mark.parametrize(
    ("model", "text", "expected"),
    [
        (RdfMapping, "items: {typ: x}", "unknown key"),
        (RdfMapping, "predicates: {a: {iri: x, world: shut}}", "world"),
        (RdfMapping, "predicates: {'same:x': {iri: x}}", "pattern"),
        (RdfMapping, "predicates: {year: {iri: x}}", "year and decade are reserved"),
        (RdfMapping, "language: 'en\" }'", "pattern"),
        (NodeMapping, "predicates: {}", "items: this key is required"),
    ],
)
def test_a_faulty_mapping_is_refused_with_its_line(tmp_path, model, text, expected):
    path = write(tmp_path, "m.yaml", text)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        read_mapping(path, model)
    assert "m.yaml:1" in str(caught.value)


# --- languages, dates and written forms of RDF

PREFIXES = """
    @prefix : <http://example.org/> .
    @prefix r: <http://www.w3.org/2000/01/rdf-schema#> .
    @prefix x: <http://www.w3.org/2001/XMLSchema#> .
"""
OF_IRIS = (
    "{items: {type: http://example.org/Film, prefix: http://example.org/%s}, predicates: {%s}}"
)


def rdf_catalog(folder, turtle, predicates, prefix="", **inputs):
    """The graph and the report of a catalog in Turtle, with the rest of each IRI as id."""
    mapping = write(folder, "m.yaml", OF_IRIS % (prefix, predicates))
    source = str(write(folder, "films.ttl", PREFIXES + turtle))
    report = build_catalog(
        Inputs(sources=(source,), mapping=mapping, **inputs), folder / "films.akg"
    )
    return load_catalog(folder / "films.akg"), report


@pytest.mark.parametrize(
    ("labels", "title"),
    [
        ('"Colour"@en-GB , "Couleur"@fr', "Colour"),
        ('"Color"@en-US , "Colour"@en', "Colour"),
        ('"Amélie"@mul , "Amelie"@de', "Amélie"),
        ('"Colour"@en-GB , "Other"@mul', "Colour"),
        ('"Amélie"@mul , "plain"', "Amélie"),
        ('"plain" , "Titel"@de', "plain"),
    ],
)
def test_a_label_falls_back_to_a_region_then_to_mul(tmp_path, labels, title):
    catalog, _ = rdf_catalog(tmp_path, f":a a :Film ; r:label {labels} .", "")
    assert catalog.items[0].title == title


def test_a_regional_language_falls_back_to_its_base_and_others_are_no_name(tmp_path):
    turtle = """
        :a a :Film ; r:label "Heat"@en ; :director :p1 , :p2 .
        :p1 r:label "Ann Lee"@en-AU . :p2 r:label "Ana"@enm .
    """
    mapping = (OF_IRIS % ("", "director: {iri: http://example.org/director, type: entity}"))[:-1]
    path = write(tmp_path, "m.yaml", mapping + ", language: en-GB}")
    source = str(write(tmp_path, "films.ttl", PREFIXES + turtle))
    build_catalog(Inputs(sources=(source,), mapping=path), tmp_path / "films.akg")
    catalog = load_catalog(tmp_path / "films.akg")
    assert catalog.items[0].title == "Heat"
    assert set(catalog.graph.values("a", "director")) == {"Ann Lee", "http://example.org/p2"}


def test_partial_and_signed_dates_are_read_and_what_is_lost_is_counted(tmp_path):
    turtle = """
        :a a :Film ; r:label "A" ; :made "1895-00-00"^^x:date .
        :b a :Film ; r:label "B" ; :made "+1895-06-01T00:00:00Z"^^x:dateTime .
        :c a :Film ; r:label "C" ; :made "-0750"^^x:gYear .
        :d a :Film ; r:label "D" ; :made "1895-06"^^x:gYearMonth .
        :e a :Film ; r:label "E" ; :made "1901Z"^^x:gYear .
        :f a :Film ; r:label "F" ; :made "0000-00-00" .
    """
    made = "made: {iri: http://example.org/made, type: date, world: functional}"
    catalog, report = rdf_catalog(tmp_path, turtle, made)
    assert {i: catalog.graph.values(i, "made") for i in "abcdef"} == {
        "a": ("1895",), "b": ("1895-06-01",), "c": (), "d": ("1895-06",), "e": ("1901",), "f": (),
    }  # fmt: skip
    assert report.warnings == (
        "made: 2 values are left out, the first: '-0750' is not a date such as 1995-11-22",
    )
    verdicts = {i: catalog.graph.verdict(i, "made", "=1895-06") for i in "abcde"}
    assert verdicts == {
        "a": "unverifiable", "b": "supported", "c": "unverifiable", "d": "supported",
        "e": "contradicted",
    }  # fmt: skip
    assert catalog.graph.verdict("a", "made", "<1895-06") == "unverifiable"
    assert catalog.graph.verdict("a", "made", "=1895") == "supported"
    assert catalog.graph.verdict("a", "made", "=1896-06") == "contradicted"


def test_years_of_dates_are_read_and_unreadable_ones_counted(tmp_path):
    turtle = """
        :a a :Film ; r:label "A" ; :made "+1895-00-00T00:00:00Z" .
        :b a :Film ; r:label "B" ; :made "-0750-01-01"^^x:date .
        :c a :Film ; r:label "C" ; :made "1999-05-01+02:00"^^x:date , "sold out" .
    """
    mapping = (OF_IRIS % ("", "")).replace("prefix:", "year: http://example.org/made, prefix:")
    path = write(tmp_path, "m.yaml", mapping)
    source = str(write(tmp_path, "films.ttl", PREFIXES + turtle))
    report = build_catalog(Inputs(sources=(source,), mapping=path), tmp_path / "films.akg")
    assert [item.year for item in load_catalog(tmp_path / "films.akg").items] == [1895, None, 1999]
    assert (
        "films.ttl: 2 values of year are left out, the first: '-0750-01-01'" in report.warnings[0]
    )


def test_ids_and_texts_of_a_graph_stay_as_they_are_written(tmp_path):
    turtle = """
        :a a :Film ; r:label "A" ; :code "007"^^x:integer ; :size "1.50"^^x:decimal ;
            :edition "0042"^^x:integer , "0042.0" ; :seen "true"^^x:boolean ;
            :n 12345678901234567890 .
        :b a :Film ; r:label "B" ; :code "1e5"^^x:double ; :size "+1.0"^^x:float ;
            :edition "2001-01-01T00:00:00.000Z"^^x:dateTime .
    """
    names = ("size", "edition", "seen", "n")
    predicates = ", ".join(f"{name}: {{iri: http://example.org/{name}}}" for name in names)
    mapping = (OF_IRIS % ("", predicates)).replace(
        "prefix:", "id: http://example.org/code, prefix:"
    )
    path = write(tmp_path, "m.yaml", mapping)
    source = str(write(tmp_path, "films.ttl", PREFIXES + turtle))
    build_catalog(Inputs(sources=(source,), mapping=path), tmp_path / "films.akg")
    catalog = load_catalog(tmp_path / "films.akg")
    assert [item.id for item in catalog.items] == ["007", "1e5"]
    assert catalog.graph.values("007", "size") == ("1.50",)
    assert set(catalog.graph.values("007", "edition")) == {"0042", "0042.0"}
    assert catalog.graph.values("007", "n") == ("12345678901234567890",)
    assert catalog.graph.values("1e5", "edition") == ("2001-01-01T00:00:00.000Z",)
    assert catalog.graph.verdict("007", "edition", "0042") == "supported"


TYPED = """
    :1 a :Film ; r:label "Heat" ; :code "007"^^x:integer ; :size "1.50"^^x:decimal, "wide" .
    :2 a :Film ; r:label "Ran" ; :code "P2" ; :size "007"^^x:unsignedShort ;
        :minutes "0162"^^x:int .
    :3 a :Film ; r:label "1917"^^x:integer ; :code "P3" ; :size "10.0" ; :by :x .
    :x r:label "Mann" .
"""


def typed_numbers_mapping():
    iris = {"size": "string", "minutes": "integer", "by": "entity"}
    return RdfMapping.model_validate(
        {
            "items": {"id": "http://example.org/code"},
            "predicates": {
                name: {"iri": f"http://example.org/{name}", "type": kind}
                for name, kind in iris.items()
            },
        }
    )


@pytest.mark.parametrize("known", [False, True])
def test_numbers_that_a_server_may_rewrite_are_counted_by_what_is_read(known):
    store = pyoxigraph.Store()
    store.load((PREFIXES + TYPED).encode(), format=pyoxigraph.RdfFormat.TURTLE)
    draft = CatalogDraft()
    if known:
        for item_id in ("7", "P2", "P3"):
            draft.add_item(item_id, item_id, None)
    with sparql_server(store) as (url, _), Endpoint(url) as endpoint:
        add_rdf(draft, endpoint, typed_numbers_mapping())
    assert draft.ids == ["7", "P2", "P3"]
    counts = [warning.partition(": ")[2].partition(". Servers")[0] for warning in draft.warnings]
    titles = [] if known else ["titles and aliases: 1 of 3 are typed numbers, the first: '1917'"]
    assert counts == [
        "ids: 1 of 3 are typed numbers, the first: '7'",
        *titles,
        "values of size: 2 of 4 are typed numbers, the first: '1.5'",
    ]  # numbers that are read as numbers (minutes) have no other value when rewritten


def test_numbers_in_a_file_keep_their_spelling_and_are_not_counted(tmp_path):
    path = write(tmp_path, "films.ttl", PREFIXES + TYPED)
    draft = CatalogDraft()
    with RdfFile(path) as graph:
        add_rdf(draft, graph, typed_numbers_mapping())
    assert draft.ids == ["007", "P2", "P3"]
    assert not draft.warnings


def test_a_graph_that_knows_none_of_the_items_is_an_error_with_examples(tmp_path):
    items = write(tmp_path, "items.csv", "id,title\n7,Heat\n8,Ran\n")
    turtle = ":a a :Film ; r:label 'Heat' ; :code '007' ; :mood 'calm' ."
    mood = "mood: {iri: http://example.org/mood}"
    with pytest.raises(CatalogError, match=r"0 of 2 items have values .* http://example.org/9/7"):
        rdf_catalog(tmp_path, turtle, mood, prefix="9/", items=items)
