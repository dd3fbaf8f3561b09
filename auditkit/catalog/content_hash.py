"""One hash over everything in a catalog, whatever file it is kept in."""

from __future__ import annotations

import hashlib

from auditkit.catalog.draft import CatalogDraft
from auditkit.catalog.graph_builder import EncodedGraph

__all__ = ["content_sha256"]


def content_sha256(draft: CatalogDraft, encoded: EncodedGraph) -> str:
    """SHA-256 over the items, aliases, predicates, terms and sorted triples."""
    digest = hashlib.sha256()
    for row, (item_id, title, year) in enumerate(
        zip(draft.ids, draft.titles, draft.years, strict=True)
    ):
        digest.update(_line(item_id, title, year, *draft.aliases.get(row, ())))
    for p in encoded.predicates:
        digest.update(_line(p.name, p.world, p.type, p.labelled, p.inverse_of))
    digest.update(_line(*encoded.starts))
    for text in encoded.texts:
        digest.update(_line(text))
    digest.update(encoded.keys.astype("<i8").tobytes())
    return digest.hexdigest()


def _line(*cells: object) -> bytes:
    """Cells whose boundaries cannot be confused."""
    return "".join(f"{len(text)}:{text}" for text in map(str, cells)).encode("utf-8") + b"\n"
