"""Membership inference: does the model reveal which users it was trained on?

The members and non-members must come from one random split: the `holdout_users` of training were
never in the training data. A blind attack without access to the model checks that the two groups
cannot be separated by their data alone. Source: Yeom et al. 2018 (loss attack), Carlini et al. 2022
(true positives at low false-positive rates); see `membership_attacks` for the other attacks.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

from auditkit.errors import InvalidArgument
from auditkit.metrics.privacy import auc, tpr_at_fpr
from auditkit.probes.base import (
    Context,
    User,
    finding,
    require_unseen_test_items,
    token_scores,
    unit_of,
)
from auditkit.probes.privacy.membership_attacks import (
    Attack,
    AttackScores,
    Evidence,
    attack_scores,
)
from auditkit.probes.privacy.records import Record, members_and_others, training_record
from auditkit.probes.privacy.reference_models import load_reference
from auditkit.probes.privacy.strongest_attack import strongest
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.stats.resampled_estimate import ResampledEstimate, undefined
from auditkit.types import Finding

__all__ = ["MembershipProbe"]

TOLD_APART = (
    "not_assessable: members and non-members can be distinguished without the model, so they do "
    "not come from a random split"
)
_RATES = (0.01, 0.001)


def _compressed_length(user: User) -> float:
    return float(len(zlib.compress(" ".join(item.id for item in user.history).encode())))


@dataclass(frozen=True, kw_only=True)
class MembershipProbe:
    """AUC and true-positive rates of attacks that separate training users from held-out users.

    Attributes:
        n_members: number of training users, sampled with the seed of the run; they are compared
            with all held-out users.
        attacks: names of the attacks; with several attacks, the group `attack=any` is also
            reported, which fails if any of them succeeds.
        fprs: false-positive rates at which true-positive rates are reported, out of 0.01 and 0.001;
            0.001 needs 1,000 held-out users.
        base_model: model folder with the weights before fine-tuning, for the attack `reference`.
        reference_models: model folders that were trained on the same data with the same recipe but
            other seeds, so that each held out other users; for the attacks `reference`, `lira_*`
            and `rmia_*`.
    """

    n_members: int = 300
    attacks: tuple[Attack, ...] = ("loss",)
    fprs: tuple[float, ...] = (0.01,)
    base_model: str = ""
    reference_models: tuple[str, ...] = ()
    needs: ClassVar[tuple[type, ...]] = (Recommends, Scores)

    def __post_init__(self) -> None:
        if self.n_members < 1:
            raise InvalidArgument(
                f"privacy.membership got n_members={self.n_members}. Give at least 1 member."
            )
        unknown = [str(name) for name in self.attacks if name not in get_args(Attack)]
        unknown += [f"{rate:g}" for rate in self.fprs if rate not in _RATES]
        if unknown or not self.attacks:
            raise InvalidArgument(
                f"privacy.membership got {', '.join(unknown) or 'no attack'}. Give attacks out of "
                f"{', '.join(get_args(Attack))}, and fprs out of 0.01 and 0.001."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score the history of every user once, and compute all attacks from the scores."""
        require_unseen_test_items(context)
        split = members_and_others(context, self.n_members)
        users = [*split.members, *split.others]
        n_members = len(split.members)
        records = [training_record(user, target, context) for user in users]
        measured = self._evidence(target, context, users, records, n_members)
        lengths = AttackScores(
            "blind",
            [-_compressed_length(user) for user in users],
            "control without access to the model: the score is minus the compressed length of the "
            "history",
        )
        control = auc(*lengths.sides(n_members), rng=context.rng("auc", "blind"))
        told_apart = control.estimate.low is not None and control.estimate.low > 0.5
        found: dict[str, list[ResampledEstimate]] = {}
        for name in self.attacks:
            scores = attack_scores(name, measured, rng=context.rng("population"))
            n_missing = scores.n_missing + split.n_short
            for metric, result in self._measure(context, scores, n_members, n_missing):
                unit, direction = unit_of(metric)
                if told_apart:
                    result = undefined(unit, direction, reason=TOLD_APART, n_missing=n_missing)
                found.setdefault(metric, []).append(result)
                yield _finding(context, metric, scores, n_members, result)
        if len(self.attacks) > 1:
            for metric, results in found.items():
                yield strongest(context, metric, self.attacks, results)
        for metric, result in self._measure(context, lengths, n_members, split.n_short):
            yield _finding(context, metric, lengths, n_members, result)

    def _evidence(
        self,
        target: Target,
        context: Context,
        users: Sequence[User],
        records: Sequence[Record],
        n_members: int,
    ) -> Evidence:
        """Collect the log-probabilities of the audited model, and load the reference models."""
        responses = target.score(
            [record.request for record in records], [[record.continuation] for record in records]
        )
        tokens = [token_scores(one) if one.status == "ok" else None for one in responses]
        references = [
            load_reference(folder, context, same_data=True) for folder in self.reference_models
        ]
        base = (
            load_reference(self.base_model, context, same_data=False) if self.base_model else None
        )
        return Evidence(
            records=records,
            user_ids=[user.id for user in users],
            tokens=tokens,
            n_members=n_members,
            recommender=target.recommender,
            base=base,
            references=references,
        )

    def _measure(
        self, context: Context, scores: AttackScores, n_members: int, n_missing: int
    ) -> Iterator[tuple[str, ResampledEstimate]]:
        """Yield AUC and true-positive rates of one attack."""
        inside, outside = scores.sides(n_members)
        metrics = ["privacy.membership.auc"]
        metrics += [f"privacy.membership.tpr_at_fpr_{rate:g}" for rate in self.fprs]
        for metric, rate in zip(metrics, (None, *self.fprs), strict=True):
            unit, direction = unit_of(metric)
            if scores.reason:
                yield (
                    metric,
                    undefined(unit, direction, reason=scores.reason, n_missing=n_missing),
                )
            elif rate is None:
                rng = context.rng("auc", scores.name)
                yield metric, auc(inside, outside, rng=rng, n_missing=n_missing)
            else:
                rng = context.rng("tpr", scores.name)
                yield metric, tpr_at_fpr(inside, outside, fpr=rate, rng=rng, n_missing=n_missing)


def _finding(
    context: Context,
    metric: str,
    scores: AttackScores,
    n_members: int,
    result: ResampledEstimate,
) -> Finding:
    inside, outside = scores.sides(n_members)
    return finding(
        context,
        metric,
        result,
        group=f"attack={scores.name}",
        parameters={"members": len(inside), "non_members": len(outside)},
        notes=[scores.words],
    )
