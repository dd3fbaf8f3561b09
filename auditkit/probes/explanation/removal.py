"""Removal sets: how many history items must be removed before the recommendation changes?

For each user, the smallest set of history items is searched whose removal changes the top item. An
item that stays first even after the whole history is removed is recommended regardless of history.
See docs/explain/explanations.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable, finding, unit_of
from auditkit.probes.explanation.removal_search import Removal, most_masks, search_removals
from auditkit.probes.explanation.top_items import STORED, By, Explained, explained_users, source_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.stats.bootstrap import bootstrap_statistic
from auditkit.stats.rates import rate
from auditkit.types import Evidence, Finding, Request

__all__ = ["RemovalProbe"]

SIZE, REGARDLESS = "explain.removal_size", "explain.regardless"
_N_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class RemovalProbe:
    """Smallest removal that changes the top item, and share of users for whom no removal does.

    Attributes:
        n_users: number of users.
        n_items: number of latest history items in the request, 1..20.
        k: length of the list; by scores, its items are the candidates.
        cap: largest number of removals in the search by size for one user; 10 items have 55
            removals of at most two items and 175 of at most three.
        by: what determines the top item: `scores`, `lists`, or `auto`, which means scores if the
            recommender returns them.
    """

    n_users: int = 40
    n_items: int = 10
    k: int = 10
    cap: int = 60
    by: By = "auto"
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if min(self.n_users, self.cap, self.n_items) < 1 or self.n_items > 20 or self.k < 2:
            raise InvalidArgument(
                f"explain.removal got n_users={self.n_users}, n_items={self.n_items}, k={self.k}, "
                f"cap={self.cap}. Give n_users and cap of at least 1, n_items from 1 to 20, and k "
                "of at least 2."
            )
        if self.by not in ("auto", "scores", "lists"):
            raise InvalidArgument(
                f"explain.removal got by={self.by!r}. Give 'auto', 'scores' or 'lists'."
            )

    def most_requests(self, n_users: int) -> int:
        """Return an upper bound on the number of requests for `n_users` users in the data."""
        return min(self.n_users, n_users) * (1 + most_masks(self.n_items, self.cap))

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request the users' lists, then lists or scores for histories with items removed."""
        if self.by == "scores" and not isinstance(target.recommender, Scores):
            raise NotAssessable(
                "the recommender returns no scores of given items; set `by: lists` in the recipe"
            )
        if not target.reads_history:
            raise NotAssessable(STORED)
        users = context.sample_users(self.n_users)
        requests = [
            Request(user_id=user.id, history=user.history[-self.n_items :], k=self.k)
            for user in users
        ]
        explained, missing = explained_users(target, users, requests, by=self.by)
        found = search_removals(target, explained, cap=self.cap)
        reasons = Counter(missing) + Counter(
            one.status for one in found if one.regardless is None
        )  # fmt: skip
        parameters: dict[str, JsonValue] = {
            "by": source_of(target, self.by),
            "n_items": self.n_items,
            "k": self.k,
            "cap": self.cap,
            "status": dict(Counter(one.status for one in found)),
        }
        notes = [f"missing: {n} users, {why}" for why, n in sorted(reasons.items())]
        kept = [one for one in found if one.regardless is not None]
        n_missing = len(users) - len(kept)
        yield self._size(target, context, kept, n_missing, parameters, notes)
        yield self._regardless(context, kept, n_missing, parameters, notes)

    def _size(
        self,
        target: Target,
        context: Context,
        kept: Sequence[Removal],
        n_missing: int,
        parameters: dict[str, JsonValue],
        notes: Sequence[str],
    ) -> Finding:
        """Estimate the median size among users with a removal set; a note counts the other
        users.
        """
        changed = [one for one in kept if one.sets]
        sizes = np.array([len(one.sets[0]) for one in changed], dtype=np.float64)
        unit, direction = unit_of(SIZE)

        def median(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.asarray(np.median(sizes[rows], axis=1))

        measured = bootstrap_statistic(
            len(sizes),
            median,
            rng=context.rng("size"),
            unit=unit,
            direction=direction,
            n_missing=n_missing,
            reason="no removal changed the top item of any user",
            limits=(1, self.n_items),
        )
        counts = Counter(len(one.sets[0]) for one in changed)
        histogram: dict[str, JsonValue] = {str(size): counts[size] for size in sorted(counts)}
        return finding(
            context,
            SIZE,
            measured,
            parameters={**parameters, "users_by_size": {**histogram, "none": _none(kept)}},
            units=[(one.explained.user.id, float(len(one.sets[0])), 1.0) for one in changed],
            evidence=[_flip(target, one) for one in _by_size(changed)[:_N_SHOWN]],
            n_cases=len(changed),
            notes=[
                *notes,
                f"{_none(kept)} of {len(kept)} users have no removal set and are not in the median",
            ],
        )

    def _regardless(
        self,
        context: Context,
        kept: Sequence[Removal],
        n_missing: int,
        parameters: dict[str, JsonValue],
        notes: Sequence[str],
    ) -> Finding:
        unit, direction = unit_of(REGARDLESS)
        cases = [one.explained for one in kept if not one.sets]
        popularity = np.bincount(
            context.dataset.interactions.item_index, minlength=len(context.dataset.catalog)
        )
        return finding(
            context,
            REGARDLESS,
            rate(len(cases), len(kept), unit=unit, direction=direction, n_missing=n_missing),
            parameters=parameters,
            units=[(one.explained.user.id, float(not one.sets), 1.0) for one in kept],
            evidence=[_unmoved(context, one, popularity) for one in cases[:_N_SHOWN]],
            n_cases=len(cases),
            notes=notes,
        )


def _none(kept: Sequence[Removal]) -> int:
    return sum(not one.sets for one in kept)


def _by_size(changed: Sequence[Removal]) -> list[Removal]:
    return sorted(changed, key=lambda one: len(one.sets[0]))


def _flip(target: Target, one: Removal) -> Evidence:
    """Describe one removal: the removed items, the new top item, and the new place of the old
    one.
    """
    explained, removal = one.explained, one.sets[0]
    outcome = explained.outcomes[explained.without(removal)]
    gone = ", ".join(explained.request.history[i].title for i in removal)
    fall = f"falls to place {outcome.place}" if outcome.place else "is no longer listed"
    first = f"{_title(target, outcome.top)} comes first" if outcome.top else "nothing is listed"
    certainty = {
        "proven": f"proven to be the smallest; removals of this size: {len(one.sets)}",
        "greedy": f"found greedily; any removal needs at least {one.at_least} items",
    }[one.status]
    return Evidence(
        requests=(
            explained.outcomes[explained.everything].request_id,
            outcome.request_id,
        ),
        what=f"{explained.item.title} was recommended first; without {gone} it {fall} and {first} "
        f"({certainty})",
    )


def _unmoved(context: Context, one: Explained, popularity: NDArray[np.int64]) -> Evidence:
    """Describe an item that no removal changes, with its popularity rank, which may explain
    this.
    """
    row = context.dataset.catalog.index.get(one.item.id)
    rank = "" if row is None else f"; it is number {_rank(popularity, row):,} by popularity"
    return Evidence(
        requests=(one.outcomes[one.everything].request_id, one.outcomes[0].request_id),
        what=f"{one.item.title} is recommended first with the whole history of {one.n} items and "
        f"also without any history{rank}",
    )


def _rank(popularity: NDArray[np.int64], row: int) -> int:
    return int((popularity > popularity[row]).sum()) + 1


def _title(target: Target, item_id: str) -> str:
    known = item_id in target.catalog.index
    return target.catalog[item_id].display_title if known else item_id.removeprefix("raw:")
