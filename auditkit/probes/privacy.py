"""Privacy: which differential-privacy bound is claimed, and how well does a membership attack do?

The claim is a proven upper bound; the membership attack gives an empirical lower bound, which can
contradict a claim but never prove it. The members and non-members must come from one random split:
the `holdout_users` of training were never in the training data. A blind attack without access to
the model checks that the two groups cannot be told apart from their data alone. Source: Yeom et al.
2018 (loss attack), Carlini et al. 2022 (true positives at low false-positive rates).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.metrics.privacy import auc, tpr_at_fpr
from auditkit.probes.base import (
    Context,
    NotAssessable,
    User,
    finding,
    require_unseen_test_items,
    split_by_status,
    token_scores,
    unit_of,
)
from auditkit.probes.users import history_lengths, ids_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.stats.bootstrap import ResampledEstimate, undefined
from auditkit.types import Estimate, Exact, Finding, Request

__all__ = ["ClaimProbe", "MembershipProbe"]

TOLD_APART = "not_assessable: the split can be distinguished without the model"


def _block(context: Context, name: str) -> Mapping[str, Any] | None:
    block: JsonValue = context.manifest.get(name)
    return block if isinstance(block, dict) else None


@dataclass(frozen=True, kw_only=True)
class ClaimProbe:
    """The (epsilon, delta) that recommender.yaml claims, with its assumptions."""

    needs: ClassVar[tuple[type, ...]] = ()

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Read the claim; the model is not called."""
        claim = _block(context, "privacy")
        if claim is None or claim.get("claim") != "dp":
            raise NotAssessable("recommender.yaml claims no differential privacy")
        at = {
            name: claim[name]
            for name in ("delta", "unit", "n_units", "accountant", "mechanism", "noise_multiplier")
        }
        notes = [f"not covered: {limit}" for limit in claim["not_covered"]]
        for name in ("epsilon", "epsilon_rdp", "delta"):
            metric = f"privacy.claim.{name}"
            unit, direction = unit_of(metric)
            value = float(claim[name])
            estimate = Estimate(
                value=value,
                low=value,
                high=value,
                n=int(claim["n_units"]),
                unit=unit,
                direction=direction,
            )
            yield finding(
                context, metric, ResampledEstimate(estimate, Exact()), parameters=at, notes=notes
            )


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
        held_out, members, n_short = self._split(context)
        users = [*members, *held_out]
        asked = [_record(user, target, context) for user in users]
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

    def _split(self, context: Context) -> tuple[list[User], list[User], int]:
        """Held-out users, a sample of training users, and the number of held-out users whose
        history is too short to score.
        """
        training = _block(context, "training")
        held_out_ids = set(training.get("holdout_users", [])) if training else set()
        if not held_out_ids:
            raise NotAssessable(
                "recommender.yaml declares no training.holdout_users, so there are no known "
                "non-members"
            )
        users = context.users
        scorable = np.flatnonzero(history_lengths(users) > 1)
        outside = np.array([ident in held_out_ids for ident in ids_of(users)], dtype=bool)[scorable]
        held_out, trained = scorable[outside], scorable[~outside]
        order = context.rng("members").permutation(len(trained))[: self.n_members]
        members = [users[int(row)] for row in trained[np.sort(order)]]
        return [users[int(row)] for row in held_out], members, len(held_out_ids) - len(held_out)


def _record(user: User, target: Target, context: Context) -> tuple[Request, str]:
    """The training record of a user, as prompt and continuation.

    A model with item tokens was trained on every item of a history window, so the entire latest
    window is scored; a model with titles is scored on the latest title given the others.
    """
    decoding = _block(context, "decoding") or {}
    window = int(decoding.get("history_window", 50))
    training = _block(context, "training") or {}
    seen = user.history if training.get("fit") == "all_but_test" else user.history[:-1]
    recent = seen[-window:]
    whole = target.prompts.history == "item_tokens"
    given = () if whole else recent[:-1]
    request = Request(user_id=user.id, history=given, k=10)
    prompt = target.render(request)
    scored = recent if whole else recent[-1:]
    continuation = "".join(target.reference(item) for item in scored)
    return Request(user_id=user.id, history=given, k=10, prompt=prompt), continuation
