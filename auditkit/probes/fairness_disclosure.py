"""What does it do to a user's list to name an attribute of that user?

The same users are asked again with their own attribute named; utility with it minus without is
averaged by group, users paired with themselves. Source: fairness recipe, F10 and 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from auditkit.metrics.groups import UNKNOWN
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    User,
    finding,
    neutral_request,
    unit_of,
)
from auditkit.probes.fairness_gaps import label_of
from auditkit.probes.utility import CUTOFF, list_utility
from auditkit.recommenders.target import Target
from auditkit.stats.bootstrap import paired_difference, undefined
from auditkit.types import Finding, Response

__all__ = ["Disclosure", "ask_with_attributes", "disclosure_findings"]

METRIC = "fairness.group_utility.disclosure_effect"
NEVER_ASKED = "not asked: this recommender never reads the words of a request"


class Disclosure(NamedTuple):
    """A user's answer to the plain request with one own attribute named.

    Attributes:
        group: the user's, such as `gender=female`.
    """

    user: User
    group: str
    answer: Response


def ask_with_attributes(
    target: Target,
    context: Context,
    users: Sequence[User],
    attributes: Sequence[str],
    *,
    n_users: int,
) -> list[Disclosure]:
    """Name each attribute of a sample of users, one at a time, with the user's own value.

    Returns:
        One answer per user and attribute; none of a recommender that never reads words.
    """
    if not target.reads_prompt:
        return []
    order = context.rng("disclosure").permutation(len(users))
    chosen = [users[i] for i in sorted(order[:n_users])]
    named = [
        (user, name, group)
        for name in attributes
        for user in chosen
        if (group := label_of(user, [name])) != UNKNOWN
    ]
    answers = target.recommend(
        [
            replace(neutral_request(user, k=CUTOFF), attributes={name: user.attributes[name]})
            for user, name, _ in named
        ]
    )
    return [
        Disclosure(user, group, answer)
        for (user, _, group), answer in zip(named, answers, strict=True)
    ]


def disclosure_findings(
    context: Context,
    disclosures: Sequence[Disclosure],
    plain: Mapping[str, Response],
    attributes: Sequence[str],
    *,
    min_group: int,
) -> Iterator[Finding]:
    """NDCG@10 with an attribute named minus without, by group.

    Args:
        plain: answers without an attribute, by user id.
        attributes: what would have been named, for a recommender that was not asked.
        min_group: smallest group that gets a number.
    """
    unit, direction = unit_of(METRIC)
    if not disclosures:
        for name in attributes:
            measured = undefined(unit, direction, reason=NEVER_ASKED)
            yield finding(context, METRIC, measured, group=name)
    for group in sorted({disclosure.group for disclosure in disclosures}):
        own = [disclosure for disclosure in disclosures if disclosure.group == group]
        both = [
            disclosure
            for disclosure in own
            if {plain[disclosure.user.id].status, disclosure.answer.status} <= {*UTILITY_STATUSES}
        ]
        n_missing = len(own) - len(both)
        if len(both) < min_group:
            reason = f"{len(both)} users, {min_group} are needed"
            measured = undefined(unit, direction, reason=reason, n=len(both), n_missing=n_missing)
        else:
            users = [disclosure.user for disclosure in both]
            measured = paired_difference(
                list_utility(users, [plain[user.id] for user in users])["ndcg@10"],
                list_utility(users, [disclosure.answer for disclosure in both])["ndcg@10"],
                rng=context.rng("disclosure", group),
                unit=unit,
                direction=direction,
                n_missing=n_missing,
                bounded_rate=True,
            )
        yield finding(context, METRIC, measured, group=group, parameters={"k": CUTOFF})
