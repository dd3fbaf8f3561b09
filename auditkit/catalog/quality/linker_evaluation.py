"""Recall and specificity of the title linker on the audited catalog.

The linker is evaluated on known titles in the forms in which models write them, and on titles whose
entry is hidden from the index. The unit is one entry, which counts as correct only if all its forms
are, so the Clopper-Pearson intervals are over independent entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from auditkit.catalog.items import CatalogItem
from auditkit.catalog.linking.title_linker import Link, TitleLinker
from auditkit.seeding import generator
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Estimate

__all__ = ["Checkable", "SelfCheck", "self_check"]

MAX_ENTRIES = 500
FORMS_WITH_YEAR = ("{title} ({year})", "1. **{title} ({year})**", "{lower} ({year})")
FORM_WITHOUT_YEAR = "{title}"


class Checkable(Protocol):
    """The part of a catalog that is needed to evaluate its title linker."""

    @property
    def items(self) -> Sequence[CatalogItem]:
        """Items in catalog order."""
        ...

    @property
    def linker(self) -> TitleLinker:
        """The linker to check."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content."""
        ...


class SelfCheck(NamedTuple):
    """Fraction of known titles that are linked and of hidden titles that are rejected; ideal 1."""

    sensitivity: Estimate
    specificity: Estimate


def self_check(catalog: Checkable, *, seed: int) -> SelfCheck:
    """Evaluate the linker of one catalog.

    Up to 500 sampled entries are queried plain, bold and numbered, in lower case, and without the
    year. A result is correct if it is the sampled entry, or `ambiguous` with this entry among the
    candidates, because a title without its year may name two films. A second sample of up to 500
    entries is hidden and queried with the year; a result is correct if it links no item. Hidden
    titles are not queried without the year, because such a title may correctly name a remake.

    Args:
        catalog: the catalog whose linker is checked.
        seed: seed of the two samples.
    """
    linker = catalog.linker
    n = min(MAX_ENTRIES, linker.index.n_entries)
    rng = generator(seed, "linker self-check", catalog.fingerprint)
    known, hidden = (
        sorted(rng.choice(linker.index.n_entries, n, replace=False).tolist()) for _ in range(2)
    )

    known_forms = [_forms(catalog.items[linker.index.members(entry)[0]]) for entry in known]
    found = _groups(
        linker.link([form for forms in known_forms for form in forms]), len(known_forms[0])
    )
    n_found = sum(
        all(_names(link, linker.item_ids_of(entry)) for link in links)
        for entry, links in zip(known, found, strict=True)
    )
    dated = [
        _forms(catalog.items[linker.index.members(entry)[0]])[: len(FORMS_WITH_YEAR)]
        for entry in hidden
    ]
    absent = [entry for entry in hidden for _ in FORMS_WITH_YEAR]
    answers = _groups(
        linker.link([form for forms in dated for form in forms], without=absent),
        len(FORMS_WITH_YEAR),
    )
    n_refused = sum(all(link.item_id is None for link in links) for links in answers)
    return SelfCheck(_share(n_found, n), _share(n_refused, n))


def _groups(links: Sequence[Link], size: int) -> list[Sequence[Link]]:
    return [links[begin : begin + size] for begin in range(0, len(links), size)]


def _forms(item: CatalogItem) -> list[str]:
    """Written forms of an item's title: those with the year, if it has one, then one without."""
    with_year = (
        FORMS_WITH_YEAR
        if item.year is not None
        else tuple(f.replace(" ({year})", "") for f in FORMS_WITH_YEAR)
    )
    return [
        form.format(title=item.title, lower=item.title.lower(), year=item.year)
        for form in (*with_year, FORM_WITHOUT_YEAR)
    ]


def _names(link: Link, same_entry: Sequence[str]) -> bool:
    return link.item_id in same_entry or (
        link.reason == "ambiguous" and bool(set(same_entry) & set(link.candidates))
    )


def _share(x: int, n: int) -> Estimate:
    low, high = clopper_pearson(x, n)
    return Estimate(
        value=x / n, low=low, high=high, n=n, unit="fraction of entries", direction="higher"
    )
