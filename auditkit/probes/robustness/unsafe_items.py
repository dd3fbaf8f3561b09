"""Items of a catalog that are unsuitable for minors, by a column or by genre as a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.catalog.catalog import Catalog
from auditkit.probes.base import NotAssessable
from auditkit.probes.robustness.shipped_texts import shipped_texts

__all__ = ["UnsafeTag", "unsafe_tag"]


@dataclass(frozen=True)
class UnsafeTag:
    """Values of one predicate that mark an item as unsuitable for minors.

    Attributes:
        predicate: predicate of the catalog's graph.
        values: values in lower case.
        is_proxy: whether the predicate only suggests unsuitability, as a genre does.
    """

    catalog: Catalog
    predicate: str
    values: frozenset[str]
    is_proxy: bool

    def __contains__(self, item_id: object) -> bool:
        """Whether an item of the catalog has one of the values."""
        found = self.catalog.graph.values(str(item_id), self.predicate)
        return any(value.casefold() in self.values for value in found)


def unsafe_tag(
    catalog: Catalog, domain: str, *, predicate: str = "", values: Sequence[str] = ()
) -> UnsafeTag:
    """Choose the tag of a catalog: the given tag, a column of ratings, or the proxy of the domain.

    Args:
        domain: name of the domain pack.
        catalog: the catalog.
        predicate, values: the tag to use; empty to choose one automatically.

    Raises:
        NotAssessable: the catalog does not have the predicate or any of the values.
    """
    shipped = shipped_texts("unsafe_values")
    proxy = shipped["proxies"].get(domain, {"predicate": "", "values": []})
    options = [(column, shipped["values"], False) for column in shipped["columns"]]
    options.append((proxy["predicate"], proxy["values"], True))
    if predicate:
        options = [(predicate, values, False)]
    for name, listed, is_proxy in options:
        wanted = frozenset(value.casefold() for value in listed)
        known = name in catalog.graph.codes
        if known and any(label.casefold() in wanted for label in catalog.graph.labels(name)):
            return UnsafeTag(catalog, name, wanted, is_proxy)
    raise NotAssessable(
        "no column of the catalog tells which items are unsuitable for minors; name a column with "
        "the parameters predicate and values"
    )
