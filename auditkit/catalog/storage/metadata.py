"""Read and validate the metadata and items of a catalog file, which may be untrusted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from auditkit.catalog.graph.file_terms import TableFile
from auditkit.catalog.graph.schema import KINDS, LinkState, Predicate, ValueType, World
from auditkit.catalog.items import LAST_YEAR
from auditkit.catalog.linking.title_linker import Linking
from auditkit.domains.shipped import DOMAINS
from auditkit.errors import CatalogError

__all__ = ["FileMeta", "aliases_of", "damaged", "item_rows", "variant_values"]


class FileMeta:
    """Validated metadata of a catalog file.

    Raises:
        CatalogError: a value is missing or not valid.
    """

    def __init__(self, file: TableFile) -> None:
        try:
            said = {
                _text(key): _text(value) for key, value in file.rows("SELECT key, value FROM meta")
            }
            self.content_sha256 = said["content_sha256"]
            self.link = _one_of(said["link"], LinkState)
            self.linking = _one_of(said["linking"], Linking)
            self.domain = said.get("domain")
            if self.domain is not None and self.domain not in DOMAINS:
                raise ValueError(f"{self.domain!r:.80} is not a domain")
            self.warnings = [_text(text) for text in _list(said["warnings"])]
            self.variants = tuple(_text(name) for name in _list(said.get("variants", "[]")))
            self.n_triples = _whole(json.loads(said["triples"]))
            self.starts = tuple(_whole(start) for start in _list(said["starts"]))
            self.predicates = tuple(
                Predicate(
                    _text(name),
                    _one_of(world, World),
                    label is not None,
                    _one_of(kind, ValueType),
                    None if inverse_of is None else _text(inverse_of),
                )
                for name, label, world, kind, inverse_of in file.rows(
                    "SELECT name, label, world, type, inverse_of FROM predicates ORDER BY id"
                )
            )
            ((n_items,),) = file.rows("SELECT count(*) FROM items")
            self.n_items = _whole(n_items)
            ((n_terms,),) = file.rows("SELECT coalesce(max(id), -1) + 1 FROM terms")
            ((n_ids,),) = file.rows("SELECT coalesce(max(id), -1) + 1 FROM predicates")
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise damaged(file, str(error)) from None
        starts, names = self.starts, {p.name for p in self.predicates}
        if len(starts) != len(KINDS) + 1 or list(starts) != sorted(starts) or starts[0]:
            raise damaged(file, "its metadata has invalid term ranges")
        if starts[1] != self.n_items:
            raise damaged(file, f"it has {self.n_items} items, but its metadata says {starts[1]}")
        if starts[-1] != n_terms:
            raise damaged(file, f"it has {n_terms} terms, but its metadata says {starts[-1]}")
        if not len(names) == len(self.predicates) == n_ids:
            raise damaged(file, "its predicates are not numbered, or two have the same name")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is not a string")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ValueError(f"{value!r:.80} is not a count")
    return value


def _list(text: str) -> list[object]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError(f"{text[:80]!r} is not a list")
    return found


def _one_of(value: object, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"{value!r} is not one of {', '.join(get_args(choices))}")
    return value


def item_rows(file: TableFile) -> Iterator[tuple[str, str, int | None]]:
    """Yield the id, title and year of every item, in catalog order.

    Raises:
        CatalogError: a row is not valid.
    """
    query = "SELECT row, item_id, title, year FROM items ORDER BY row"
    for place, (row, item_id, title, year) in enumerate(file.iterate(query)):
        if not (isinstance(item_id, str) and isinstance(title, str) and item_id and title):
            raise damaged(file, f"the id or title of item {place} is empty or is not a string")
        if row != place or not (year is None or (isinstance(year, int) and 0 < year <= LAST_YEAR)):
            raise damaged(file, f"item {item_id!r} is out of order or its year is not valid")
        yield item_id, title, year


def aliases_of(file: TableFile, meta: FileMeta) -> dict[int, tuple[str, ...]]:
    """Aliases by catalog row, for the items that have any."""
    found: dict[int, list[str]] = {}
    for row, text in file.iterate("SELECT row, text FROM aliases"):
        if not (isinstance(row, int) and 0 <= row < meta.n_items and isinstance(text, str)):
            raise damaged(file, f"the alias {text!r:.80} is not a string or belongs to no item")
        found.setdefault(row, []).append(text)
    return {row: tuple(texts) for row, texts in found.items()}


def variant_values(file: TableFile, meta: FileMeta) -> list[dict[int, str]]:
    """For each variant, the values by catalog row. Items without a value are absent; of several
    values of an item, the first in the order of codes is returned.
    """
    codes = {predicate.name: code for code, predicate in enumerate(meta.predicates)}
    if unknown := set(meta.variants) - codes.keys():
        raise damaged(file, f"the variant {sorted(unknown)[0]!r} is not a predicate")
    found: list[dict[int, str]] = []
    query = (
        "SELECT triples.s, terms.text FROM triples JOIN terms ON terms.id = triples.o "
        "WHERE triples.p = ? AND triples.s < ? ORDER BY triples.s, triples.o DESC"
    )
    for name in meta.variants:
        rows = file.rows(query, (codes[name], meta.n_items))
        found.append(
            {row: text for row, text in rows if isinstance(row, int) and isinstance(text, str)}
        )
    return found


def damaged(file: TableFile, what: str) -> CatalogError:
    """Return the error for an inconsistent catalog file."""
    return CatalogError(
        f"{file.path} cannot be read as a catalog ({what}). Build it again with: auditkit catalog "
        "build"
    )
