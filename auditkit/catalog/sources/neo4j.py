"""Read a catalog from Neo4j.

Every value, label and property name is passed as a query parameter. Nodes are looked up by their
element id in blocks, so the server never scans for an item. User name and password are taken from
NEO4J_USERNAME and NEO4J_PASSWORD. The code follows the driver's documentation and was tested with a
driver that records queries, not with a server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from auditkit.catalog.graph.typed_values import canonical
from auditkit.catalog.sources.column_mapping import Edge, NodeMapping
from auditkit.catalog.storage.draft import CatalogDraft, Source
from auditkit.errors import CatalogError, MissingDependency

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Driver", "add_nodes", "connect"]

BLOCK = 500
_PAGE = 10_000

ITEMS = (
    "MATCH (n) WHERE $label IN labels(n) "
    "RETURN elementId(n) AS node, n[$id] AS id, n[$title] AS title, n[$year] AS year, "
    "n[$aliases] AS aliases ORDER BY id, node SKIP $skip LIMIT $limit"
)
PROPERTIES = (
    "UNWIND $rows AS row MATCH (n) WHERE elementId(n) = row "
    "RETURN row AS node, n[$property] AS value, null AS other ORDER BY node"
)
_NEIGHBORS = (
    "UNWIND $rows AS row MATCH (n) WHERE elementId(n) = row MATCH {edge} "
    "WHERE type(r) = $relationship "
    "RETURN row AS node, m[$name] AS value, elementId(m) AS other ORDER BY node, value, other"
)
OUT, IN = _NEIGHBORS.format(edge="(n)-[r]->(m)"), _NEIGHBORS.format(edge="(n)<-[r]-(m)")


class Driver(Protocol):
    """The part of `neo4j.Driver` that auditkit uses."""

    def execute_query(self, query_: str, parameters_: dict[str, Any], **settings: Any) -> Any:
        """Run one query; each element of the result's `records` has a method `data()`."""
        ...


def connect(url: str) -> AbstractContextManager[Driver]:
    """Open a driver for `bolt://HOST` or `neo4j+s://HOST`.

    Raises:
        CatalogError: the URL is not valid.
        MissingDependency: neo4j is not installed.
    """
    try:
        import neo4j
    except ImportError:
        raise MissingDependency("neo4j", extra="neo4j", purpose="a Neo4j source") from None
    user = os.environ.get("NEO4J_USERNAME")
    auth = (user, os.environ.get("NEO4J_PASSWORD", "")) if user else None
    try:
        return neo4j.GraphDatabase.driver(url, auth=auth)
    except (ValueError, neo4j.exceptions.DriverError) as error:
        raise CatalogError(
            f"{_shown(url)} is not a Neo4j server ({error}). Check the URL."
        ) from None


def _shown(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # half of an IPv6 address
        return "the URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def add_nodes(
    draft: CatalogDraft,
    driver: Driver,
    mapping: NodeMapping,
    *,
    name: str = "Neo4j",
    progress: Callable[[str, int], None] = lambda what, n: None,
) -> None:
    """Add the graph's items if the draft has none, and the graph's facts about the items.

    Args:
        draft: the catalog draft to extend.
        driver: a Neo4j driver.
        mapping: assigns nodes, properties and relationships to items and predicates.
        name: name of the source.
        progress: called with the current step and the number of nodes since the last call.

    Raises:
        CatalogError: the server does not respond, or has no nodes that the mapping describes.
    """
    run = _QueryRunner(driver, mapping.database, _shown(name) if "://" in name else name)
    row_of = _items(draft, run, mapping, lambda n: progress(f"reading {run.name}", n))
    for predicate_name, edge in mapping.predicates.items():
        _add_edges(draft, run, predicate_name, edge, row_of)
        progress(f"reading {run.name}", 0)
    said = mapping.source
    draft.sources.append(Source(said.name or run.name, None, said.license, said.attribution))


class _QueryRunner:
    """Runs queries and converts the driver's errors to `CatalogError`."""

    def __init__(self, driver: Driver, database: str | None, name: str) -> None:
        self._driver, self._database, self.name = driver, database, name

    def __call__(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        settings = {"database_": self._database} if self._database else {}
        try:
            found = self._driver.execute_query(query, parameters, routing_="r", **settings)
            return [record.data() for record in found.records]
        except _driver_errors() as error:
            raise CatalogError(
                f"{self.name} does not respond ({error}). Check the URL, NEO4J_USERNAME and "
                "NEO4J_PASSWORD."
            ) from None


def _driver_errors() -> tuple[type[Exception], ...]:
    try:
        from neo4j.exceptions import DriverError, Neo4jError
    except ImportError:  # the caller passed another driver
        return (OSError,)
    return (DriverError, Neo4jError, OSError)


def _items(
    draft: CatalogDraft, run: _QueryRunner, mapping: NodeMapping, progress: Callable[[int], None]
) -> dict[str, int]:
    """Catalog row of each item node, by node id; an empty draft first gets these items."""
    items, new = mapping.items, not len(draft)
    if new and "genre" in mapping.predicates:
        draft.describe_genre(mapping.predicates["genre"].predicate("genre"))
    row_of: dict[str, int] = {}
    n_left_out, skip = 0, 0
    while True:
        found = run(
            ITEMS,
            label=items.label,
            id=items.id,
            title=items.title,
            year=items.year or "",
            aliases=items.aliases or "",
            skip=skip,
            limit=_PAGE,
        )
        for node in found:
            item_id, title = _text_of(node["id"]), _text_of(node["title"])
            row = draft.rows.get(item_id)
            if row is None and new and item_id and title:
                aliases = [_text_of(alias) for alias in _list(node["aliases"])]
                row = draft.add_item(item_id, title, _year(node["year"]), aliases=aliases)
            if row is None:
                n_left_out += 1
            else:
                row_of.setdefault(str(node["node"]), row)
        progress(len(found))
        skip += len(found)
        if len(found) < _PAGE:
            break
    if n_left_out:
        draft.warn(f"{run.name}: {n_left_out} nodes are not items of the catalog and are left out")
    if not row_of:
        raise CatalogError(
            f"{run.name} has no nodes {items.label!r} that {items.id!r} and {items.title!r} match "
            "to items of the catalog. Check the mapping."
        )
    if not new:
        draft.linked = (draft.linked or set()) | set(row_of.values())
    return row_of


def _add_edges(
    draft: CatalogDraft, run: _QueryRunner, name: str, edge: Edge, row_of: dict[str, int]
) -> None:
    predicate = edge.predicate(name)
    code = draft.graph.predicate(predicate)
    nodes = list(row_of)
    n_unread, first = 0, ""
    for begin in range(0, len(nodes), BLOCK):
        rows: Sequence[str] = nodes[begin : begin + BLOCK]
        if edge.relationship is None:
            found = run(PROPERTIES, rows=rows, property=edge.property or name)
        else:
            query = OUT if edge.direction == "out" else IN
            found = run(query, rows=rows, relationship=edge.relationship, name=edge.name)
        for record in found:
            row = row_of[str(record["node"])]
            if predicate.type == "item":
                if record["other"] is not None and str(record["other"]) in row_of:
                    draft.graph.add_item(row, code, row_of[str(record["other"])])
                continue
            for value in _list(record["value"]):
                try:
                    if text := _text_of(value):
                        draft.graph.add(row, code, canonical(text, predicate.type))
                except ValueError as error:
                    n_unread, first = n_unread + 1, first or str(error)
    if n_unread:
        draft.warn(f"{name}: {n_unread} values are left out, the first: {first}")


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else " ".join(str(value).split())


def _year(value: Any) -> int | None:
    text = _text_of(value)[:4]
    return int(text) or None if len(text) == 4 and text.isdecimal() else None
