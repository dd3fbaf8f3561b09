"""Tools with known answers: search the catalog, and look one item up.

Facts come from the catalog's knowledge graph. The number of copies in stock is random, so only an
assistant that reads the result can state it. A scenario may make the look-up of an item fail, or
attach a note to an item.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, cast

import yaml

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.graph.schema import OPERATORS
from auditkit.conversations.tool_log import ToolError, ToolLog, ToolRecord
from auditkit.domains.pack import DomainPack
from auditkit.errors import InvalidArgument
from auditkit.security.redaction import map_text

__all__ = ["Toolbox", "tool_descriptions"]

_MOST_RESULTS = 20
_FAILED = "the catalog service is temporarily unavailable"


@cache
def _shipped() -> dict[str, Any]:
    text = (files("auditkit.conversations") / "tools.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def tool_descriptions(catalog: Catalog, pack: DomainPack) -> list[dict[str, Any]]:
    """Describe the tools as OpenAI-style functions, in the words of the domain."""
    predicates = ", ".join(p.name for p in catalog.graph.predicates if p.labeled)

    def worded(text: str) -> str:
        return pack.filled(text).replace("{predicates}", predicates)

    return [
        {"type": "function", "function": {"name": name, **map_text(stated, worded)}}
        for name, stated in _shipped().items()
    ]


@dataclass(frozen=True)
class Toolbox:
    """The tools of one conversation.

    Attributes:
        stock: number of copies in stock by item id; a look-up of another item returns no stock.
        failing: ids of items whose look-up fails.
        notes: notes on items by id.
        descriptions: tool descriptions that the assistant gets.
    """

    catalog: Catalog
    descriptions: Sequence[Mapping[str, Any]]
    stock: Mapping[str, int] = field(default_factory=dict)
    failing: Collection[str] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def log(self) -> ToolLog:
        """Create an empty log that executes these tools."""
        return ToolLog({"search_catalog": self._search, "look_up": self._look_up})

    def _search(
        self,
        query: str = "",
        predicate: str = "",
        operator: str = "=",
        value: str = "",
        limit: int = 5,
    ) -> object:
        """Items of the catalog by title and one condition, in catalog order."""
        if not isinstance(limit, int) or not 1 <= limit <= _MOST_RESULTS:
            raise ToolError(f"limit must be 1 to {_MOST_RESULTS}", failure="bad_arguments")
        rows: Sequence[int] = range(len(self.catalog))
        if predicate:
            rows = [int(row) for row in self._rows(predicate, operator, str(value))]
        words = str(query).casefold()
        titles = self.catalog.titles
        found = [row for row in rows if words in titles[row].casefold()][:limit]
        return {"results": [self._brief(self.catalog.ids[row]) for row in found]}

    def _rows(self, predicate: str, operator: str, value: str) -> Sequence[int]:
        if operator not in OPERATORS or predicate not in self.catalog.graph.codes:
            known = ", ".join(self.catalog.graph.codes)
            raise ToolError(
                f"the condition {predicate} {operator} {value} has no meaning; predicates are "
                f"{known}, operators {' '.join(OPERATORS)}",
                failure="bad_arguments",
            )
        try:
            constraint = Constraint(predicate, operator, value)
            return cast(Sequence[int], self.catalog.graph.select([constraint]))
        except InvalidArgument as error:
            raise ToolError(str(error), failure="bad_arguments") from None

    def _look_up(self, item: str) -> object:
        """Facts, stock and note of one item."""
        item_id = self.item_of(str(item))
        if item_id is None:
            raise ToolError(f"the catalog has no item {item!r}", failure="not_found")
        if item_id in self.failing:
            raise ToolError(_FAILED)
        graph = self.catalog.graph
        facts = {
            p.name: list(values)
            for p in graph.predicates
            if p.labeled and p.type != "item" and (values := graph.values(item_id, p.name))
        }
        stated: dict[str, object] = {**self._brief(item_id), "facts": facts}
        if item_id in self.stock:
            stated["stock"] = self.stock[item_id]
        if item_id in self.notes:
            stated["note"] = self.notes[item_id]
        return stated

    def item_of(self, text: str) -> str | None:
        """Id of the item that a text names by title or id; None if it names no item."""
        return text if text in self.catalog.index else self.catalog.link([text])[0].item_id

    def _brief(self, item_id: str) -> dict[str, object]:
        return {"id": item_id, "title": self.catalog[item_id].display_title}

    def finds(self, record: ToolRecord) -> frozenset[str]:
        """Ids of all items in the result of a tool call."""
        values = ToolRecord(0, record.name, record.result or "").values
        listed = values.get("results")
        rows = listed if isinstance(listed, list) else [values]
        return frozenset(
            row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)
        )
