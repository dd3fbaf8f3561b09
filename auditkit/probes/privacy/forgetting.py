"""Unlearning: does the model still know users who asked to be forgotten?

The audited model claims to have forgotten these users; a retrained model was trained without them.
Both models score the training records of the forgotten users, and of held-out users, on whom
neither model was trained. The *gap* of a user is the loss of the retrained model minus the loss of
the audited model. If the gap is above 0, the audited model predicts the user better than a model
that never saw the user. The gap of held-out users is the difference in quality between the two
models, so the decision metric is the gap of the forgotten users minus the gap of the held-out
users. If it is far below 0, the model predicts forgotten users worse than unknown users, which
reveals who asked to be forgotten.

Source: Bourtoule et al. 2021 (retraining as reference); loss attack, Yeom et al. 2018; the
comparison with a retrained model after Hayes et al. 2024.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import ConfigurationError
from auditkit.metrics.privacy import auc
from auditkit.privacy.user_list import read_user_ids
from auditkit.probes.base import (
    Context,
    NotAssessable,
    finding,
    require_unseen_test_items,
    token_scores,
    unit_of,
)
from auditkit.probes.privacy.records import block, training_record
from auditkit.probes.privacy.reference_models import (
    ReferenceModel,
    load_reference,
    mean_losses,
)
from auditkit.probes.users import history_lengths, ids_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.stats.resampled_estimate import (
    FEW_UNITS,
    ResampledEstimate,
    n_deviating,
    undefined,
    widened,
    with_quantiles,
    without_interval,
)
from auditkit.types import Finding

__all__ = ["ForgettingProbe", "difference_of_means"]

_DRAWS = 10_000
Values = NDArray[np.float64]


class _Side(NamedTuple):
    """Losses of a group of users, nats per token.

    Attributes:
        audited, retrained: losses under the two models, in the same order of users.
        n_missing: number of users without both losses.
    """

    audited: Values
    retrained: Values
    n_missing: int

    @property
    def gaps(self) -> Values:
        """Loss of the retrained model minus loss of the audited model, for every user."""
        return self.retrained - self.audited


@dataclass(frozen=True, kw_only=True)
class ForgettingProbe:
    """Losses of an unlearned model compared with those of a model retrained without the users.

    Attributes:
        users_file: text file with one id of a forgotten user per line; keep it private.
        retrained_model: model folder that was trained on the same data without these users, by a
            recipe with `data.forgetting`.
    """

    users_file: str = ""
    retrained_model: str = ""
    needs: ClassVar[tuple[type, ...]] = (Recommends, Scores)

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score the records of forgotten and held-out users by both models."""
        if not self.users_file or not self.retrained_model:
            raise NotAssessable(
                "the recipe names no users_file and retrained_model; give --forget and --retrained"
            )
        require_unseen_test_items(context)
        retrained = load_reference(self.retrained_model, context, same_data=True)
        training = block(context, "training") or {}
        strangers = set(training.get("holdout_users", []))
        if strangers != set(retrained.training.get("holdout_users", [])):
            raise ConfigurationError(
                f"The model {self.retrained_model} held out other users than the audited model. "
                "Train both models with the same seed and holdout_users."
            )
        ids = ids_of(context.users)
        forgotten = set(read_user_ids(Path(self.users_file), ids))
        held_out = {row for row, user in enumerate(ids) if user in strangers} - forgotten
        sides = {}
        for name, rows in (("forgotten", forgotten), ("held_out", held_out)):
            sides[name] = self._side(target, context, sorted(rows), retrained)
        yield from self._findings(context, **sides)

    @staticmethod
    def _side(
        target: Target, context: Context, rows: Sequence[int], retrained: ReferenceModel
    ) -> _Side:
        """Compute the losses of the users in `rows`; users with a short history are missing."""
        lengths = history_lengths(context.users)
        records = [
            training_record(context.users[row], target, context) for row in rows if lengths[row] > 1
        ]
        responses = target.score([r.request for r in records], [[r.continuation] for r in records])
        audited = [
            -float(np.mean(tokens))
            if one.status == "ok" and (tokens := token_scores(one))
            else None
            for one in responses
        ]
        others = mean_losses(retrained, records)
        known = [
            (a, b) for a, b in zip(audited, others, strict=True) if a is not None and b is not None
        ]
        pairs = np.array(known, dtype=np.float64).reshape(len(known), 2)
        return _Side(pairs[:, 0], pairs[:, 1], len(rows) - len(known))

    @staticmethod
    def _findings(context: Context, *, forgotten: _Side, held_out: _Side) -> Iterator[Finding]:
        n_missing = forgotten.n_missing + held_out.n_missing
        counts = {"forgotten": len(forgotten.gaps), "held_out": len(held_out.gaps)}
        name = f"{context.probe_id}.net_gap"
        net = difference_of_means(
            held_out.gaps, forgotten.gaps, metric=name, rng=context.rng(name), n_missing=n_missing
        )
        yield finding(context, name, net, parameters=counts, notes=[_in_words(net)])
        for group, side in (("forgotten", forgotten), ("held_out", held_out)):
            name = f"{context.probe_id}.gap"
            unit, direction = unit_of(name)
            gap = bootstrap_mean(
                side.gaps, rng=context.rng(name, group), unit=unit, direction=direction,
                n_missing=side.n_missing,
            )  # fmt: skip
            yield finding(context, name, gap, group=f"users={group}")
        for model in ("audited", "retrained"):
            name = f"{context.probe_id}.auc"
            found = auc(
                -getattr(forgotten, model), -getattr(held_out, model),
                rng=context.rng(name, model), n_missing=n_missing,
            )  # fmt: skip
            yield finding(context, name, found, group=f"model={model}", parameters=counts)


def difference_of_means(
    before: Values, after: Values, *, metric: str, rng: np.random.Generator, n_missing: int
) -> ResampledEstimate:
    """Estimate the mean of `after` minus the mean of `before`; the groups are resampled separately.

    Args:
        before, after: values of the users in the two groups.
        metric: registered metric, which determines unit and direction.
        rng: generator for the resamples.
        n_missing: number of users without a value.

    Returns:
        Estimate, where n counts the users of both groups. Undefined with fewer than two users in a
        group, and without an interval if fewer than five users of a group differ from the most
        common value.
    """
    unit, direction = unit_of(metric)
    n = len(before) + len(after)
    if min(len(before), len(after)) < 2:
        reason = (
            f"only {len(after)} forgotten and {len(before)} held-out users have a value; two of "
            "each are needed"
        )
        return undefined(unit, direction, n=n, n_missing=n_missing, reason=reason)
    value = float(after.mean() - before.mean())
    if min(n_deviating(before), n_deviating(after)) < FEW_UNITS:
        return without_interval(value, n, unit, direction, n_missing)
    drawn = _means(after, rng) - _means(before, rng)
    quantiles = widened(drawn, value, min(len(before), len(after)))
    return with_quantiles(value, quantiles, n, _DRAWS, unit, direction, n_missing)


def _means(values: Values, rng: np.random.Generator) -> Values:
    """Return the means of resamples, [draws]."""
    found: Values = rng.choice(values, size=(_DRAWS, len(values))).mean(axis=1)
    return found


def _in_words(net: ResampledEstimate) -> str:
    low, high = net.estimate.low, net.estimate.high
    if low is None or high is None:
        return "too few users to decide whether the model has forgotten them"
    if low > 0:
        return "not forgotten: the model predicts these users better than a retrained model does"
    if high < 0:
        return (
            "over-forgotten: the model predicts these users worse than unknown users, which "
            "reveals who asked to be forgotten"
        )
    return (
        "no difference from a retrained model was found; the interval bounds the possible "
        "difference"
    )
