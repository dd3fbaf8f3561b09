"""Draft the description of the data, the mapping, a recipe, a policy and a target card.

Each draft is a file for a person to check; its comments state what was assumed. The recipe and the
policy compare the groups in the table of users, so no rule needs an attribute that the data lack.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from auditkit.domains.mismatch import domain_of
from auditkit.domains.shipped import NEUTRAL, domain_pack
from auditkit.drafting.column_roles import (
    attribute_fault,
    joined_columns,
    rating_column,
    time_column,
    title_column,
    user_column,
    year_column,
)
from auditkit.drafting.item_facts import FactColumns, fact_columns
from auditkit.drafting.release_policy import policy_for
from auditkit.drafting.table_profile import TableProfile, profile_table
from auditkit.errors import ConfigurationError
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.shipped_recipes import find_recipe

__all__ = ["CATALOG", "Draft", "Tables", "draft_files", "write_files"]

CATALOG = "catalog.akg"
_GROUPS = "fairness.group_utility"
_NAME = re.compile(r"[^a-z0-9]+")
_MOST_SHOWN_CHARACTERS = 10_000


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables to draft from; `users` may be None."""

    items: Path
    events: Path
    users: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """Paths of all given tables."""
        return [path for path in (self.items, self.events, self.users) if path is not None]


@dataclass(frozen=True)
class Draft:
    """Drafted files, and the choices that they depend on.

    Attributes:
        files: content by file name.
        chosen: (role, table, column) of the columns that were chosen.
        left_out: (table, column, reason) of the columns that were not used.
        domain: name of the domain pack. domain_columns: columns from which the domain was inferred;
            empty if the domain was given or no column suggested one.
        outside: whether a table is outside the folder of the drafted files.
    """

    files: Mapping[str, str]
    chosen: tuple[tuple[str, str, str], ...]
    left_out: tuple[tuple[str, str, str], ...]
    domain: str
    domain_columns: tuple[str, ...]
    outside: bool


@dataclass(frozen=True)
class _Roles:
    """Columns of the tables by role."""

    item_id: str
    title: str
    year: str | None
    event_item: str
    event_user: str
    time: str
    rating: str | None
    user_id: str | None
    attributes: tuple[str, ...]


def draft_files(
    tables: Tables,
    folder: Path,
    *,
    domain: str | None = None,
    card: bool = False,
    policy: str = "release",
) -> Draft:
    """Draft the files of an audit from tables.

    Args:
        folder: folder for the files, to which their paths are relative.
        domain: name of a domain pack; None infers the domain from the columns.
        card: whether to draft a target card, for a target without a recommender.yaml.
        policy: name of the shipped policy to start from.

    Raises:
        CatalogError: a table cannot be read, or lacks ids, titles, users or times.
        ConfigurationError: no domain pack has this name.
    """
    items, events = profile_table(tables.items), profile_table(tables.events)
    users = None if tables.users is None else profile_table(tables.users)
    roles, faults = _roles(items, events, users)
    found = None if domain else domain_of(items.columns)
    pack = domain_pack(domain or (found[0] if found else NEUTRAL))
    taken = [name for name in (roles.item_id, roles.title, roles.year) if name is not None]
    facts = fact_columns(items, taken, pack)
    name = _NAME.sub("-", folder.resolve().name.casefold()).strip("-") or "my-data"
    files = {
        "data.yaml": _data(name, tables, folder, roles, facts),
        "catalog.yaml": _mapping(pack.name, roles, facts),
        "recipe.yaml": _recipe(name, roles.attributes),
        "policy.yaml": policy_for(name, roles.attributes, shipped=policy),
    }
    if card:
        files["card.yaml"] = _CARD
    return Draft(
        files,
        tuple(_chosen(tables, roles, facts)),
        (
            *((tables.items.name, *one) for one in facts.left_out.items()),
            *((str(users and users.path.name), *one) for one in faults.items()),
        ),
        pack.name,
        tuple(found[1]) if found else (),
        any(not path.resolve().is_relative_to(folder.resolve()) for path in tables.paths),
    )


def write_files(draft: Draft, folder: Path) -> list[Path]:
    """Write the drafted files.

    Raises:
        ConfigurationError: a file already exists; no file is then written.
    """
    paths = [folder / name for name in draft.files]
    if existing := [path for path in paths if path.exists()]:
        raise ConfigurationError(
            f"{existing[0]} already exists. Give another folder with --out, or remove the file."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, draft.files.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def _roles(
    items: TableProfile, events: TableProfile, users: TableProfile | None
) -> tuple[_Roles, dict[str, str]]:
    """The columns by role, and why other columns of the users are left out."""
    item_id, event_item = joined_columns(items, events, "item_id")
    user_id, faults = None, dict[str, str]()
    if users is None:
        event_user = user_column(events, [event_item])
    else:
        user_id, event_user = joined_columns(users, events, "user_id")
        faults = {
            column.name: fault
            for column in users.columns.values()
            if column.name != user_id and (fault := attribute_fault(column))
        }
    time = time_column(events, [event_item, event_user])
    names = () if users is None else users.columns
    return _Roles(
        item_id=item_id,
        title=title_column(items, [item_id]),
        year=year_column(items, [item_id]),
        event_item=event_item,
        event_user=event_user,
        time=time,
        rating=rating_column(events, [event_item, event_user, time]),
        user_id=user_id,
        attributes=tuple(name for name in names if name != user_id and name not in faults),
    ), faults


def _chosen(tables: Tables, roles: _Roles, facts: FactColumns) -> list[tuple[str, str, str]]:
    items, events = tables.items.name, tables.events.name
    users = tables.users.name if tables.users else ""
    found = [
        ("item id", items, roles.item_id),
        ("title", items, roles.title),
        ("year", items, roles.year),
        *(
            (f"fact {f.name} ({f.type}, {f.world})" + _variant(f.column, facts), items, f.column)
            for f in facts.facts
        ),
        ("item of an event", events, roles.event_item),
        ("user of an event", events, roles.event_user),
        ("time of an event", events, roles.time),
        ("rating", events, roles.rating),
        ("user id", users, roles.user_id),
        *(("group of users", users, name) for name in roles.attributes),
    ]
    return [(role, table, column) for role, table, column in found if column is not None]


def _variant(column: str, facts: FactColumns) -> str:
    return ", variant" if column in facts.variants else ""


def _data(name: str, tables: Tables, folder: Path, roles: _Roles, facts: FactColumns) -> str:
    genres = next((fact.column for fact in facts.facts if fact.name == "genre"), None)
    interactions = {
        "file": _relative(tables.events, folder),
        "user": roles.event_user,
        "item": roles.event_item,
        "timestamp": roles.time,
        "rating": roles.rating,
    }
    items = {
        "file": _relative(tables.items, folder),
        "id": roles.item_id,
        "title": roles.title,
        "genres": genres,
        "year": roles.year,
    }
    lines = [
        "# Users, items and interactions. Paths are relative to this file.",
        "version: 1",
        f"name: {name}",
        f"interactions: {_flow(interactions)}",
        f"items: {_flow(items)}",
    ]
    if tables.users is not None:
        users = {
            "file": _relative(tables.users, folder),
            "id": roles.user_id,
            "attributes": [*roles.attributes],
        }
        lines.append(f"users: {_flow(users)}")
    return "\n".join([*lines, ""])


def _mapping(domain: str, roles: _Roles, facts: FactColumns) -> str:
    lines = [
        "# Which columns hold facts about the items. In a closed or functional column, a claim of",
        "# another value is false; in an open one, it is unverifiable. Check each world: a column",
        "# that is incomplete must be open, or true claims are called contradicted.",
        "version: 1",
        f"domain: {domain}",
    ]
    items = {
        "id": roles.item_id,
        "title": roles.title,
        "year": roles.year,
        "variant": [*facts.variants] or None,
    }
    lines.append(f"items: {_flow(items)}")
    if facts.facts:
        lines.append("predicates:")
    for fact in facts.facts:
        column = {"column": fact.column, "type": fact.type, "world": fact.world}
        lines.append(f"  {_scalar(fact.name)}: {_flow(column)}")
    return "\n".join([*lines, ""])


def _recipe(name: str, attributes: Sequence[str]) -> str:
    """The probes of the quick recipe, with the groups of these users."""
    document = load_yaml(find_recipe("quick", kind="audit"))
    probes: dict[str, dict[str, object]] = document.data["probes"]
    lines = [
        "# The probes of the quick recipe on your data. `standard` has larger samples.",
        "version: 1",
        f"name: {name}",
        "seed: 0",
        "data: data.yaml",
        f"catalog: {CATALOG}",
        "probes:",
    ]
    for probe, parameters in probes.items():
        if probe == _GROUPS:
            if not attributes:
                lines.append(f"  # {probe} needs users with attributes.")
                continue
            crossed = [f"{a}&{b}" for a, b in [attributes[:2]] if len(attributes) > 1]
            parameters = {"attributes": [*attributes], "crossed": crossed}
        lines.append(f"  {probe}: {_flow(parameters)}")
    return "\n".join([*lines, ""])


def _flow(section: Mapping[str, object]) -> str:
    """Write a mapping on one line, without the keys that have no value."""
    stated = {key: value for key, value in section.items() if value is not None}
    return yaml.safe_dump(
        stated, default_flow_style=True, sort_keys=False, allow_unicode=True,
        width=_MOST_SHOWN_CHARACTERS,
    ).strip()  # fmt: skip


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=_MOST_SHOWN_CHARACTERS).split("\n")[0]


def _relative(table: Path, folder: Path) -> str:
    return Path(os.path.relpath(table.resolve(), folder.resolve())).as_posix()


_CARD = """\
# Facts about the target that it does not tell itself. Without them, the probes that need them are
# skipped with this reason. Remove the # of what you know; nothing here can be verified.
version: 1
# trained_on: data.yaml             # the file that describes the training data
# fit: all_but_test                 # each user's last interaction was held out
# held_out_users: held_out.txt      # ids that were never in the training data, one per line
# decoding: {history_window: 20}    # how many items of the history a prompt shows
# context_length: 8192              # tokens
# price: {input: 0.15, output: 0.60, currency: USD}   # per million tokens
"""
