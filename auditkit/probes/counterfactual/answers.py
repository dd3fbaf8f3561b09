"""The answers of a counterfactual probe as tables: similarities to the neutral lists, missing
answers, and shares of item groups.

The unit is the probe: templates, repeats and neutral re-asks are averaged inside a cell (five
repeats counted as rows would give a size of 33 %). A refusal or a text without titles beside a
neutral list is similarity 0; a call that failed drops its probe. Source: fairness recipe, 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditkit.metrics.ranking import jaccard_at_k, prag_at_k, serp_at_k
from auditkit.probes.base import item_ids
from auditkit.probes.counterfactual.design import Design, Slot
from auditkit.recommenders.parsing import fairllm_clean
from auditkit.types import Response

__all__ = ["FAILED", "SIMILARITIES", "Answers"]

FAILED = ("target_error", "timeout")
SIMILARITIES: Mapping[str, Callable[..., float | None]] = {
    "jaccard": jaccard_at_k,
    "serp": serp_at_k,
    "prag": prag_at_k,
}
_POOLED = 0.02


@dataclass(frozen=True)
class Answers:
    """Responses of every probe in the order of the design's slots."""

    design: Design
    responses: Sequence[Sequence[Response]]

    @cached_property
    def _places(self) -> Mapping[Slot, int]:
        return {slot: place for place, slot in enumerate(self.design.slots)}

    @cached_property
    def _lists(self) -> list[list[list[str]]]:
        """Distinct items of every answer, cut to k."""
        k = self.design.k
        return [[list(dict.fromkeys(item_ids(one)))[:k] for one in row] for row in self.responses]

    def response(self, probe: int, slot: Slot) -> Response:
        """One answer."""
        return self.responses[probe][self._places[slot]]

    def items(self, probe: int, slot: Slot) -> list[str]:
        """Its distinct items, best first, at most k."""
        return self._lists[probe][self._places[slot]]

    def slots(self, arm: int) -> list[Slot]:
        """The slots of an arm."""
        return [slot for slot in self.design.slots if slot.arm == arm]

    # --- which probes count

    def _neutral(self, arm: int) -> int:
        """The neutral arm in the wording of another arm."""
        wording = self.design.arms[arm].wording
        found = [
            i
            for i, one in enumerate(self.design.arms)
            if one.kind == "neutral" and one.wording in (wording, "")
        ]
        return found[-1]

    def complete(self, arm: int) -> list[int]:
        """Probes whose arm was answered in full beside a neutral list under every template."""
        n_templates = len(self.design.templates[self.design.arms[arm].wording])
        found = []
        for probe in range(len(self.responses)):
            failed = any(self.response(probe, s).status in FAILED for s in self.slots(arm))
            listed = all(self._neutral_lists(probe, arm, t) for t in range(n_templates))
            if listed and not failed:
                found.append(probe)
        return found

    def _neutral_lists(self, probe: int, arm: int, template: int) -> list[list[str]]:
        """Neutral lists that hold anything."""
        slots = [s for s in self.slots(self._neutral(arm)) if s.template == template]
        return [items for slot in slots if (items := self.items(probe, slot))]

    # --- tables

    def similarity(self, arm: int, measure: str, probes: Sequence[int]) -> NDArray[np.float64]:
        """[probes, values] in [0, 1], mean similarity of a value's lists to the neutral ones."""
        compare, k = SIMILARITIES[measure], self.design.k
        n_values = len(self.design.arms[arm].stated)
        sums, counts = np.zeros((len(probes), n_values)), np.zeros((len(probes), n_values))
        for row, probe in enumerate(probes):
            for slot in self.slots(arm):
                own = self.items(probe, slot)
                for neutral in self._neutral_lists(probe, arm, slot.template):
                    sums[row, slot.value] += compare(own, neutral, k=k) or 0.0
                    counts[row, slot.value] += 1
        return sums / np.maximum(counts, 1)

    def published(self, arm: int, measure: str, variant: str) -> float | None:
        """SNSR of the first lists by a published formula; texts read as its authors read them."""
        compare, k = SIMILARITIES[measure], self.design.k
        n_values = len(self.design.arms[arm].stated)
        neutral = Slot(self._neutral(arm), 0, 0, 0)
        rows = []
        for probe in range(len(self.responses)):
            base = self._as_published(probe, neutral)
            row = [
                compare(self._as_published(probe, Slot(arm, v, 0, 0)), base, k=k, variant=variant)
                for v in range(n_values)
            ]
            failed = any(
                self.response(probe, slot).status in FAILED
                for slot in (neutral, *(Slot(arm, v, 0, 0) for v in range(n_values)))
            )
            if not failed and all(value is not None for value in row):
                rows.append(row)
        return float(np.ptp(np.array(rows, dtype=np.float64).mean(axis=0))) if rows else None

    def _as_published(self, probe: int, slot: Slot) -> list[str]:
        response = self.response(probe, slot)
        return item_ids(response) if response.text is None else fairllm_clean(response.text)

    def unanswered(self, arm: int) -> NDArray[np.float64]:
        """[probes, values]: share of requests without a list, of probes in which no call failed."""
        n_values = len(self.design.arms[arm].stated)
        rows = []
        for probe in range(len(self.responses)):
            answers = [(slot.value, self.response(probe, slot)) for slot in self.slots(arm)]
            if any(answer.status in FAILED for _, answer in answers):
                continue
            row = [
                np.mean([one.status != "ok" for value, one in answers if value == v])
                for v in range(n_values)
            ]
            rows.append(row)
        return np.array(rows, dtype=np.float64).reshape(-1, n_values)

    def first_lists(self, arm: int, probes: Sequence[int]) -> list[list[list[str]]]:
        """[probes][values]: each value's list under the first template."""
        values = range(len(self.design.arms[arm].stated))
        return [[self.items(probe, Slot(arm, v, 0, 0)) for v in values] for probe in probes]

    def same_list(self, arm: int, probes: Sequence[int]) -> NDArray[np.float64]:
        """[probes]: share of the values whose list equals the neutral one, order included."""
        neutral = Slot(self._neutral(arm), 0, 0, 0)
        return np.array(
            [
                np.mean([own == self.items(probe, neutral) for own in row])
                for probe, row in zip(probes, self.first_lists(arm, probes), strict=True)
            ]
        )

    def beside_reask(self, arm: int, value: int) -> NDArray[np.float64]:
        """[probes, 3]: Jaccard of the two neutral lists, and of each with the value's."""
        first, again = (Slot(self._neutral(arm), i, 0, 0) for i in range(2))
        stated, rows = Slot(arm, value, 0, 0), []
        for probe in range(len(self.responses)):
            slots = (first, again, stated)
            if any(self.response(probe, slot).status in FAILED for slot in slots):
                continue
            one, two, own = (self.items(probe, slot) for slot in slots)
            if one and two:
                pairs = ((one, two), (one, own), (two, own))
                rows.append([jaccard_at_k(a, b, k=self.design.k) or 0.0 for a, b in pairs])
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def between(self, arm: int, probes: Sequence[int]) -> NDArray[np.float64]:
        """[probes, lists, lists]: Jaccard of all lists of an arm, value by value; two lists that
        are both empty agree.
        """
        k = self.design.k
        slots = [s for s in self.slots(arm) if s.template == 0]
        table = np.ones((len(probes), len(slots), len(slots)))
        for row, probe in enumerate(probes):
            lists = [self.items(probe, slot) for slot in slots]
            for i, left in enumerate(lists):
                for j in range(i):
                    found = jaccard_at_k(left, lists[j], k=k)
                    table[row, i, j] = table[row, j, i] = 1.0 if found is None else found
        return table

    def group_shares(
        self, arm: int, probes: Sequence[int], membership: Mapping[str, Mapping[str, float]]
    ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of item groups and [probes, values, groups], the share of each list in each.

        Args:
            membership: item id -> group -> how much of the item belongs to it. Other items are
                "not in the catalog"; groups below 2 % of all lists are pooled as "other".
        """
        outside = {"not in the catalog": 1.0}
        names = sorted({g for own in membership.values() for g in own} | outside.keys())
        column = {name: i for i, name in enumerate(names)}
        lists = self.first_lists(arm, probes)
        shares = np.zeros((len(probes), len(self.design.arms[arm].stated), len(names)))
        for row, own in enumerate(lists):
            for value, items in enumerate(own):
                for item in items:
                    for group, part in membership.get(item, outside).items():
                        shares[row, value, column[group]] += part / len(items)
        kept = shares.mean(axis=(0, 1)) >= _POOLED
        pooled = np.concatenate(
            (shares[:, :, kept], shares[:, :, ~kept].sum(axis=2, keepdims=True)), axis=2
        )
        named = (*(name for name, keep in zip(names, kept, strict=True) if keep), "other")
        return named, np.minimum(pooled, 1.0)
