"""Canary audit: what do the losses of planted records of one training run show about epsilon?

Canaries are planted independently, so the number of correct guesses bounds epsilon from below with
a stated confidence. An audit without a finding is only informative up to its ceiling, the bound if
all guesses had been correct, so bound and ceiling are reported together. The rule for the guesses
is fixed in advance.

Source: Steinke, Nasr & Jagielski 2023 (bound); Carlini et al. 2019 (exposure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import JsonValue

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.metrics.privacy import auc
from auditkit.privacy.canary_file import Canary, CanaryFile
from auditkit.probes.base import (
    Context,
    NotAssessable,
    finding,
    require_unseen_test_items,
    token_scores,
    unit_of,
)
from auditkit.probes.privacy.canary_bound import CanaryScores, bound_of
from auditkit.probes.privacy.canary_exposure import exposure_findings
from auditkit.probes.privacy.records import Record, block, canary_record, claim_of
from auditkit.probes.privacy.reference_models import load_reference, mean_losses
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.serialization.atomic_files import sha256_file
from auditkit.stats.resampled_estimate import ResampledEstimate, undefined
from auditkit.types import Estimate, Exact, Finding, Item

__all__ = ["CanaryProbe"]

MOST_MISSING = 0.10


@dataclass(frozen=True, kw_only=True)
class CanaryProbe:
    """Lower bound of epsilon from guesses, based on losses, of which canaries were planted.

    Attributes:
        canaries_file: the private canary file that training wrote, `NAME.canaries.jsonl`.
        base_model: model folder with the weights before fine-tuning; the score of a canary is then
            the decrease of its loss by fine-tuning. Without a base model, the score is minus the
            loss.
        n_exposure: number of canaries whose exposure is computed, sampled with the seed of the run.
        n_secrets: largest number of other items with which the last item of a canary is compared.
    """

    canaries_file: str = ""
    base_model: str = ""
    n_exposure: int = 50
    n_secrets: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends, Scores)

    def __post_init__(self) -> None:
        if self.n_exposure < 2 or self.n_secrets < 1:
            raise InvalidArgument(
                f"privacy.canary got n_exposure={self.n_exposure} and n_secrets={self.n_secrets}. "
                "Give at least 2 canaries and 1 secret."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Score every canary once, then compute the exposure of some canaries."""
        require_unseen_test_items(context)
        listed = self._canaries(context)
        items = [_items(canary, context) for canary in listed.canaries]
        records = [
            canary_record(canary.id, own, target)
            for canary, own in zip(listed.canaries, items, strict=True)
        ]
        scores, words = self._scores(target, context, records)
        scored = CanaryScores(scores, [canary.planted for canary in listed.canaries])
        yield from self._bounds(context, scored, listed.repeats, words)
        yield self._auc(context, scored, words)
        yield from exposure_findings(
            target,
            context,
            list(zip(listed.canaries, items, strict=True)),
            n_canaries=self.n_exposure,
            n_secrets=self.n_secrets,
        )

    def _canaries(self, context: Context) -> CanaryFile:
        """Read the canaries of the audited model.

        Raises:
            NotAssessable: no canaries were planted, or the canary file is not given or belongs to
                another model.
        """
        training = block(context, "training") or {}
        declared = training.get("canaries")
        if not self.canaries_file:
            raise NotAssessable(
                "the recipe names no canaries_file; give the file that training wrote beside the "
                "model folder"
                if declared
                else "no canaries were planted; add a section `canaries` to the training recipe, "
                "and give the file that training writes as canaries_file"
            )
        path = Path(self.canaries_file)
        listed = CanaryFile.read(path)
        if declared and declared.get("file_sha256") != sha256_file(path):
            raise NotAssessable(
                f"{path} is not the canary file of this model, because its hash differs from the "
                "hash in recommender.yaml; give the file that training wrote beside the model "
                "folder"
            )
        if len(listed.canaries) < 4:
            raise NotAssessable(
                f"{path} has {len(listed.canaries)} canaries, but the probe needs at least 4"
            )
        return listed

    def _scores(
        self, target: Target, context: Context, records: Sequence[Record]
    ) -> tuple[list[float | None], str]:
        """Return the score of every canary, or None if missing, and a note that describes the
        score.
        """
        responses = target.score(
            [record.request for record in records], [[record.continuation] for record in records]
        )
        losses = [
            -float(np.mean(tokens)) if r.status == "ok" and (tokens := token_scores(r)) else None
            for r in responses
        ]
        if not self.base_model:
            words = "score: minus the mean negative log-likelihood; no base model was given"
            return [None if loss is None else -loss for loss in losses], words
        base = load_reference(self.base_model, context, same_data=False)
        before = mean_losses(base, records)
        words = f"score: loss of the base model {base.name} minus loss of the audited model"
        pairs = zip(before, losses, strict=True)
        return [None if b is None or loss is None else b - loss for b, loss in pairs], words

    def _bounds(
        self, context: Context, scored: CanaryScores, repeats: int, words: str
    ) -> Iterator[Finding]:
        """Yield the lower bound of epsilon, its ceiling, and its excess over the claim.

        Without a claim, the excess has the group `claim=none`, so that a rule on it is shown but
        does not block.
        """
        claim = claim_of(context)
        declared = (block(context, "training") or {}).get("canaries")
        where = ["the audited weights contain the planted canaries"] if declared else []
        n_planted = sum(scored.planted) * repeats
        n_units = int(claim["n_units"]) if claim else _n_trained(context) + n_planted
        found = bound_of(scored, claim, repeats=repeats, n_units=n_units, rng=context.rng("ties"))
        n, n_missing = len(scored.kept), scored.n_missing
        reason = scored.too_many_missing(MOST_MISSING)
        at: Mapping[str, JsonValue] = {**found.parameters, "canaries": len(scored.scores)}
        excess = None if found.claimed is None else found.bound.epsilon - found.claimed.epsilon
        values = {
            "epsilon_lower": found.bound.epsilon,
            "ceiling": found.bound.ceiling,
            "over_claim": excess,
        }
        ceiling = _exact("privacy.canary.ceiling", found.bound.ceiling, n, n_missing).estimate
        for name, value in values.items():
            metric = f"privacy.canary.{name}"
            unit, direction = unit_of(metric)
            why = reason or "recommender.yaml claims no differential privacy"
            missing = reason or value is None
            yield finding(
                context,
                metric,
                undefined(unit, direction, reason=why, n=n, n_missing=n_missing)
                if missing or value is None
                else _exact(metric, value, n, n_missing, one_sided=name == "epsilon_lower"),
                group="claim=none" if value is None else "all",
                parameters=dict(at),
                baseline=ceiling if name == "epsilon_lower" and not missing else None,
                notes=[found.verdict, words, *where]
                if name == "epsilon_lower" and not missing
                else [],
            )

    def _auc(self, context: Context, scored: CanaryScores, words: str) -> Finding:
        metric = "privacy.canary.auc"
        unit, direction = unit_of(metric)
        inside, outside = scored.sides()
        reason = scored.too_many_missing(MOST_MISSING)
        return finding(
            context,
            metric,
            undefined(unit, direction, reason=reason, n=0, n_missing=scored.n_missing)
            if reason
            else auc(inside, outside, rng=context.rng("auc"), n_missing=scored.n_missing),
            parameters={"planted": len(inside), "not_planted": len(outside)},
            notes=[words],
        )


def _items(canary: Canary, context: Context) -> list[Item]:
    catalog = context.dataset.catalog
    unknown = next((item for item in canary.items if item not in catalog.index), None)
    if unknown is not None:
        raise ConfigurationError(
            f"The canary {canary.id} has the item {unknown}, which is not in the catalog. Give "
            "the canary file and the data of this model."
        )
    return [Item(item, catalog[item].display_title) for item in canary.items]


def _n_trained(context: Context) -> int:
    """Return the number of real users that training could use."""
    training: Mapping[str, Any] = block(context, "training") or {}
    n_held_out = len(training.get("holdout_users", []))
    return max(1, len(context.dataset.interactions.user_ids) - n_held_out)


def _exact(
    metric: str, value: float, n: int, n_missing: int, *, one_sided: bool = False
) -> ResampledEstimate:
    """Create a value without sampling error.

    A one-sided value has no upper end, because it is a lower bound.
    """
    unit, direction = unit_of(metric)
    estimate = Estimate(
        value=value, low=value, high=None if one_sided else value, n=n, n_missing=n_missing,
        unit=unit, direction=direction,
    )  # fmt: skip
    return ResampledEstimate(estimate, Exact())
