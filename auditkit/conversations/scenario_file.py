"""Read scenarios from a YAML file, with all errors at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.catalog.catalog import Catalog
from auditkit.conversations.scenario import Scenario
from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.serialization.strict_yaml import Document, load_yaml
from auditkit.serialization.yaml_errors import located, validate

__all__ = ["read_scenarios", "require_known"]


class _ScenarioFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    scenarios: tuple[Scenario, ...] = Field(min_length=1)


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Read the scenarios of a file.

    Raises:
        ConfigurationError: the file cannot be read or has errors, which are listed with their
            lines.
    """
    document = load_yaml(path)
    found = validate(
        document,
        TypeAdapter(_ScenarioFile),
        others=_repeated(document),
        hint="docs/how-to/audit-a-conversation.md lists the keys of a scenario.",
    )
    return found.scenarios


def _repeated(document: Document) -> Iterator[tuple[int, str]]:
    """Errors for ids that occur twice."""
    data = document.data if isinstance(document.data, dict) else {}
    listed = data.get("scenarios")
    ids = [one.get("id") if isinstance(one, dict) else None for one in listed or ()]
    for place, name in enumerate(ids):
        if isinstance(name, str) and name in ids[:place]:
            yield located(document, ["scenarios", place, "id"], f"the id {name!r} occurs twice")


def require_known(scenarios: Sequence[Scenario], catalog: Catalog) -> None:
    """Require that the catalog contains all items and predicates that scenarios name.

    Raises:
        ConfigurationError: an item or predicate is missing; the message names the scenario.
    """
    for one in scenarios:
        named = [*one.forbidden, *(item for turn in one.turns for item in turn.forbids)]
        unknown = [item for item in named if item not in catalog.index]
        if unknown:
            raise ConfigurationError(
                f"scenario {one.id!r} forbids the item {unknown[0]!r}, which is not in the "
                "catalog. Give ids of the catalog."
            )
        stated = [*one.constraints, *(c for turn in one.turns for c in turn.states)]
        for constraint in stated:
            if constraint.predicate not in catalog.graph.codes:
                hint = did_you_mean(constraint.predicate, catalog.graph.codes)
                raise ConfigurationError(
                    f"scenario {one.id!r} has a constraint on {constraint.predicate!r}, which the "
                    f"catalog does not contain.{hint} Use one of {', '.join(catalog.graph.codes)}."
                )
