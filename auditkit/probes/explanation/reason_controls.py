"""Deletion of stated items, and of equally many unstated items as a control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auditkit.metrics.stated_reasons import Deletion
from auditkit.probes.explanation.reason_statements import Statement
from auditkit.probes.explanation.top_items import measure_tops
from auditkit.recommenders.execution.target import Target

__all__ = ["Measured", "measure_deletions"]

_MOST, _FEWEST = 20, 3
_LENGTH = 0.25  # largest relative difference in characters


@dataclass(frozen=True)
class Measured:
    """Effects of deletions for one statement.

    Attributes:
        attribution: drop after deleting each history item, [n], in the unit of `Outcome.strength`.
        order: positions by decreasing drop; of equal drops, the lower position is first.
        deletion: effects of deleting the stated items and the control sets; None without a control
            set.
        flips: 1 if the top item changes after deleting the stated items, else 0, minus the share of
            control sets for which it changes; None without a control set, or if the explained item
            is not the top item at first.
    """

    statement: Statement
    attribution: tuple[float, ...]
    order: tuple[int, ...]
    deletion: Deletion | None
    flips: float | None


def measure_deletions(
    target: Target, statements: Sequence[Statement], rngs: Sequence[np.random.Generator]
) -> list[Measured | None]:
    """Measure, for each statement, the deletion of every single history item, of all stated items
    together, and of every control set.

    Returns:
        Effects for each statement; None if one of the measurements failed.
    """
    controls = [_controls(one, rng) for one, rng in zip(statements, rngs, strict=True)]
    plans = []
    for one, sets in zip(statements, controls, strict=True):
        explained = one.explained
        removals = [*((i,) for i in range(explained.n)), one.reason.positions, *sets]
        plans.append((explained, [explained.everything, *map(explained.without, removals)]))
    measure_tops(target, plans)
    return [
        None if any(mask in one.explained.failed for mask in masks) else _measured(one, sets)
        for one, sets, (_, masks) in zip(statements, controls, plans, strict=True)
    ]


def _measured(one: Statement, sets: Sequence[tuple[int, ...]]) -> Measured:
    explained = one.explained
    whole = explained.outcomes[explained.everything]

    def drop(removal: Sequence[int]) -> float:
        return whole.strength - explained.outcomes[explained.without(removal)].strength

    def flips(removal: Sequence[int]) -> bool:
        return explained.outcomes[explained.without(removal)].top != whole.top

    single = tuple(drop([i]) for i in range(explained.n))
    order = tuple(sorted(range(explained.n), key=lambda i: (-single[i], i)))
    stated = one.reason.positions
    deletion = flip_gap = None
    if sets:
        deletion = Deletion(len(stated), drop(stated), tuple(map(drop, sets)))
        if whole.top == explained.item.id:
            flip_gap = float(flips(stated)) - float(np.mean([flips(own) for own in sets]))
    return Measured(one, single, order, deletion, flip_gap)


def _controls(one: Statement, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Choose control sets of equally many unstated items whose texts have a similar length.

    Without such sets, the three nearest in length are used. Up to 20 sets are all used, otherwise a
    random 20.
    """
    stated = set(one.reason.positions)
    others = [i for i in range(one.explained.n) if i not in stated]
    size = len(stated)
    if math.comb(len(others), size) <= _MOST:
        sets = list(combinations(others, size))
    else:
        drawn = (sorted(rng.choice(others, size, replace=False).tolist()) for _ in range(2 * _MOST))
        sets = list(dict.fromkeys(map(tuple, drawn)))[:_MOST]
    titles = [item.title for item in one.explained.request.history]

    def length(positions: Sequence[int]) -> int:
        return sum(len(titles[i]) for i in positions)

    own = length(sorted(stated))
    similar = [positions for positions in sets if abs(length(positions) - own) <= _LENGTH * own]
    nearest = sorted(sets, key=lambda positions: abs(length(positions) - own))[:_FEWEST]
    return similar if len(similar) >= _FEWEST else nearest
