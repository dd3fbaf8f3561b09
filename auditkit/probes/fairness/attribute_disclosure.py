"""What does it do to a user's list to name an attribute of that user?

The same users are asked again with their own attribute named; utility with it minus without is
averaged by group, users paired with themselves. Source: fairness recipe, F10 and 3.8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pydantic import JsonValue

from auditkit.metrics.groups import UNKNOWN
from auditkit.probes.base import UTILITY_STATUSES, Context, User, finding, unit_of
from auditkit.probes.fairness.group_gaps import label_of
from auditkit.probes.utility.ranking import list_utility
from auditkit.recommenders.execution.target import Target
from auditkit.stats.bootstrap import paired_difference, undefined
from auditkit.types import Finding, Request, Response

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
    requests: Sequence[Request],
    attributes: Sequence[str],
    *,
    n_users: int,
) -> list[Disclosure]:
    """Name each attribute of a sample of users, one at a time, with the user's own value.

    Args:
        requests: the plain one of every user; only the attribute is added to it.

    Returns:
        One answer per user and attribute; none of a recommender that never reads words.
    """
    if not target.reads_prompt:
        return []
    order = context.rng("disclosure").permutation(len(users))
    named = [
        (users[i], group, replace(requests[i], attributes={name: users[i].attributes[name]}))
        for name in attributes
        for i in sorted(order[:n_users])
        if (group := label_of(users[i], [name])) != UNKNOWN
    ]
    answers = target.recommend([request for *_, request in named])
    return [
        Disclosure(user, group, answer)
        for (user, group, _), answer in zip(named, answers, strict=True)
    ]


def disclosure_findings(
    context: Context,
    disclosures: Sequence[Disclosure],
    plain: Mapping[str, Response],
    attributes: Sequence[str],
    *,
    min_group: int,
    design: Mapping[str, JsonValue],
) -> Iterator[Finding]:
    """NDCG@10 with an attribute named minus without, by group.

    Args:
        plain: answers without an attribute, by user id.
        attributes: what would have been named, for a recommender that was not asked.
        min_group: smallest group that gets a number.
        design: what the numbers depend on.
    """
    parameters = {**design, "n_users": len({disclosure.user.id for disclosure in disclosures})}
    unit, direction = unit_of(METRIC)
    for name in attributes:
        own = [one for one in disclosures if one.group.startswith(f"{name}=")]
        both = [one for one in own if _scored(one.answer) and _scored(plain[one.user.id])]
        sizes = Counter(one.group for one in both)
        small = [f"{group} ({n})" for group, n in sorted(sizes.items()) if n < min_group]
        notes = [f"groups below {min_group} users, left out: {', '.join(small)}"] if small else []
        large = sorted(group for group, n in sizes.items() if n >= min_group)
        if not large:
            reason = f"no group has {min_group} users" if disclosures else NEVER_ASKED
            measured = undefined(unit, direction, reason=reason, n_missing=len(own))
            yield finding(context, METRIC, measured, group=name, parameters=parameters, notes=notes)
        for group in large:
            pairs = [one for one in both if one.group == group]
            users = [one.user for one in pairs]
            measured = paired_difference(
                list_utility(users, [plain[user.id] for user in users])["ndcg@10"],
                list_utility(users, [one.answer for one in pairs])["ndcg@10"],
                rng=context.rng("disclosure", group),
                unit=unit,
                direction=direction,
                n_missing=sum(one.group == group for one in own) - len(pairs),
                bounded_rate=True,
            )
            yield finding(
                context, METRIC, measured, group=group, parameters=parameters, notes=notes
            )


def _scored(answer: Response) -> bool:
    return answer.status in UTILITY_STATUSES
