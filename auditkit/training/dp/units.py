"""Privacy units of a step: which are sampled, which of their records count, how they are packed.

A unit is what a neighboring data set adds or removes: one row, or all rows of a user. Every unit is
sampled independently (Poisson), so a step may be empty. A sampled user contributes at most k
records, drawn without replacement, whose mean gradient is clipped (user-level sampling, Charles et
al. 2024). Physical batches hold whole units, because a gradient is clipped only after the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from auditkit.errors import InvalidArgument

__all__ = ["UnitSampler", "packed"]

Record = TypeVar("Record")


class UnitSampler:
    """Draws the units of every step from the operating system's entropy.

    Args:
        sample_rate: probability of each unit in a step, in (0, 1].
        records_per_unit: largest number of records k that a sampled unit contributes.
        seed: fixes the draws, for tests only; None for entropy.
    """

    def __init__(self, *, sample_rate: float, records_per_unit: int, seed: int | None) -> None:
        self._rate, self._k = sample_rate, records_per_unit
        self._entropy = np.random.default_rng(seed)

    def indices(self, n_units: int) -> list[int]:
        """Indices of the units in a step; may be empty."""
        return [int(i) for i in np.flatnonzero(self._entropy.random(n_units) < self._rate)]

    def records(self, unit: Sequence[Record]) -> list[Record]:
        """At most k records of a unit, drawn without replacement; all if it has no more."""
        if len(unit) <= self._k:
            return list(unit)
        drawn = self._entropy.choice(len(unit), size=self._k, replace=False)
        return [unit[int(i)] for i in drawn]


def packed(units: Sequence[Sequence[Record]], limit: int) -> Iterator[list[Sequence[Record]]]:
    """Split units in their order into batches of at most `limit` records, never splitting a unit.

    Raises:
        InvalidArgument: a unit without records, or with more than `limit`.
    """
    batch: list[Sequence[Record]] = []
    size = 0
    for unit in units:
        if not 0 < len(unit) <= limit:
            raise InvalidArgument(
                f"A unit has {len(unit)} records, but a physical batch holds 1 to {limit} and a "
                "unit is never split. Lower privacy.records_per_unit or raise "
                "privacy.physical_batch."
            )
        if size + len(unit) > limit:
            yield batch
            batch, size = [], 0
        batch.append(unit)
        size += len(unit)
    if batch:
        yield batch
