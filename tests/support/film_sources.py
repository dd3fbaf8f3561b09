"""One small film catalog, written in every format that `catalog build` reads."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import duckdb
import pyoxigraph

from auditkit.catalog.sources import neo4j as neo4j_graph

HOSTILE = "Robert'); DROP TABLE items;--"
FILMS = [
    {
        "item_id": "f1", "title": "Heat", "year": 1995, "aliases": ["Feu"],
        "genre": ["Crime", "Drama"], "director": ["Michael Mann"],
        "actor": ["Al Pacino", 'Val "Iceman" Kilmer'], "runtime": 170,
    },
    {
        "item_id": "f2", "title": "The Insider", "year": 1999, "aliases": [],
        "genre": ["Drama"], "director": ["Michael Mann"], "actor": ["Al Pacino"], "runtime": 157,
    },
    {
        "item_id": "f3", "title": 'Quotes " } . # \\ and more', "year": None, "aliases": [HOSTILE],
        "genre": [], "director": [HOSTILE, "?s ?p ?o } #"], "actor": [], "runtime": None,
    },
    {
        "item_id": "f4", "title": "Amélie", "year": 2001, "aliases": ["Le Destin", "愛美麗"],
        "genre": ["Comedy"], "director": ["Jean-Pierre Jeunet"], "actor": ["Audrey Tautou"],
        "runtime": 122,
    },
]  # fmt: skip
COLUMNS = ("item_id", "title", "year", "aliases", "genre", "director", "actor", "runtime")
TABLE_MAPPING = """
predicates:
  genre: {column: genre, world: closed}
  director: {column: director, type: entity, world: closed}
  actor: {column: actor, type: entity}
  runtime: {column: runtime, type: integer, world: functional}
"""
NS = "http://example.org/"
RDFS = "http://www.w3.org/2000/01/rdf-schema#label"
RDF_MAPPING = f"""
items: {{type: {NS}Film, id: {NS}id, year: {NS}year}}
predicates:
  genre: {{iri: {NS}genre, world: closed}}
  director: {{iri: {NS}director, type: entity, world: closed}}
  actor: {{iri: {NS}actor, type: entity}}
  runtime: {{iri: {NS}runtime, type: integer, world: functional}}
"""
NODE_MAPPING = """
items: {label: Film, id: code, title: name, year: released, aliases: others}
predicates:
  genre: {property: genre, world: closed}
  director: {relationship: DIRECTED, direction: in, type: entity, world: closed}
  actor: {relationship: ACTED_IN, direction: in, type: entity}
  runtime: {property: minutes, type: integer, world: functional}
"""


def _flat(film):
    cells = {}
    for name in COLUMNS:
        value = film[name]
        cells[name] = "|".join(value) if isinstance(value, list) else "" if value is None else value
    return cells


def write_table(folder, kind):
    path = folder / f"films.{kind}"
    if kind == "parquet":
        table = folder / "films.jsonl"
        write_table(folder, "jsonl")
        duckdb.execute(
            f"COPY (SELECT * FROM read_json_auto('{table}')) TO '{path}' (FORMAT parquet)"
        )
        table.unlink()
    elif kind == "jsonl":
        lines = (json.dumps({n: film[n] for n in COLUMNS}, ensure_ascii=False) for film in FILMS)
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(map(_flat, FILMS))
    return path


def triples():
    """The films in RDF: people and genres are nodes with labels in two languages."""
    iri, text = pyoxigraph.NamedNode, pyoxigraph.Literal
    node_type = iri("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    alias = iri("http://www.w3.org/2004/02/skos/core#altLabel")
    for number, film in enumerate(FILMS):
        film_node = iri(f"{NS}film/{number}")
        yield film_node, node_type, iri(f"{NS}Film")
        yield film_node, iri(f"{NS}id"), text(film["item_id"])
        yield film_node, iri(RDFS), text(film["title"], language="en")
        yield film_node, iri(RDFS), text("nicht dieser Titel", language="de")
        for other in film["aliases"]:
            yield film_node, alias, text(other)
        if film["year"]:
            day = iri("http://www.w3.org/2001/XMLSchema#date")
            yield film_node, iri(f"{NS}year"), text(f"{film['year']}-02-03", datatype=day)
            yield film_node, iri(f"{NS}runtime"), text(film["runtime"])
        for genre in film["genre"]:
            yield film_node, iri(f"{NS}genre"), text(genre)
        for role in ("director", "actor"):
            for name in film[role]:
                person = iri(f"{NS}person/{name.encode().hex()}")
                yield film_node, iri(f"{NS}{role}"), person
                yield person, iri(RDFS), text(name, language="en")
                yield person, iri(RDFS), text("Jemand", language="de")


def write_rdf(folder, kind):
    path = folder / f"films.{kind}"
    formats = {"nt": "N_TRIPLES", "ttl": "TURTLE", "rdf": "RDF_XML"}
    lines = [pyoxigraph.Triple(*triple) for triple in triples()]
    kind_of = getattr(pyoxigraph.RdfFormat, formats[kind])
    path.write_bytes(pyoxigraph.serialize(lines, format=kind_of))
    return path


def rdf_store():
    store = pyoxigraph.Store()
    store.extend(pyoxigraph.Quad(*triple) for triple in triples())
    return store


class FakeDriver:
    """Answers the adapter's queries from a catalog's real graph, and records what it was asked."""

    def __init__(self, catalog):
        self.catalog, self.asked = catalog, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def execute_query(self, query, parameters, **settings):
        self.asked.append((query, dict(parameters), settings))
        answer = {
            neo4j_graph.ITEMS: self._items,
            neo4j_graph.PROPERTIES: self._properties,
            neo4j_graph.IN: self._neighbors,
        }[query]
        rows = list(answer(**parameters))
        return SimpleNamespace(records=[SimpleNamespace(data=lambda row=row: row) for row in rows])

    def _items(self, *, label, id, title, year, aliases, skip, limit):
        assert (label, id, title, year, aliases) == ("Film", "code", "name", "released", "others")
        for item in self.catalog.items[skip : skip + limit]:
            yield {
                "node": f"4:{item.id}", "id": item.id, "title": item.title, "year": item.year,
                "aliases": list(item.aliases),
            }  # fmt: skip

    def _properties(self, *, rows, property):
        predicate = {"genre": "genre", "minutes": "runtime"}[property]
        for node in rows:
            values = self.catalog.graph.values(node.removeprefix("4:"), predicate)
            numbers = [int(value) for value in values] if predicate == "runtime" else list(values)
            yield {"node": node, "value": numbers or None, "other": None}

    def _neighbors(self, *, rows, relationship, name):
        assert name == "name"
        predicate = {"DIRECTED": "director", "ACTED_IN": "actor"}[relationship]
        for node in rows:
            for value in self.catalog.graph.values(node.removeprefix("4:"), predicate):
                yield {"node": node, "value": value, "other": f"5:{value}"}
