"""Search for the smallest removal of history items that changes the top item.

All removals of one, two, three and more items are tried as long as their number is within a limit,
so that the smallest size is proven. If none of them changes the top item, items are removed
cumulatively, in decreasing order of their leave-one-out effects. Source: PRINCE (Ghazimatin et al.
2020) and ACCENT (Tran et al. 2021) search greedily; the search by size is ours and proves
minimality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from auditkit.metrics.coalitions import minimal_removal_sets
from auditkit.probes.explanation.top_items import Explained, measure_tops
from auditkit.recommenders.execution.target import Target

__all__ = ["Removal", "Status", "most_masks", "removal_order", "search_removals"]

LARGEST = 3  # size up to which all removals are tried, unless every subset fits into the limit
Status = Literal["proven", "greedy", "none_proven", "none_found", "not_top", "failed"]


@dataclass(frozen=True)
class Removal:
    """The smallest known removals for one user.

    Attributes:
        sets: all known sets of the smallest size, as history positions, oldest first; may be empty.
        status: `proven`: no smaller set exists; `greedy`: a smaller set may exist; `none_proven`:
            no removal changes the top item; `none_found`: the search found no removal; `not_top`:
            the first item of the list does not have the highest score; `failed`: a request failed.
        at_least: lower bound of the size, proven by the search; the size of the sets if `proven`.
    """

    explained: Explained
    sets: tuple[tuple[int, ...], ...]
    status: Status
    at_least: int

    @property
    def regardless(self) -> bool | None:
        """Whether the top item stays first after every measured removal, including the whole
        history.

        None if unknown.
        """
        if self.status in ("not_top", "failed"):
            return None
        return not self.sets


def search_removals(target: Target, users: Sequence[Explained], *, cap: int) -> list[Removal]:
    """Search for all users, one size at a time, in one call of the target per size.

    Args:
        cap: largest number of removals in the search by size for one user; the greedy search adds
            at most one removal per item.
    """
    measure_tops(target, [(one, [one.everything, 0]) for one in users])
    for size in range(1, max((_searched_sizes(one.n, cap) for one in users), default=0) + 1):
        open_users = [one for one in users if not _settled(one) and size <= _limit(one, cap)]
        measure_tops(target, [(one, _masks(one, size)) for one in open_users])
    left = [one for one in users if not _settled(one)]
    measure_tops(target, [(one, _masks(one, 1)) for one in left])  # the order needs single removals
    measure_tops(target, [(one, _path(one)) for one in left])
    return [_result(one) for one in users]


def most_masks(n: int, cap: int) -> int:
    """Return an upper bound on the number of masks that the search measures for n history items."""
    tried = sum(math.comb(n, size) for size in range(1, _searched_sizes(n, cap) + 1))
    return int(min(1 << n, tried + n + n + 2))


def removal_order(one: Explained) -> list[int]:
    """Sort history positions by the drop of the explained item's strength without them.

    The largest drop is first.

    Ties are sorted by position; positions without a measurement come last.
    """
    whole = one.outcomes[one.everything].strength
    single = {i: one.outcomes.get(one.without([i])) for i in range(one.n)}
    drops = {i: whole - found.strength for i, found in single.items() if found is not None}
    return sorted(range(one.n), key=lambda i: (-drops.get(i, -math.inf), i))


def _searched_sizes(n: int, cap: int) -> int:
    """Return the largest size up to which all removals are tried; n if all subsets are within
    `cap`.
    """
    if (1 << n) - 1 <= cap:
        return n
    total, size = 0, 0
    while size < min(LARGEST, n) and total + math.comb(n, size + 1) <= cap:
        size += 1
        total += math.comb(n, size)
    return size


def _limit(one: Explained, cap: int) -> int:
    return _searched_sizes(one.n, cap)


def _masks(one: Explained, size: int) -> list[int]:
    return [one.without(removal) for removal in combinations(range(one.n), size)]


def _path(one: Explained) -> list[int]:
    order = removal_order(one)
    return [one.without(order[:size]) for size in range(1, one.n + 1)]


def _known(one: Explained) -> dict[int, str]:
    return {mask: outcome.top for mask, outcome in one.outcomes.items()}


def _settled(one: Explained) -> bool:
    """Whether the search is complete: a removal is proven, or the whole request was not
    measured.
    """
    if _unusable(one) is not None:
        return True
    return minimal_removal_sets(_known(one), n=one.n).proven


def _unusable(one: Explained) -> Status | None:
    if one.everything in one.failed or 0 in one.failed:
        return "failed"
    return "not_top" if one.outcomes[one.everything].top != one.item.id else None


def _result(one: Explained) -> Removal:
    why = _unusable(one)
    if why is not None:
        return Removal(one, (), why, 0)
    found = minimal_removal_sets(_known(one), n=one.n)
    if found.sets:
        size = len(found.sets[0])
        at_least = size if found.proven else found.searched + 1
        return Removal(one, found.sets, "proven" if found.proven else "greedy", at_least)
    complete = found.searched == one.n
    return Removal(one, (), "none_proven" if complete else "none_found", found.searched + 1)
