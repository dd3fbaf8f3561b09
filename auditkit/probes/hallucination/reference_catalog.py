"""Unlinked titles that exist outside the catalog, looked up in a larger reference catalog.

A title that is not in the catalog may be invented, or it may be a real item that the catalog lacks.
The two need different remedies: the first is a hallucination, the second is solved by generation
that is restricted to the catalog. A title that resembles one of the catalog counts as real only if
the reference catalog has it literally, with the stated year. A misspelled title of the catalog thus
never becomes a title that exists elsewhere. See docs/explain/hallucination.md.
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
    """The reference catalog of a recipe; None if it names none.

    Raises:
        CatalogError: there is no such catalog, or it is damaged or not valid.
    """
    return load_catalog(named) if named else None


def titles_elsewhere(items: Iterable[RankedItem], reference: Catalog) -> dict[str, str]:
    """The unlinked titles that the reference catalog has.

    Args:
        items: items of lists after linking to the audited catalog.
        reference: the larger catalog.

    Returns:
        Text as written -> title in the reference catalog. A text counts only if the linker finds
        its title there without a repaired word or year. If the audited catalog has a similar title,
        or this title with another year, the text must also state the year of the reference.
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
    """The item that a text names literally; of several with this title, the first."""
    if link.reason in _BY_TITLE:
        return link.item_id or next(iter(link.candidates), None)
    if link.reason != "ambiguous":
        return None
    key = full_key(parse_title(clean_query(link.title)).core)
    return next((one for one in link.candidates if full_key(reference[one].title) == key), None)
