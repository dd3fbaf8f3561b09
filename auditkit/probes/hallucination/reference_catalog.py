"""Unlinked titles that exist outside the catalog, looked up in a larger reference catalog.

A title that is not in the catalog may be invented, or it may be a real item that the catalog does
not have. The remedies differ: an invented title is a hallucination, whereas restricting generation
to the catalog avoids real but absent items. A title that resembles a catalog title counts as real
only if the reference catalog has exactly this title with the stated year. Thus a misspelled title
of the catalog does not count as a title of the reference catalog. See
docs/explain/hallucination.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.linking.normalize import clean_query, full_key, parse_title
from auditkit.catalog.linking.title_linker import EXACT, Link
from auditkit.probes.hallucination.item_checks import unmatched
from auditkit.types import RankedItem

__all__ = ["open_reference", "titles_elsewhere"]

_BY_TITLE = EXACT - {"id"}  # an id of the reference catalog is not a title


def open_reference(named: str) -> Catalog | None:
    """Open the reference catalog of a recipe; None if the recipe names none.

    Raises:
        CatalogError: the catalog does not exist, is damaged, or is not valid.
    """
    return load_catalog(named) if named else None


def titles_elsewhere(items: Iterable[RankedItem], reference: Catalog) -> dict[str, str]:
    """Find the unlinked titles that are in the reference catalog.

    Args:
        items: listed items after linking to the audited catalog.
        reference: the larger catalog.

    Returns:
        Title in the reference catalog by text as written. The linker must find the text there
        without repairing a word or the year. If the audited catalog has a similar title, or this
        title with another year, the text must also state the year in the reference catalog.
    """
    looked_up = [item for item in items if unmatched(item)]
    resembling = {item.raw for item in looked_up if item.link != "none"}
    found: dict[str, str] = {}
    for link in reference.link(sorted({item.raw for item in looked_up})):
        item_id = _named_by(link, reference)
        if item_id is None:
            continue
        item = reference[item_id]
        stated = parse_title(clean_query(link.title)).year
        if link.title not in resembling or (stated is not None and stated == item.year):
            found[link.title] = item.display_title
    return found


def _named_by(link: Link, reference: Catalog) -> str | None:
    """Return the title of the item that a text names exactly; of several such items, the first."""
    if link.reason in _BY_TITLE:
        return link.item_id or next(iter(link.candidates), None)
    if link.reason != "ambiguous":
        return None
    key = full_key(parse_title(clean_query(link.title)).core)
    return next((one for one in link.candidates if full_key(reference[one].title) == key), None)
