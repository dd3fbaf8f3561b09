"""Abstention: how does the error rate fall if items of low confidence are withheld?

The probe evaluates selective prediction by a risk-coverage curve. Confidence is the mean
log-probability of a title's tokens, or the share of sampled lists that contain the item. Two errors
are measured: the title is not in the catalog, and the item is not a held-out item of the user.
Users are resampled, because items of one list are not independent. See
docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import JsonValue

from auditkit.probes.base import Context, NotAssessable, finding, unit_of
from auditkit.probes.hallucination.constrained_requests import ConstrainedRequest
from auditkit.probes.hallucination.mitigation_variants import VariantResponses
from auditkit.probes.hallucination.risk_coverage import (
    ItemsOfUser,
    LabeledItems,
    Method,
    auc_finding,
    curve_findings,
)
from auditkit.probes.hallucination.sampled_lists import SampledLists
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Scores
from auditkit.recommenders.wrappers.title_confidence import title_confidences
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Finding, RankedItem

__all__ = ["abstention_findings", "agreement_findings"]


def abstention_findings(
    target: Target, context: Context, asked: Sequence[ConstrainedRequest], free: VariantResponses
) -> Iterator[Finding]:
    """Yield the risk-coverage curve of each error and its summary statistics.

    Raises:
        NotAssessable: the target provides no log-probabilities.
    """
    if not isinstance(target.recommender, Scores):
        raise NotAssessable("the recommender provides no log-probabilities (capability `Scores`)")
    confidences = title_confidences(
        [one.request for one in asked], free.responses, target.score, target.reference
    )
    yield from _of_each_error(context, asked, free, confidences, Method("log-probability", ""))


def agreement_findings(
    context: Context,
    asked: Sequence[ConstrainedRequest],
    free: VariantResponses,
    samples: SampledLists,
) -> Iterator[Finding]:
    """Yield risk-coverage findings with the agreement of sampled lists as confidence.

    The mean agreement of a list is also reported.

    Raises:
        NotAssessable: the samples do not differ, for example because the recommender ignores the
            temperature.
    """
    samples.require_variation()
    confidences = samples.confidences(free.responses)
    settings: dict[str, JsonValue] = {
        "confidence": samples.label,
        "temperature": samples.sampling.temperature,
    }
    lists = {
        one.user.id: [value for value in row if value is not None]
        for one, row in zip(asked, confidences, strict=True)
    }
    means = {user: float(np.mean(values)) for user, values in lists.items() if values}
    metric = f"{context.probe_id}.sample_agreement"
    unit, direction = unit_of(metric)
    yield finding(
        context,
        metric,
        bootstrap_mean(
            list(means.values()),
            rng=context.rng("sample_agreement"),
            unit=unit,
            direction=direction,
            n_missing=len(asked) - len(means),
            reason="no list has enough samples",
            limits=(0, 1),
        ),
        group="confidence=agreement",
        parameters=settings,
        units=[(user, value, 1.0) for user, value in means.items()],
    )
    method = Method(samples.label, "&confidence=agreement")
    yield from _of_each_error(context, asked, free, confidences, method)


def _of_each_error(
    context: Context,
    asked: Sequence[ConstrainedRequest],
    free: VariantResponses,
    confidences: Sequence[Sequence[float | None]],
    method: Method,
) -> Iterator[Finding]:
    for name, is_wrong in (("refused", _refused), ("not_relevant", _not_relevant)):
        judged, n_missing_items = [], 0
        for one, response, row in zip(asked, free.responses, confidences, strict=True):
            verdicts = [is_wrong(item, one) for item in response.items]
            pairs = [
                (confidence, verdict)
                for confidence, verdict in zip(row, verdicts, strict=True)
                if confidence is not None and verdict is not None
            ]
            n_missing_items += len(row) - len(pairs)
            if pairs:
                judged.append(
                    ItemsOfUser(one.user.id, [c for c, _ in pairs], [float(w) for _, w in pairs])
                )
        items = LabeledItems(name, judged, len(asked) - len(judged), n_missing_items)
        yield from curve_findings(context, items, method)
        yield auc_finding(context, items, method)


def _refused(item: RankedItem, asked: ConstrainedRequest) -> bool | None:
    """Whether the title is missing from the catalog; None if it is ambiguous."""
    if item.link == "ambiguous":
        return None
    return item.item_id is None and item.link != "ambiguous_variant"


def _not_relevant(item: RankedItem, asked: ConstrainedRequest) -> bool | None:
    """Whether the item is not a held-out item of the user; None if the user has none."""
    targets = {one.id for one in asked.user.test_items}
    return item.item_id not in targets if targets else None
