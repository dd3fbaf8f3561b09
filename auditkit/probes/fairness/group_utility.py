"""Group utility: do groups of real users get equally useful lists?

HR@10, NDCG@10 and recall@10 of each user's held-out items are averaged by group (with fairlearn's
MetricFrame), with simultaneous bounds of the largest gap and a permutation test, raw and stratified
by activity. Groups of fewer than 20 users are omitted and listed in a note. A recommender that does
not rank better than at random is not assessable, because equally useless lists do not show
fairness. See docs/explain/fairness.md.

A recommender that cannot generate titles ranks 20 items, including the held-out one. More items
cost more but do not increase power. In a simulation with 200 users, in which the score of the
held-out item is higher by .3 to 2 standard deviations, the validity check accepts a weak but useful
ranking (AUC .58) in 90 % of audits with 20 items, 84 % with 50 and 69 % with 100; a gap of .15 in
NDCG@10 is detected in 88, 87 and 82 % of audits. A random ranking of 20 items already has HR@10 .5
and NDCG@10 .23, so relative gaps are smaller than for rankings of the whole catalog.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import chance_of_a_hit
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    require_unseen_test_items,
    split_by_status,
)
from auditkit.probes.fairness.attribute_disclosure import ask_with_attributes, disclosure_findings
from auditkit.probes.fairness.candidates import cannot_list_titles, requests_for_utility
from auditkit.probes.fairness.group_findings import GAPS, PREFIX, Served, utility_findings
from auditkit.probes.fairness.group_gaps import (
    LEAST_CELLS,
    choose_groupings,
    measure_gaps,
    missing_crossings,
    worth_crossing,
)
from auditkit.probes.utility.ranking import CUTOFF, list_utility
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Finding, Request

__all__ = ["GroupUtilityProbe"]

_CANDIDATES, _USERS = 20, 200
MOST_USERS = 2_000


@dataclass(frozen=True, kw_only=True)
class GroupUtilityProbe:
    """HR@10, NDCG@10 and recall@10 by group, largest gaps, and the effect of stating an attribute.

    Attributes:
        attributes: user attributes of the data set; empty for all with at least two values.
        crossed: attributes to cross, such as `gender&age`; None for every pair in which at least
            four cells have `min_group` users.
        n_users: largest number of users; from more users, a sample is taken with the seed of the
            run. None means 2,000 users, or 200 if `candidates` is None and the recommender is a
            small language model that gets candidates.
        candidates: number of candidates to rank, which are the user's held-out items and unseen
            items; 0 for none. None means 20 for a small language model that generates titles, and
            no candidates for other recommenders.
        n_disclosed: number of users whose requests are repeated with each attribute stated.
        min_group: minimum group size for an estimate.
        draws, bootstrap_draws: number of random permutations of the tests, and of resamples for the
            bounds.
    """

    attributes: tuple[str, ...] = ()
    crossed: tuple[str, ...] | None = None
    n_users: int | None = None
    candidates: int | None = None
    n_disclosed: int = 60
    min_group: int = 20
    draws: int = 1_999
    bootstrap_draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if min(self.n_disclosed, self.min_group - 1, self.draws, self.bootstrap_draws) < 1:
            raise InvalidArgument(
                f"{PREFIX} needs min_group of at least 2, and n_disclosed, draws and "
                "bootstrap_draws of at least 1."
            )
        if self.n_users is not None and self.n_users < 1:
            raise InvalidArgument(f"{PREFIX} got n_users={self.n_users}. Give at least 1 user.")
        if self.candidates is not None and self.candidates != 0 and self.candidates <= CUTOFF:
            raise InvalidArgument(
                f"{PREFIX} got candidates={self.candidates}, so every list of {CUTOFF} would "
                f"contain the held-out item. Give more than {CUTOFF} candidates, or 0 for none."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request lists without and with stated attributes, and compare groups."""
        require_unseen_test_items(context)
        groupings = choose_groupings(context.users, self.attributes, self.crossed)
        if not groupings:
            raise NotAssessable("no user attribute has at least two known values")
        n_users, n_candidates = self.sizes(target)
        everyone = context.at_most(n_users)
        users = [user for user in everyone if user.test_item is not None]
        requests = requests_for_utility(target, context, users, k=CUTOFF, n_candidates=n_candidates)
        responses = target.recommend(requests)
        names = [grouping.name for grouping in groupings if not grouping.crossed]
        disclosures = ask_with_attributes(
            target, context, users, requests, names, n_users=self.n_disclosed
        )
        kept, _ = split_by_status(responses, UTILITY_STATUSES)
        scored = [users[i] for i in kept]
        served_ids = {user.id for user in scored}
        utility = list_utility(scored, [responses[i] for i in kept], context.dataset.catalog)
        design: dict[str, JsonValue] = {
            "k": CUTOFF, "n_users": len(users), "candidates": n_candidates,
        }  # fmt: skip
        n_items = len(context.dataset.catalog.items)
        _require_better_than_random(
            scored, [requests[i] for i in kept], utility["hr@10"], n_items=n_items
        )
        served = Served(
            users=scored,
            utility=utility,
            lost=[user for user in everyone if user.id not in served_ids],
            min_group=self.min_group,
            one_target=context.dataset.interactions.cuts is None,
            design=design,
            notes=context.sampled(n_users),
        )
        # A crossing named in the recipe is always compared.
        least = 0 if self.crossed is not None else LEAST_CELLS
        groupings, left_out = worth_crossing(
            groupings, scored, min_group=self.min_group, least=least
        )
        gaps = measure_gaps(
            context,
            scored,
            {m: utility[m] for m in GAPS if not (served.one_target and m == "recall@10")},
            groupings,
            min_group=self.min_group,
            draws=self.draws,
            bootstrap_draws=self.bootstrap_draws,
        )
        missing = missing_crossings(context.users, self.crossed)
        for number, grouping in enumerate(groupings):
            notes = [*left_out.get(grouping.name, ()), *(() if number else missing)]
            yield from utility_findings(context, served, grouping, gaps, notes=notes)
        plain = {user.id: response for user, response in zip(users, responses, strict=True)}
        yield from disclosure_findings(
            context, disclosures, plain, names, min_group=self.min_group, design=design
        )

    def sizes(self, target: Target) -> tuple[int, int]:
        """Return the largest number of users, and the number of candidates per user."""
        if self.candidates is not None or not cannot_list_titles(target):
            return self.n_users or MOST_USERS, self.candidates or 0
        return self.n_users or _USERS, _CANDIDATES


def _require_better_than_random(
    users: Sequence[User],
    requests: Sequence[Request],
    hits: NDArray[np.float64],
    *,
    n_items: int,
) -> None:
    """Raise NotAssessable unless the lower bound of HR@10 exceeds the HR@10 of a random ranking.

    The random ranking is of the candidates, or of the catalog if there are no candidates.
    """
    if not users:
        raise NotAssessable("no request has a response")
    chance = [
        chance_of_a_hit(
            len(request.candidates) if request.candidates else n_items,
            len({item.id for item in user.test_items}),
            k=CUTOFF,
        )
        for user, request in zip(users, requests, strict=True)
    ]
    random = float(np.mean(chance))
    low = clopper_pearson(int(hits.sum()), len(hits)).low
    if low <= random:
        raise NotAssessable(
            f"the lower bound of HR@10 is {low:.4f}, not above the {random:.4f} of a random "
            "ranking; equally useless lists do not show fairness"
        )
