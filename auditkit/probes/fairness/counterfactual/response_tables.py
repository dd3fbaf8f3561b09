"""Responses of the counterfactual probe as tables: similarities, unusable responses, item groups.

The unit is the probe (one anchor): templates, repeats and neutral wordings are averaged in a cell,
because with five repeats as separate rows, the false-positive rate of the tests would be 33 %. A
refusal or a text without titles has similarity 0 to a neutral list; a probe with a failed call is
dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditkit.metrics.ranking import jaccard_at_k, prag_at_k, serp_at_k
from auditkit.probes.base import item_ids
from auditkit.probes.fairness.counterfactual.design import Design, Slot
from auditkit.recommenders.prompting.parsing import fairllm_clean
from auditkit.types import Response

__all__ = ["FAILED", "SIMILARITIES", "ResponseTables"]

FAILED = ("target_error", "timeout")
SIMILARITIES: Mapping[str, Callable[..., float | None]] = {
    "jaccard": jaccard_at_k,
    "serp": serp_at_k,
    "prag": prag_at_k,
}
_POOLED = 0.02


@dataclass(frozen=True)
class ResponseTables:
    """Responses of every probe in the order of the design's slots."""

    design: Design
    responses: Sequence[Sequence[Response]]

    @cached_property
    def _places(self) -> Mapping[Slot, int]:
        return {slot: place for place, slot in enumerate(self.design.slots)}

    @cached_property
    def _lists(self) -> list[list[list[str]]]:
        """Distinct items of every response, at most k, [probes][slots][items]."""
        k = self.design.k
        return [[list(dict.fromkeys(item_ids(one)))[:k] for one in row] for row in self.responses]

    def response(self, probe: int, slot: Slot) -> Response:
        """Return the response to the request in one slot of a probe."""
        return self.responses[probe][self._places[slot]]

    def items(self, probe: int, slot: Slot) -> list[str]:
        """Return the distinct items of the response in one slot of a probe, best first, at most
        k.
        """
        return self._lists[probe][self._places[slot]]

    @cached_property
    def _slots(self) -> list[list[Slot]]:
        every = self.design.slots
        return [[s for s in every if s.arm == arm] for arm in range(len(self.design.arms))]

    def slots(self, arm: int) -> list[Slot]:
        """Return the slots of an arm."""
        return self._slots[arm]

    # --- complete probes

    def _neutral(self, arm: int) -> int:
        """Return the index of the neutral arm with the wording of `arm`, or else of the first
        neutral arm.
        """
        wording = self.design.arms[arm].wording
        own = [
            i
            for i, one in enumerate(self.design.arms)
            if one.kind == "neutral" and one.wording == wording
        ]
        return own[0] if own else 0

    def complete(self, arm: int) -> list[int]:
        """Return the indices of complete probes.

        A complete probe has no failed call in the arm and a neutral list for every template.
        """
        n_templates = len(self.design.templates[self.design.arms[arm].wording])
        found = []
        for probe in range(len(self.responses)):
            failed = any(self.response(probe, s).status in FAILED for s in self.slots(arm))
            listed = all(self._neutral_lists(probe, arm, t) for t in range(n_templates))
            if listed and not failed:
                found.append(probe)
        return found

    def _neutral_lists(self, probe: int, arm: int, template: int) -> list[list[str]]:
        """Return the non-empty neutral lists of one probe and template, in the wording of the
        arm.
        """
        slots = [s for s in self.slots(self._neutral(arm)) if s.template == template]
        return [items for slot in slots if (items := self.items(probe, slot))]

    # --- tables

    def similarity(self, arm: int, measure: str, probes: Sequence[int]) -> NDArray[np.float64]:
        """Compute the mean similarity of each value's lists to the neutral lists, [probes, values].

        Similarities are in [0, 1].
        """
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

    def published(self, arm: int, measure: str, variant: str) -> tuple[float | None, int]:
        """Compute SNSR of the first lists by a published formula, with the titles parsed as its
        authors do.

        Returns SNSR and the number of probes in which it is defined.
        """
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
        table = np.array(rows, dtype=np.float64)
        return (float(np.ptp(table.mean(axis=0))) if rows else None), len(rows)

    def _as_published(self, probe: int, slot: Slot) -> list[str]:
        response = self.response(probe, slot)
        return item_ids(response) if response.text is None else fairllm_clean(response.text)

    def unusable(self, arm: int) -> NDArray[np.float64]:
        """Compute the share of unusable responses, [probes, values], for probes without failed
        calls.

        An unusable response (refused, unparsed or short) has fewer than half of the requested
        items.
        """
        n_values = len(self.design.arms[arm].stated)
        rows = []
        for probe in range(len(self.responses)):
            slots = self.slots(arm)
            if any(self.response(probe, slot).status in FAILED for slot in slots):
                continue
            short = [(s.value, len(self.items(probe, s)) < self.design.k / 2) for s in slots]
            rows.append(
                [np.mean([one for value, one in short if value == v]) for v in range(n_values)]
            )
        return np.array(rows, dtype=np.float64).reshape(-1, n_values)

    def shown(self, arm: int, probes: Sequence[int]) -> list[list[list[str]]]:
        """Return all items in the lists for a value, each with its template,
        [probes][values][items].

        The entry of a probe with an empty list is empty, because a refusal exposes no items.
        """
        found = []
        for probe in probes:
            row: list[list[str]] = [[] for _ in self.design.arms[arm].stated]
            for slot in self.slots(arm):
                row[slot.value] += [f"{slot.template}/{i}" for i in self.items(probe, slot)]
            found.append(row if self.all_listed(arm, probe) else [[] for _ in row])
        return found

    def all_listed(self, arm: int, probe: int) -> bool:
        """Whether every request of an arm has a list."""
        return all(self.items(probe, slot) for slot in self.slots(arm))

    def same_list(self, arm: int, probes: Sequence[int]) -> NDArray[np.float64]:
        """Compute the share of lists that equal the neutral list, including the order, [probes]."""
        neutral, slots = self._neutral(arm), self.slots(arm)
        return np.array(
            [
                np.mean(
                    [
                        self.items(probe, s) == self.items(probe, Slot(neutral, 0, s.template, 0))
                        for s in slots
                    ]
                )
                for probe in probes
            ]
        )

    def beside_reask(self, arm: int, value: int) -> NDArray[np.float64]:
        """Compute three Jaccard similarities per probe for the first template, [probes, 3].

        They are the similarity of the two neutral lists, and of each neutral list with the list for
        the value.
        """
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
        """Compute the pairwise Jaccard similarity of all lists of an arm with the first template.

        The shape is [probes, lists, lists], ordered by value; two empty lists have similarity 1.
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
        """Compute the mean share of item groups in a value's lists, [probes, values, groups].

        Args:
            arm: index of the arm.
            probes: indices of complete probes.
            membership: fraction of each item in each group, by item id and group. Items without an
                entry form the group "not in the catalog"; groups below 2 % of all lists are pooled
                as "other".

        Returns:
            Names of the groups, and the shares.
        """
        outside = {"not in the catalog": 1.0}
        names = sorted({g for own in membership.values() for g in own} | outside.keys())
        column = {name: i for i, name in enumerate(names)}
        slots, n_values = self.slots(arm), len(self.design.arms[arm].stated)
        shares = np.zeros((len(probes), n_values, len(names)))
        for row, probe in enumerate(probes):
            for slot in slots:
                items = self.items(probe, slot)
                weight = n_values / (len(slots) * max(len(items), 1))
                for item in items:
                    for group, part in membership.get(item, outside).items():
                        shares[row, slot.value, column[group]] += weight * part
        kept = shares.mean(axis=(0, 1)) >= _POOLED
        pooled = np.concatenate(
            (shares[:, :, kept], shares[:, :, ~kept].sum(axis=2, keepdims=True)), axis=2
        )
        named = (*(name for name, keep in zip(names, kept, strict=True) if keep), "other")
        return named, np.minimum(pooled, 1.0)
