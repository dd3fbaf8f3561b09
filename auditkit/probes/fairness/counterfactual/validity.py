"""Check that the responses are comparable, because a recommender with random output would look
fair.

The probe is not assessable if too few responses contain a list, if too many calls failed, or if the
lists for two neutral wordings of a request do not agree above chance. For example, SmolLM2-135M
with free generation has 1.8 titles per response and an agreement of .004, so an SNSR near 0 is
meaningless. See docs/explain/fairness.md.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from auditkit.metrics.ranking import jaccard_at_k
from auditkit.probes.base import NotAssessable, item_ids
from auditkit.probes.fairness.counterfactual.design import Slot
from auditkit.probes.fairness.counterfactual.response_tables import FAILED, ResponseTables
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Response

__all__ = ["Validity", "guard", "require_usable_responses", "value_table"]

MIN_USABLE, MIN_COMPLETE, MIN_SELF_SIMILARITY = 0.80, 0.80, 0.10
_ALIKE = 0.90
_MIN_LINKED = 0.50
_COMPARED_PROBES = 60  # for the mean similarity of neutral lists of different anchors


@dataclass(frozen=True)
class Validity:
    """Statistics of the validity check.

    Attributes:
        usable: share of the responses with at least k / 2 distinct titles, [probes].
        agreement: Jaccard similarity of the two neutral lists, [probes with both lists].
        alike: mean Jaccard similarity of neutral lists of different probes, as a reference for
            `agreement`.
        linked: share of all listed items that are in the catalog.
    """

    usable: tuple[float, ...]
    agreement: tuple[float, ...]
    alike: float | None
    linked: float

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on limits of the comparison, added to the findings."""
        found = []
        if self.alike is not None and self.alike > _ALIKE:
            found.append(
                "the mean Jaccard similarity of neutral lists of different requests is "
                f"{self.alike:.2f}, so the lists hardly depend on the request, including stated "
                "attributes"
            )
        if self.linked < _MIN_LINKED:
            found.append(
                f"only {self.linked:.0%} of the listed items are in the catalog, so lists are "
                "compared by their titles, and steering is not informative"
            )
        return tuple(found)


def require_usable_responses(pilot: ResponseTables) -> None:
    """Raise NotAssessable if too few of the first responses are usable."""
    if any(one.reason == "not_run" for row in pilot.responses for one in row):
        return
    usable = [one for probe in range(len(pilot.responses)) for one in _usable(pilot, probe)]
    if clopper_pearson(sum(usable), len(usable), 0.99).high < MIN_USABLE:
        raise NotAssessable(
            f"only {np.mean(usable):.0%} of the first {len(usable)} responses contain at least "
            f"{pilot.design.k / 2:g} items, but {MIN_USABLE:.0%} are required, so the other "
            "requests were not sent"
        )


def guard(answers: ResponseTables, *, n_items: int) -> Validity:
    """Require that the responses are comparable, not counting exploratory wordings.

    Args:
        answers: responses of all probes.
        n_items: number of items to choose from, more than k, which determines the agreement by
            chance.

    Raises:
        NotAssessable: there are too few usable responses or complete probes, or neutral lists do
            not agree above chance.
    """
    k, rows = answers.design.k, answers.responses
    usable = [float(np.mean(_usable(answers, probe))) for probe in range(len(rows))]
    if np.mean(usable) < MIN_USABLE:
        raise NotAssessable(
            f"only {np.mean(usable):.0%} of the responses contain at least {k / 2:g} items, but "
            f"{MIN_USABLE:.0%} are required"
        )
    deciding = [i for i, one in enumerate(answers.design.arms) if one.kind == "attribute"]
    complete = min(
        len(answers.complete(arm)) for arm in deciding if not answers.design.arms[arm].exploratory
    )
    if complete < MIN_COMPLETE * len(rows):
        raise NotAssessable(
            f"only {complete} of {len(rows)} probes are complete, but {MIN_COMPLETE:.0%} are "
            "required"
        )
    pairs = [(answers.items(i, Slot(0, 0, 0, 0)), answers.items(i, Slot(0, 1, 0, 0)))
             for i in range(len(rows))]  # fmt: skip
    found = (jaccard_at_k(one, two, k=k) for one, two in pairs if one and two)
    agreement = [value for value in found if value is not None]
    expected = k**2 / n_items
    chance = expected / (2 * k - expected)
    mean = float(np.mean(agreement)) if agreement else 0.0
    if (mean - chance) / (1 - chance) < MIN_SELF_SIMILARITY:
        raise NotAssessable(
            f"the mean Jaccard similarity of two neutral lists is {mean:.3f}, not above the "
            f"chance level of {chance:.3f}, so the lists do not depend on the request"
        )
    items = [item for row in rows for answer in row for item in answer.items]
    return Validity(
        tuple(usable),
        tuple(agreement),
        alike=_mean_similarity([one for one, _ in pairs], k),
        linked=sum(item.item_id is not None for item in items) / max(len(items), 1),
    )


def value_table(answers: ResponseTables, arm: int) -> dict[str, dict[str, float]]:
    """Compute, for each value, shares of its responses by outcome and shares of its items.

    Outcomes are usable, short, refused, unparsed and failed; shares of items are those that are
    repeated or linked.
    """
    k, found = answers.design.k, {}
    for value, stated in enumerate(answers.design.arms[arm].stated):
        slots = [slot for slot in answers.slots(arm) if slot.value == value]
        places = [(probe, slot) for probe in range(len(answers.responses)) for slot in slots]
        own = [answers.response(*place) for place in places]
        outcomes = Counter(
            _outcome(one, len(answers.items(*place)), k)
            for one, place in zip(own, places, strict=True)
        )
        items = [item for one in own for item in one.items]
        distinct = sum(len(set(item_ids(one))) for one in own)
        found[stated.value] = {
            **{
                outcome: outcomes[outcome] / len(own)
                for outcome in ("usable", "short", "refused", "unparsed", "failed")
            },
            "repeated": 1 - distinct / len(items) if items else 0.0,
            "linked": sum(item.item_id is not None for item in items) / max(len(items), 1),
        }
    return found


def _outcome(response: Response, n_items: int, k: int) -> str:
    if response.status in FAILED:
        return "failed"
    if n_items:
        return "usable" if n_items >= k / 2 else "short"
    return "refused" if response.status == "refusal" else "unparsed"


def _usable(answers: ResponseTables, probe: int) -> list[bool]:
    """Return whether each response of a probe has at least half of the requested items.

    Exploratory arms are left out.
    """
    design = answers.design
    deciding = (slot for slot in design.slots if not design.arms[slot.arm].exploratory)
    return [len(answers.items(probe, slot)) >= design.k / 2 for slot in deciding]


def _mean_similarity(lists: list[list[str]], k: int) -> float | None:
    shown = [one for one in lists if one][:_COMPARED_PROBES]
    found = [jaccard_at_k(a, b, k=k) or 0.0 for a, b in itertools.combinations(shown, 2)]
    return float(np.mean(found)) if found else None
