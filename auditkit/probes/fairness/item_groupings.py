"""Item groupings for the exposure probe: popularity deciles, genres, decades and providers.

Providers, such as directors, are values of relations in the catalog's graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from auditkit.catalog.catalog import Catalog
from auditkit.metrics.item_groups import memberships, popularity_deciles

__all__ = ["ItemGrouping", "item_groupings", "largest_groups"]

OTHER = "other"
_LARGEST = 2_000


@dataclass(frozen=True)
class ItemGrouping:
    """One way of grouping the items of a catalog.

    Attributes:
        name: name of the grouping, such as `genre`.
        groups: names of each item's groups, in catalog order; empty for an item without a known
            group.
        provider: whether the groups are providers.
        reason: why there are no groups; None if there are groups.
    """

    name: str
    groups: tuple[tuple[str, ...], ...]
    provider: bool = False
    reason: str | None = None


def item_groupings(
    catalog: Catalog, popularity: NDArray[np.float64], providers: Sequence[str]
) -> list[ItemGrouping]:
    """Create groupings by popularity decile, genre, decade and every provider relation.

    Args:
        catalog: the catalog.
        popularity: number of interactions per item, [items]; decile 1 is the most popular, and ties
            are broken by id.
        providers: names of relations in the catalog's graph, such as `director`, or with the prefix
            of the linked Freebase graph, such as `fb:director`.
    """
    deciles = popularity_deciles(popularity, catalog.ids)
    names = {decile: (f"decile {decile}",) for decile in set(deciles)}
    decades: dict[int | None, tuple[str, ...]] = {
        year: () if year is None else (f"{year // 10 * 10}s",) for year in set(catalog.years)
    }
    return [
        ItemGrouping("popularity", tuple(map(names.__getitem__, deciles))),
        ItemGrouping("genre", tuple(item.genres for item in catalog.items)),
        ItemGrouping("decade", tuple(map(decades.__getitem__, catalog.years))),
        *(_by_relation(catalog, name) for name in providers),
    ]


def _by_relation(catalog: Catalog, name: str) -> ItemGrouping:
    graph = catalog.graph
    relation = next((known for known in (name, f"fb:{name}") if known in graph.codes), None)
    if relation is None:
        reason = f"the catalog's graph has no relation {name!r}"
        return ItemGrouping(name, (), provider=True, reason=reason)
    code, rows = graph.predicate(relation), np.arange(len(catalog))
    found = graph.objects(rows, np.full(len(rows), code))
    labels = graph.terms.texts(found.values.tolist())
    groups = tuple(
        tuple(labels[begin:end])
        for begin, end in zip(found.indptr[:-1], found.indptr[1:], strict=True)
    )
    return ItemGrouping(name, groups, provider=True)


def largest_groups(
    groups: Sequence[Sequence[str]], weights: NDArray[np.float64]
) -> tuple[tuple[str, ...], sparse.csr_array]:
    """Keep the 2,000 largest groups, pool all other groups, and drop groups without weight.

    Args:
        groups: names of each item's groups.
        weights: weight of every item, [items].

    Returns:
        Names, largest group first, and the fraction of every item in each group, [items, groups].
    """
    names, parts = memberships(groups)
    totals = weights @ parts
    order = [i for i in np.argsort(-totals, kind="stable").tolist() if totals[i] > 0]
    kept, rest = order[:_LARGEST], order[_LARGEST:]
    chosen, table = [names[i] for i in kept], parts[:, kept]
    if rest:
        chosen.append(f"{OTHER} ({len(rest)})")
        pooled = sparse.csr_array(parts[:, rest].sum(axis=1)[:, None])
        table = sparse.csr_array(sparse.hstack((table, pooled)))
    return tuple(chosen), table
