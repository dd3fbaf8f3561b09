"""Utility: does the list contain the user's held-out items?

A model that recommends nothing would look harmless in all other probes, so utility is measured over
the full catalog and compared with baselines without a neural network. In a temporal split, a user
has several held-out items: recall@10 is the share of these items in the list, NDCG@10 is relative
to the best possible list, and HR@10 and MRR@10 use the held-out item with the best rank. With one
held-out item, recall@10 equals HR@10 and is not reported. Source: leave-last-out over the full
catalog, because sampled metrics are inconsistent (Krichene & Rendle 2020).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.interactions import Interactions
from auditkit.errors import AuditkitError, InvalidArgument
from auditkit.metrics.ranking import hr_at_k, mrr, ndcg_of_list, rank_in_list, recall_of_list
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    finding,
    item_ids,
    neutral_request,
    require_unseen_test_items,
    split_by_status,
    unit_of,
    validation_context,
)
from auditkit.probes.utility.suspicion import suspicion_findings
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.execution.readable_form import unreadable_form
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import (
    ResampledEstimate,
    bootstrap_mean,
    paired_difference,
    undefined,
)
from auditkit.stats.rates import rate
from auditkit.types import Finding, Response

__all__ = ["RankingProbe", "ValidationProbe", "list_utility"]

CUTOFF = 10
MOST_USERS = 1_000  # a standard error of HR@10 of at most .016
REFERENCES = ("popularity", "item-knn", "item-knn-recent", "ease", "transitions")
# A baseline that fails for one of these reasons loses only its own findings.
_CANNOT_RUN = (NotAssessable, AuditkitError, MemoryError, ArithmeticError, ValueError)


def list_utility(
    users: Sequence[User], responses: Sequence[Response], catalog: Catalog
) -> dict[str, NDArray[np.float64]]:
    """Compute HR@10, NDCG@10, MRR@10 and recall@10 per user.

    The values are 0 for a list without a held-out item, and for a response without a list.

    Args:
        users: users with at least one held-out item each.
        responses: one response per user.
        catalog: catalog of the items; if several items have the listed title, each of them counts
            as listed.

    Returns:
        Arrays [n] in [0, 1], ideal 1, by metric name.
    """
    best, gains, shares = [], [], []
    for user, response in zip(users, responses, strict=True):
        targets = {item.id for item in user.test_items}
        listed = _listed(response, targets, catalog)
        ranks = [rank_in_list(listed, target) for target in targets]
        best.append(min((float(rank) for rank in ranks if rank is not None), default=np.inf))
        gains.append(ndcg_of_list(listed, targets, k=CUTOFF) or 0.0)
        shares.append(recall_of_list(listed, targets, k=CUTOFF) or 0.0)
    return {
        "hr@10": hr_at_k(np.array(best), k=CUTOFF),
        "ndcg@10": np.array(gains),
        "mrr@10": mrr(np.array(best)),
        "recall@10": np.array(shares),
    }


def _listed(response: Response, targets: Collection[str], catalog: Catalog) -> list[str]:
    """Return the ids of a list; of several items with a listed title, the held-out item counts."""
    listed = item_ids(response)
    for place, item in enumerate(response.items):
        if item.link == "duplicate_title":
            same = catalog.link([item.raw])[0].candidates
            listed[place] = next((id_ for id_ in same if id_ in targets), listed[place])
    return listed


@dataclass(frozen=True, kw_only=True)
class RankingProbe:
    """HR@10, NDCG@10, MRR@10 and, in a temporal split, recall@10 of the model and of baselines.

    The probe also reports whether the model is suspiciously good.

    Attributes:
        n_users: largest number of users, sampled with the seed of the run. None for all users.
    """

    n_users: int | None = MOST_USERS
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        _check_users(self.n_users, "utility.ranking")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request one list per user; yield one finding per metric for the model and each
        baseline.
        """
        require_unseen_test_items(context)
        yield from _measured_lists(target, context, self.n_users, suspects=True)


@dataclass(frozen=True, kw_only=True)
class ValidationProbe:
    """The metrics of RankingProbe on the validation items, for choosing settings.

    Histories end before the validation items, and baselines are fitted without them.

    Attributes:
        n_users: largest number of users, sampled with the seed of the run. None for all users.
    """

    n_users: int | None = MOST_USERS
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        _check_users(self.n_users, "utility.validation")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request one list per user, for models that were trained without the validation items."""
        yield from _measured_lists(target, validation_context(context), self.n_users)


def _measured_lists(
    target: Target, context: Context, n_users: int | None, *, suspects: bool = False
) -> Iterator[Finding]:
    """Yield findings on every metric of the model, then of each baseline on the same users.

    With `suspects`, findings on suspiciously good results follow.
    """
    users = [user for user in context.at_most(n_users) if user.test_items]
    if not users:
        raise NotAssessable("no user has a held-out item")
    requests = [neutral_request(user, k=CUTOFF) for user in users]
    responses = target.recommend(requests)
    kept, missing = split_by_status(responses, UTILITY_STATUSES)
    unreadable = unreadable_form((responses[i].items for i in kept), target.catalog)
    if unreadable:
        raise NotAssessable(unreadable)
    asked = [users[i] for i in kept]
    own = list_utility(asked, [responses[i] for i in kept], target.catalog)
    n_missing = sum(missing.values())
    interactions = context.dataset.interactions
    if interactions.cuts is None:
        del own["recall@10"]  # with one item it equals HR@10
    targets: dict[str, JsonValue] = (
        {} if interactions.cuts is None else {"n_targets": sum(len(u.test_items) for u in asked)}
    )
    notes = [_protocol(interactions, asked), *context.sampled(n_users)]
    for metric, values in own.items():
        full = f"{context.probe_id}.{metric}"
        yield finding(
            context,
            full,
            _measure(context, full, values, n_missing=n_missing),
            parameters={"k": CUTOFF, "n_items": len(context.dataset.catalog.items), **targets},
            units=[(user.id, float(value), 1.0) for user, value in zip(asked, values, strict=True)],
            notes=notes,
        )
    answered = [requests[i] for i in kept]
    fitted: dict[str, NDArray[np.float64]] = {}
    for name in REFERENCES:
        try:
            if not answered:  # in a dry run, too, nothing is fitted
                raise NotAssessable("no user has a response to compare with")
            answers = load_baseline(name, context.dataset).recommend(answered)
        except _CANNOT_RUN as error:
            n_lost = len(asked) + n_missing
            yield from _not_run(context, name, own, error, n_missing=n_lost)
            continue
        reference = list_utility(asked, answers, target.catalog)
        fitted[name] = reference["ndcg@10"]
        for metric, ours in own.items():
            full, values = f"{context.probe_id}.{metric}", reference[metric]
            unit, direction = unit_of(full)
            gap, _ = paired_difference(
                values,
                ours,
                rng=context.rng(metric, name),
                unit=unit,
                direction=direction,
                limits=(0, 1),
            )
            yield finding(
                context,
                full,
                _measure(context, full, values, n_missing=n_missing),
                group=f"baseline={name}",
                parameters={"k": CUTOFF, **targets},
                notes=[_gap_in_words(gap.value, gap.low, gap.high)],
            )
    if suspects:
        yield from suspicion_findings(context, asked, own["ndcg@10"], fitted, n_missing=n_missing)


def _not_run(
    context: Context,
    name: str,
    metrics: Iterable[str],
    error: Exception,
    *,
    n_missing: int,
) -> Iterator[Finding]:
    """Yield undefined findings of a baseline that was not fitted; all users are missing."""
    said = str(error) or "the baseline does not fit into memory"
    for metric in metrics:
        full = f"{context.probe_id}.{metric}"
        unit, direction = unit_of(full)
        measured = undefined(unit, direction, reason="not run", n_missing=n_missing)
        yield finding(
            context,
            full,
            measured,
            group=f"baseline={name}",
            parameters={"k": CUTOFF},
            notes=[f"not run: {said}"],
        )


def _check_users(n_users: int | None, probe: str) -> None:
    if n_users is not None and n_users < 1:
        raise InvalidArgument(f"{probe} got n_users={n_users}. Give at least 1 user.")


def _protocol(interactions: Interactions, users: Sequence[User]) -> str:
    """Describe the evaluation protocol."""
    if interactions.cuts is None:
        return (
            f"same-second ties broken by a random draw with seed {interactions.tie_seed}; "
            f"{interactions.tied_last_share:.0%} of users have such a tie between their last two "
            "items"
        )
    held_out = [(item, user) for user in users for item in user.test_items]
    again = sum(item in user.history for item, user in held_out)
    return (
        f"temporal split at {interactions.cuts[1]} s: {len(held_out)} held-out interactions of "
        f"{len(users)} users, {again} of them with items that the user had before"
    )


def _gap_in_words(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return "the model cannot be compared with this baseline"
    return f"model minus this baseline, paired by user: {value:+.4f} [{low:+.4f}, {high:+.4f}]"


def _measure(
    context: Context, metric: str, values: NDArray[np.float64], *, n_missing: int = 0
) -> ResampledEstimate:
    unit, direction = unit_of(metric)
    if metric.endswith("hr@10"):
        return rate(
            int(values.sum()), len(values), unit=unit, direction=direction, n_missing=n_missing
        )
    return bootstrap_mean(
        values,
        rng=context.rng(metric, "bootstrap"),
        limits=(0, 1),
        unit=unit,
        direction=direction,
        n_missing=n_missing,
    )
