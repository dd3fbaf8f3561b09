"""Attribute disclosure: how does utility change if a request states the user's attribute?

Each user's request is repeated with an attribute of the user stated; the differences in utility are
paired by user and averaged by group. See docs/explain/fairness.md.
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
NEVER_ASKED = "not requested: this recommender never reads the prompt text"


class Disclosure(NamedTuple):
    """The response to a user's request in which one attribute of the user is stated.

    Attributes:
        group: group of the user, such as `gender=female`.
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
    """Send the requests of a sample of users, each with one of the user's attributes stated.

    Args:
        requests: the neutral request of every user, which differs from the sent request only in the
            stated attribute.

    Returns:
        One response per user and attribute; empty if the recommender never reads the prompt text.
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
    """Yield findings on NDCG@10 with the attribute stated minus NDCG@10 without it, one per group.

    Args:
        plain: responses to the neutral requests, by user id.
        attributes: names of the attributes, including those for which no request was sent.
        min_group: minimum group size for an estimate.
        design: settings of the probe, copied into the parameters of the findings.
    """
    parameters = {**design, "n_users": len({disclosure.user.id for disclosure in disclosures})}
    unit, direction = unit_of(METRIC)
    for name in attributes:
        own = [one for one in disclosures if one.group.startswith(f"{name}=")]
        both = [one for one in own if _scored(one.answer) and _scored(plain[one.user.id])]
        sizes = Counter(one.group for one in both)
        small = [f"{group} ({n})" for group, n in sorted(sizes.items()) if n < min_group]
        notes = (
            [f"groups with fewer than {min_group} users are omitted: {', '.join(small)}"]
            if small
            else []
        )
        large = sorted(group for group, n in sizes.items() if n >= min_group)
        if not large:
            reason = f"no group has at least {min_group} users" if disclosures else NEVER_ASKED
            measured = undefined(unit, direction, reason=reason, n_missing=len(own))
            yield finding(context, METRIC, measured, group=name, parameters=parameters, notes=notes)
        for group in large:
            pairs = [one for one in both if one.group == group]
            users = [one.user for one in pairs]
            measured = paired_difference(
                list_utility(users, [plain[user.id] for user in users], context.dataset.catalog)[
                    "ndcg@10"
                ],
                list_utility(users, [one.answer for one in pairs], context.dataset.catalog)[
                    "ndcg@10"
                ],
                rng=context.rng("disclosure", group),
                unit=unit,
                direction=direction,
                n_missing=sum(one.group == group for one in own) - len(pairs),
                limits=(0, 1),
            )
            yield finding(
                context, METRIC, measured, group=group, parameters=parameters, notes=notes
            )


def _scored(answer: Response) -> bool:
    return answer.status in UTILITY_STATUSES
