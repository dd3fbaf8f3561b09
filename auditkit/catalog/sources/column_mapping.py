"""Schema of the mapping file, which assigns columns, IRIs or node properties to predicates.

    domain: movies
    source: {name: My films, license: CC BY-SA 4.0, attribution: who made it}
    items: {id: code, title: name, year: released, aliases: other_titles, variant: [color, size]}
    predicates:
      director: {column: directed_by, separator: ";", type: entity, world: closed}
      runtime: {column: minutes, type: integer, world: functional}

`domain` is the kind of the items (`auditkit.domains`). Unknown keys are errors. Without a mapping
file, columns are assigned by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.catalog.graph.schema import Predicate, ValueType, World
from auditkit.domains.shipped import require_domain
from auditkit.errors import ConfigurationError
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = [
    "AMAZON", "GraphMapping", "NodeMapping", "RdfMapping", "SourceSection", "TableMapping",
    "predicate_by_name", "read_mapping",
]  # fmt: skip

# Predicates of columns without a mapping, by column name. Other columns are open strings.
_KNOWN: Mapping[str, Predicate] = {
    "director": Predicate("director", "closed", type="entity"),
    "actor": Predicate("actor", type="entity"),
    "writer": Predicate("writer", type="entity"),
    "author": Predicate("author", type="entity"),
    "artist": Predicate("artist", type="entity"),
    "brand": Predicate("brand", type="entity"),
    "country": Predicate("country", type="entity"),
    "language": Predicate("language", type="entity"),
}
_SPELLINGS: Mapping[str, str] = {
    "directors": "director", "actors": "actor", "cast": "actor", "writers": "writer",
    "authors": "author", "artists": "artist", "countries": "country", "languages": "language",
}  # fmt: skip
MappingType = TypeVar("MappingType", bound="_Mapping")


def predicate_by_name(column: str) -> Predicate:
    """Predicate of a column without a mapping. Known column names have a type and a world; other
    columns are open strings.
    """
    name = "_".join(column.casefold().replace(":", " ").split()) or "column"
    name = _SPELLINGS.get(name, name)
    return _KNOWN.get(name) or Predicate(name)


def _free(name: str) -> str:
    if name in ("year", "decade"):
        raise ValueError("the predicate names year and decade are reserved. Use another name.")
    return name


def _domain(name: str) -> str:
    try:
        return require_domain(name)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


# A name must not be confused with `same:NAME` or an operator.
Name = Annotated[str, Field(pattern=r"^[^\s:<>=!]+$", max_length=100), AfterValidator(_free)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSection(_Section):
    """Origin of the facts; stored in the catalog and shown in reports."""

    name: str | None = None
    license: str | None = None
    attribution: str | None = None


class _Relation(_Section):
    type: ValueType = "string"
    world: World = "open"

    def predicate(self, name: str) -> Predicate:
        """The predicate that this section describes, with the given name."""
        return Predicate(name, self.world, type=self.type)


class Column(_Relation):
    """A column of a table, or a list of columns, of which the first with a value is used.

    `details.Brand` is a key of an object in JSON lines. `skip_unreadable` allows unreadable cells
    in a `strict` mapping.
    """

    column: str | list[str]
    separator: str = Field(default="|", min_length=1)
    skip_unreadable: bool = False


class ItemColumns(_Section):
    """Columns with the id, title and other fields of an item; by default, columns with the usual
    names.

    `variant` lists the columns that distinguish the variants of a product, such as color and size.
    """

    id: str | None = None
    title: str | None = None
    year: str | None = None
    aliases: str | None = None
    variant: list[str] | None = None


class _Mapping(_Section):
    version: Literal[1] = 1
    domain: Annotated[str, AfterValidator(_domain)] | None = None
    source: SourceSection = SourceSection()


class TableMapping(_Mapping):
    """Mapping of a CSV, TSV, JSON-lines or Parquet table; `facts` describes the table of --facts.

    If `strict`, an unreadable cell is an error instead of an unknown value.
    """

    strict: bool = False
    items: ItemColumns = ItemColumns()
    predicates: dict[Name, Column] = {}
    facts: TableMapping | None = None


class Iri(_Relation):
    """A predicate of an RDF graph."""

    iri: str


class RdfItems(_Section):
    """The subjects of an RDF graph that are items.

    `type` is their rdf:type. `id` is the predicate of the item id; without this predicate, the part
    of the IRI after `prefix` is the id. `title` and `aliases` default to the usual label
    predicates; `year` has no default.
    """

    type: str | None = None
    id: str | None = None
    prefix: str = ""
    title: str | None = None
    year: str | None = None
    aliases: str | None = None


class RdfMapping(_Mapping):
    """Mapping of RDF files and SPARQL endpoints."""

    items: RdfItems = RdfItems()
    predicates: dict[Name, Iri] = {}
    label: str = "http://www.w3.org/2000/01/rdf-schema#label"
    alias: str = "http://www.w3.org/2004/02/skos/core#altLabel"
    language: str = Field(default="en", pattern=r"^[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*$")


class Edge(_Relation):
    """A property of an item node, or a relationship to other nodes, whose property `name` is the
    value.
    """

    property: str | None = None
    relationship: str | None = None
    direction: Literal["out", "in"] = "out"
    name: str = "name"


class NodeItems(_Section):
    """The label of item nodes in a Neo4j graph, and the properties that contain the fields of an
    item.
    """

    label: str
    id: str = "id"
    title: str = "title"
    year: str | None = None
    aliases: str | None = None


class NodeMapping(_Mapping):
    """Mapping of a Neo4j graph."""

    items: NodeItems
    predicates: dict[Name, Edge] = {}
    database: str | None = None


GraphMapping = RdfMapping | NodeMapping

AMAZON = TableMapping(
    domain="products",
    source=SourceSection(name="Amazon product metadata"),
    items=ItemColumns(id="parent_asin", title="title"),
    predicates={
        "brand": Column(column=["store", "details.Brand"], type="entity"),
        "category": Column(column="categories", world="closed"),
        "price": Column(column="price", type="real", world="functional", skip_unreadable=True),
    },
)


def read_mapping(path: Path, model: type[MappingType]) -> MappingType:
    """Read and check a mapping file.

    Args:
        path: the YAML file.
        model: schema for the source: `TableMapping`, `RdfMapping` or `NodeMapping`.

    Raises:
        ConfigurationError: the file is not valid; the message lists every error with its line.
    """
    return validate(load_yaml(path), TypeAdapter(model))
