"""Membership inference: does the model reveal which users it was trained on?

The members and non-members must come from one random split:
the `holdout_users` of training were never in the training data. A blind attack without access to
the model checks that the two groups cannot be told apart from their data alone. Source: Yeom et al.
2018 (loss attack), Carlini et al. 2022 (true positives at low false-positive rates).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from auditkit.errors import InvalidArgument
from auditkit.metrics.privacy import auc, tpr_at_fpr
from auditkit.probes.base import (
    Context,
    User,
    finding,
    require_unseen_test_items,
    split_by_status,
    token_scores,
    unit_of,
)
from auditkit.probes.privacy.records import members_and_others, training_record
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.stats.bootstrap import undefined
from auditkit.types import Finding

__all__ = ["MembershipProbe"]

TOLD_APART = "not_assessable: the split can be distinguished without the model"


class _Attack(NamedTuple):
    """Attack scores of members and non-members; a higher score means more likely a member."""

    name: str
    members: Sequence[float]
    others: Sequence[float]
    words: str


def _compressed_length(user: User) -> float:
    return float(len(zlib.compress(" ".join(item.id for item in user.history).encode())))


@dataclass(frozen=True, kw_only=True)
class MembershipProbe:
    """Loss attack: distinguish users of the training data from held-out users.

    Attributes:
        n_members: number of training users, sampled with the seed of the run; all held-out users
            are scored.
    """

    n_members: int = 300
    needs: ClassVar[tuple[type, ...]] = (Recommends, Scores)

    def __post_init__(self) -> None:
        if self.n_members < 1:
            raise InvalidArgument(
                f"privacy.membership got n_members={self.n_members}. Give at least 1."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score the history of every user once; a higher score means more likely a member."""
        require_unseen_test_items(context)
        members, held_out, n_short = members_and_others(context, self.n_members)
        users = [*members, *held_out]
        asked = [training_record(user, target, context) for user in users]
        responses = target.score(
            [request for request, _ in asked], [[answer] for _, answer in asked]
        )
        kept, missing = split_by_status(responses)
        scores = {i: float(np.mean(token_scores(responses[i]))) for i in kept}
        n_missing = sum(missing.values()) + n_short
        loss = _Attack(
            "loss",
            [score for i, score in scores.items() if i < len(members)],
            [score for i, score in scores.items() if i >= len(members)],
            "loss attack: minus the mean negative log-likelihood of the user's history",
        )
        lengths = [-_compressed_length(user) for user in users]
        blind = _Attack(
            "blind",
            lengths[: len(members)],
            lengths[len(members) :],
            "control without access to the model: minus the compressed length of the history",
        )
        control = auc(blind.members, blind.others, rng=context.rng("auc", "blind"))
        told_apart = control.estimate.low is not None and control.estimate.low > 0.5
        yield from self._findings(context, loss, n_missing=n_missing, told_apart=told_apart)
        yield from self._findings(context, blind, n_missing=n_short, told_apart=False)

    def _findings(
        self, context: Context, attack: _Attack, *, n_missing: int, told_apart: bool
    ) -> Iterator[Finding]:
        """AUC and TPR at low FPR; undefined if members can be told apart without the model."""
        inside, outside = attack.members, attack.others
        measured = {
            "privacy.membership.auc": auc(
                inside, outside, rng=context.rng("auc", attack.name), n_missing=n_missing
            ),
            "privacy.membership.tpr_at_fpr_0.01": tpr_at_fpr(
                inside, outside, fpr=0.01, rng=context.rng("tpr", attack.name), n_missing=n_missing
            ),
        }
        for metric, result in measured.items():
            unit, direction = unit_of(metric)
            yield finding(
                context,
                metric,
                undefined(unit, direction, reason=TOLD_APART, n_missing=n_missing)
                if told_apart
                else result,
                group=f"attack={attack.name}",
                parameters={"members": len(inside), "non_members": len(outside)},
                notes=[attack.words],
            )
