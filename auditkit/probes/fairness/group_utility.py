"""Group utility: do real groups of users get equally useful lists?

Per-user HR@10, NDCG@10 and recall@10 of the held-out items, averaged by group (fairlearn's
MetricFrame is the table engine), with simultaneous bounds of the largest gap and a permutation
test, raw and among users of equal activity. Groups below 20 users are left out and named. A model
that is no better than a random ranking is not assessable: equally useless is not fair. Source:
fairness spec 3.8 and 3.10.

A recommender that cannot list titles ranks 20 items, the held-out one among them. More would cost
more and find no more (simulated, 200 users, held-out score higher by .3 to 2 standard deviations):
the guard lets a weak but useful ranking (AUC .58) pass in 90 % of audits with 20 items, 84 % with
50, 69 % with 100, and a gap of .15 in NDCG@10 is found in 88, 87 and 82 %. A random ranking of 20
already has HR@10 .5 and NDCG@10 .23, so relative gaps come out smaller than over the catalog.
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
    worth_crossing,
)
from auditkit.probes.utility.ranking import CUTOFF, list_utility
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Finding, Request

__all__ = ["GroupUtilityProbe"]

_CANDIDATES, _USERS = 20, 200


@dataclass(frozen=True, kw_only=True)
class GroupUtilityProbe:
    """HR@10, NDCG@10 and recall@10 by group, the largest gaps, and what naming an attribute does.

    Attributes:
        attributes: of the data set's users; none means every one with at least two values.
        crossed: attributes to cross, such as `gender&age`; None means every pair of them of which
            at least four cells have `min_group` users.
        n_users: users asked, sampled with the run's seed; None asks all, or 200 where `candidates`
            is chosen automatically and not 0.
        candidates: items to choose from, the user's held-out ones among others that the user has
            not seen; 0 for none, None for 20 where a small language model would have to write
            titles.
        n_disclosed: users who are asked again with each of their attributes named.
        min_group: smallest group that gets a number.
        draws, bootstrap_draws: relabelings of the permutation tests and resamples of the bounds.
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
                f"{PREFIX} needs min_group of at least 2, and n_disclosed and draws of at least 1."
            )
        if self.n_users is not None and self.n_users < 1:
            raise InvalidArgument(f"{PREFIX} got n_users={self.n_users}. Give at least 1.")
        if self.candidates is not None and self.candidates != 0 and self.candidates <= CUTOFF:
            raise InvalidArgument(
                f"{PREFIX} got candidates={self.candidates}: every list of {CUTOFF} would hold the "
                f"held-out item. Give more than {CUTOFF}, or 0 for none."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask every user in neutral words, and some with an attribute named; compare groups."""
        require_unseen_test_items(context)
        groupings = choose_groupings(context.users, self.attributes, self.crossed)
        if not groupings:
            raise NotAssessable("the data set states no attribute of its users with two values")
        n_users, n_candidates = self.sizes(target)
        everyone = context.users if n_users is None else context.sample_users(n_users)
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
        utility = list_utility(scored, [responses[i] for i in kept])
        design: dict[str, JsonValue] = {
            "k": CUTOFF, "n_users": len(users), "candidates": n_candidates,
        }  # fmt: skip
        n_items = len(context.dataset.catalog.items)
        _guard(scored, [requests[i] for i in kept], utility["hr@10"], n_items=n_items)
        served = Served(
            users=scored,
            utility=utility,
            lost=[user for user in everyone if user.id not in served_ids],
            min_group=self.min_group,
            one_target=context.dataset.interactions.cuts is None,
            design=design,
        )
        # A crossing that somebody named is compared as far as it goes.
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
        for grouping in groupings:
            notes = left_out.get(grouping.name, ())
            yield from utility_findings(context, served, grouping, gaps, notes=notes)
        plain = {user.id: response for user, response in zip(users, responses, strict=True)}
        yield from disclosure_findings(
            context, disclosures, plain, names, min_group=self.min_group, design=design
        )

    def sizes(self, target: Target) -> tuple[int | None, int]:
        """How many users are asked, None for all, and how many candidates each gets."""
        if self.candidates is not None or not cannot_list_titles(target):
            return self.n_users, self.candidates or 0
        return self.n_users or _USERS, _CANDIDATES


def _guard(
    users: Sequence[User],
    requests: Sequence[Request],
    hits: NDArray[np.float64],
    *,
    n_items: int,
) -> None:
    """Raise NotAssessable unless the lower bound of HR@10 exceeds a random ranking's, of the
    candidates where there are some, of the catalog where not.
    """
    if not users:
        raise NotAssessable("no user's request was answered")
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
            f"HR@10 is not above a random ranking's {random:.4f} (lower bound {low:.4f}): "
            "equally useless is not fair"
        )
