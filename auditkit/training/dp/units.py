"""Privacy units of a step: sampling of units and of their records, and packing into batches.

Neighboring data sets differ by one unit: one row, or all rows of a user. Every unit is sampled
independently (Poisson), so a step may be empty. A sampled user contributes at most k records, drawn
without replacement, whose mean gradient is clipped (user-level sampling, Charles et al. 2024).
Physical batches contain whole units, because a gradient is clipped after averaging over the unit's
records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from auditkit.errors import InvalidArgument

__all__ = ["UnitSampler", "packed"]

Record = TypeVar("Record")


class UnitSampler:
    """Samples the units of every step, using the operating system's entropy.

    Args:
        sample_rate: probability of each unit in a step, in (0, 1].
        records_per_unit: largest number of records k that a sampled unit contributes.
        seed: seed of the sampling, for tests only; None for OS entropy.
    """

    def __init__(self, *, sample_rate: float, records_per_unit: int, seed: int | None) -> None:
        self._rate, self._k = sample_rate, records_per_unit
        self._entropy = np.random.default_rng(seed)

    def indices(self, n_units: int) -> list[int]:
        """Sample the indices of a step's units; the list may be empty."""
        return [int(i) for i in np.flatnonzero(self._entropy.random(n_units) < self._rate)]

    def records(self, unit: Sequence[Record]) -> list[Record]:
        """Sample k records of a unit without replacement, or return all if the unit has at most
        k.
        """
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
                f"A unit has {len(unit)} records, but a physical batch has 1 to {limit} records "
                "and a unit is never split. Lower privacy.records_per_unit or raise "
                "privacy.physical_batch."
            )
        if size + len(unit) > limit:
            yield batch
            batch, size = [], 0
        batch.append(unit)
        size += len(unit)
    if batch:
        yield batch
