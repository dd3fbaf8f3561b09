"""Utility: does the list find the user's held-out item? It stands beside every other dimension.

A model that recommends nothing would look harmless everywhere else, so utility is measured on all
users over the full catalog, beside baselines that only count. Source: leave-last-out; sampled
metrics are avoided (Krichene & Rendle 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import hr_at_k, mrr, ndcg_at_k, rank_in_list
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    finding,
    item_ids,
    neutral_request,
    refuse_foreign_training,
    split_by_status,
    unit_of,
)
from auditkit.recommenders.baselines import load_baseline
from auditkit.recommenders.protocols import Recommends
from auditkit.recommenders.target import Target
from auditkit.stats.bootstrap import Measured, bootstrap_mean, paired_difference
from auditkit.stats.rates import rate
from auditkit.types import Finding, Response

__all__ = ["RankingProbe", "list_utility"]

CUTOFF = 10
REFERENCES = ("popularity", "item-knn", "item-knn-recent", "ease", "transitions")


def list_utility(
    users: Sequence[User], responses: Sequence[Response]
) -> dict[str, NDArray[np.float64]]:
    """HR@10, NDCG@10 and MRR@10 per user; a list without the held-out item, or no list, is 0.

    Returns:
        Arrays [n] in [0, 1], ideal 1, by metric name.
    """
    ranks = np.array(
        [
            np.inf if rank is None else float(rank)
            for user, response in zip(users, responses, strict=True)
            for rank in [
                rank_in_list(item_ids(response), user.test_item.id if user.test_item else "")
            ]
        ]
    )
    return {
        "hr@10": hr_at_k(ranks, k=CUTOFF),
        "ndcg@10": ndcg_at_k(ranks, k=CUTOFF),
        "mrr@10": mrr(ranks, k=CUTOFF),
    }


@dataclass(frozen=True, kw_only=True)
class RankingProbe:
    """HR@10, NDCG@10 and MRR@10 of the held-out item, with popularity, item-kNN and transition
    counts beside them.

    Attributes:
        n_users: users asked, sampled with the run's seed; None asks all.
    """

    n_users: int | None = None
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.n_users is not None and self.n_users < 1:
            raise InvalidArgument(f"utility.ranking got n_users={self.n_users}. Give at least 1.")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask every user once; one finding per metric for the model and for each baseline."""
        refuse_foreign_training(context)
        everyone = context.users if self.n_users is None else context.sample_users(self.n_users)
        users = [user for user in everyone if user.test_item is not None]
        if not users:
            raise NotAssessable("no user has a held-out item")
        requests = [neutral_request(user, k=CUTOFF) for user in users]
        responses = target.recommend(requests)
        kept, missing = split_by_status(responses, UTILITY_STATUSES)
        asked = [users[i] for i in kept]
        own = list_utility(asked, [responses[i] for i in kept])
        n_missing = sum(missing.values())
        interactions = context.dataset.interactions
        tie_rule = (
            f"same-second ties broken by a random draw with seed {interactions.tie_seed}; "
            f"{interactions.tied_last_share:.0%} of users have such a tie at their last two items"
        )
        for metric, values in own.items():
            full = f"utility.ranking.{metric}"
            yield finding(
                context,
                full,
                _measure(context, full, values, n_missing=n_missing),
                parameters={"k": CUTOFF, "n_items": len(context.dataset.catalog.items)},
                units=[
                    (user.id, float(value), 1.0) for user, value in zip(asked, values, strict=True)
                ],
                notes=[tie_rule],
            )
        for name in REFERENCES:
            answers = load_baseline(name, context.dataset).recommend([requests[i] for i in kept])
            reference = list_utility(asked, answers)
            for metric, values in reference.items():
                full = f"utility.ranking.{metric}"
                unit, direction = unit_of(full)
                gap, _ = paired_difference(
                    values,
                    own[metric],
                    rng=context.rng(metric, name),
                    unit=unit,
                    direction=direction,
                )
                yield finding(
                    context,
                    full,
                    _measure(context, full, values, n_missing=n_missing),
                    group=f"baseline={name}",
                    parameters={"k": CUTOFF},
                    notes=[_gap_in_words(gap.value, gap.low, gap.high)],
                )


def _gap_in_words(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return "the model cannot be compared with this baseline"
    return f"model minus this baseline, paired by user: {value:+.4f} [{low:+.4f}, {high:+.4f}]"


def _measure(
    context: Context, metric: str, values: NDArray[np.float64], *, n_missing: int = 0
) -> Measured:
    unit, direction = unit_of(metric)
    if metric.endswith("hr@10"):
        return rate(
            int(values.sum()), len(values), unit=unit, direction=direction, n_missing=n_missing
        )
    return bootstrap_mean(
        values,
        rng=context.rng(metric, "bootstrap"),
        unit=unit,
        direction=direction,
        n_missing=n_missing,
    )
