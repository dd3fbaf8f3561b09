"""Can the answers be compared at all? A recommender that answers with garbage would look fair.

Nothing is measured where few answers hold a list, where calls failed, or where two neutral wordings
of one request do not agree above chance. Measured on SmolLM2-135M in free generation: 1.8 titles an
answer and an agreement of .004; an SNSR near 0 means nothing there. Source: fairness recipe, 4.3.
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
_COMPARED_PROBES = 60  # of different anchors, for the likeness of neutral lists


@dataclass(frozen=True)
class Validity:
    """What the guard saw.

    Attributes:
        usable: [probes] share of the answers with at least k / 2 distinct titles.
        agreement: [probes] Jaccard of the two neutral lists; probes without both are left out.
        alike: mean Jaccard of neutral lists of different probes.
        linked: share of all listed items that are in the catalog.
    """

    usable: tuple[float, ...]
    agreement: tuple[float, ...]
    alike: float | None
    linked: float

    @property
    def remarks(self) -> tuple[str, ...]:
        """What every reader of the numbers must know."""
        found = []
        if self.alike is not None and self.alike > _ALIKE:
            found.append(
                f"neutral lists of different requests agree by {self.alike:.2f}: the list ignores "
                "the request, so that it ignores attributes is trivial"
            )
        if self.linked < _MIN_LINKED:
            found.append(
                f"only {self.linked:.0%} of the listed items are in the catalog: lists are "
                "compared by their words, and steering says little"
            )
        return tuple(found)


def require_usable_responses(pilot: ResponseTables) -> None:
    """Raise NotAssessable where a pilot already shows that too few answers can be used."""
    if any(one.reason == "not_run" for row in pilot.responses for one in row):
        return
    usable = [one for probe in range(len(pilot.responses)) for one in _usable(pilot, probe)]
    if clopper_pearson(sum(usable), len(usable), 0.99).high < MIN_USABLE:
        raise NotAssessable(
            f"only {np.mean(usable):.0%} of the first {len(usable)} answers hold at least "
            f"{pilot.design.k / 2:g} items, {MIN_USABLE:.0%} are needed; the rest was not asked"
        )


def guard(answers: ResponseTables, *, n_items: int) -> Validity:
    """Refuse to measure what cannot be compared. Exploratory wordings never decide it.

    Args:
        n_items: items to choose from, more than k, for the agreement that chance gives.

    Raises:
        NotAssessable: why.
    """
    k, rows = answers.design.k, answers.responses
    usable = [float(np.mean(_usable(answers, probe))) for probe in range(len(rows))]
    if np.mean(usable) < MIN_USABLE:
        raise NotAssessable(
            f"only {np.mean(usable):.0%} of the answers hold at least {k / 2:g} items, "
            f"{MIN_USABLE:.0%} are needed"
        )
    deciding = [i for i, one in enumerate(answers.design.arms) if one.kind == "attribute"]
    complete = min(
        len(answers.complete(arm)) for arm in deciding if not answers.design.arms[arm].exploratory
    )
    if complete < MIN_COMPLETE * len(rows):
        raise NotAssessable(
            f"only {complete} of {len(rows)} probes were answered in full, {MIN_COMPLETE:.0%} are "
            "needed"
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
            f"two neutral answers agree by {mean:.3f} (chance {chance:.3f}): the lists do not "
            "answer the request"
        )
    items = [item for row in rows for answer in row for item in answer.items]
    return Validity(
        tuple(usable),
        tuple(agreement),
        alike=_likeness([one for one, _ in pairs], k),
        linked=sum(item.item_id is not None for item in items) / max(len(items), 1),
    )


def value_table(answers: ResponseTables, arm: int) -> dict[str, dict[str, float]]:
    """What became of the answers to every value, as shares: usable, short, refused, unparsed,
    failed; repeated items, and items that were linked.
    """
    k, found = answers.design.k, {}
    for value, stated in enumerate(answers.design.arms[arm].stated):
        slots = [slot for slot in answers.slots(arm) if slot.value == value]
        places = [(probe, slot) for probe in range(len(answers.responses)) for slot in slots]
        own = [answers.response(*place) for place in places]
        fates = Counter(
            _fate(one, len(answers.items(*place)), k)
            for one, place in zip(own, places, strict=True)
        )
        items = [item for one in own for item in one.items]
        distinct = sum(len(set(item_ids(one))) for one in own)
        found[stated.value] = {
            **{
                fate: fates[fate] / len(own)
                for fate in ("usable", "short", "refused", "unparsed", "failed")
            },
            "repeated": 1 - distinct / len(items) if items else 0.0,
            "linked": sum(item.item_id is not None for item in items) / max(len(items), 1),
        }
    return found


def _fate(response: Response, n_items: int, k: int) -> str:
    if response.status in FAILED:
        return "failed"
    if n_items:
        return "usable" if n_items >= k / 2 else "short"
    return "refused" if response.status == "refusal" else "unparsed"


def _usable(answers: ResponseTables, probe: int) -> list[bool]:
    """Which answers of a probe hold half of the items asked for, exploratory ones left out."""
    design = answers.design
    deciding = (slot for slot in design.slots if not design.arms[slot.arm].exploratory)
    return [len(answers.items(probe, slot)) >= design.k / 2 for slot in deciding]


def _likeness(lists: list[list[str]], k: int) -> float | None:
    shown = [one for one in lists if one][:_COMPARED_PROBES]
    found = [jaccard_at_k(a, b, k=k) or 0.0 for a, b in itertools.combinations(shown, 2)]
    return float(np.mean(found)) if found else None
