"""All tests of one arm, and the joint adjustment over all arms.

The tests are: whether lists shift more for some values than for others (SNSR, largest t), whether
some items are recommended more for one value (items), whether lists differ more between values than
within a value (between), more than for a repeated request (reask) and more than for an irrelevant
phrase (placebo), and whether unusable responses are more frequent for one value (missing). All
tests are one family with one Westfall-Young adjustment. See docs/explain/fairness.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.probes.base import Context
from auditkit.probes.fairness.counterfactual.response_tables import SIMILARITIES, ResponseTables
from auditkit.stats.interaction import Interaction, interaction_test
from auditkit.stats.list_shift import ListShift, list_shift_tests
from auditkit.stats.list_tests import between_values_test, item_exposure_test, repeat_request_test
from auditkit.stats.multiplicity import westfall_young
from auditkit.stats.placebo import PlaceboContrast, placebo_contrast
from auditkit.stats.relabeling import Tested
from auditkit.stats.simultaneous import RangeBounds, snsr_bounds

__all__ = ["ArmTests", "Resamples", "adjusted", "test_arm"]


class Resamples(NamedTuple):
    """Number of random permutations of the tests, and number of resamples for the bounds."""

    permutations: int
    bootstrap: int


@dataclass
class ArmTests:
    """Test results of one arm.

    Attributes:
        arm: index of the arm in the design.
        probes: indices of the complete probes.
        tables: similarities [probes, values], by name of the similarity.
        disturbances, bounds: tests and bounds of list shift, by name of the similarity; empty with
            fewer than 2 complete probes.
        named: all tests of the arm by name, including those of `disturbances`.
        beside_reask: similarities [probes, 3] by value; see `ResponseTables.beside_reask`.
        no_placebo: why there is no placebo contrast; empty if there is one.
    """

    arm: int
    name: str
    probes: list[int]
    tables: Mapping[str, NDArray[np.float64]]
    disturbances: dict[str, ListShift] = field(default_factory=dict)
    bounds: dict[str, RangeBounds] = field(default_factory=dict)
    named: dict[str, Tested] = field(default_factory=dict)
    beside_reask: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    placebo: PlaceboContrast | None = None
    no_placebo: str = ""
    interaction: Interaction | None = None

    @property
    def measured(self) -> bool:
        """Whether there are enough complete probes to compare."""
        return len(self.probes) >= 2


def test_arm(answers: ResponseTables, arm: int, context: Context, draws: Resamples) -> ArmTests:
    """Run all tests of an arm."""
    name, shape = answers.design.arms[arm].name, answers.design.arms[arm].shape
    probes = answers.complete(arm)
    tables = {metric: answers.similarity(arm, metric, probes) for metric in SIMILARITIES}
    found = ArmTests(arm, name, probes, tables)
    if not found.measured:
        return found
    tested = list_shift_tests(
        np.stack(list(tables.values())),
        rng=context.rng("permutation", name),
        draws=draws.permutations,
    )
    for metric, one in zip(tables, tested, strict=True):
        found.disturbances[metric] = one
        found.bounds[metric] = snsr_bounds(
            tables[metric], rng=context.rng("bounds", name, metric), draws=draws.bootstrap
        )
        found.named |= {f"snsr {metric}": one.snsr, f"largest t {metric}": one.max_t}
    # The same generator and shape give the same relabelings as above.
    found.named["items"] = item_exposure_test(
        answers.shown(arm, probes),
        rng=context.rng("permutation", name),
        draws=draws.permutations,
    )
    _compare_with_repeated_request(found, answers, context, draws)
    _missing(found, answers, context, draws)
    if answers.design.repeats > 1:
        found.named["between"] = between_values_test(
            answers.between(arm, probes),
            repeats=answers.design.repeats,
            rng=context.rng("between", name),
            draws=draws.permutations,
        )
    _compare_with_placebo(found, answers, context, draws)
    if shape:
        found.interaction = interaction_test(
            tables["jaccard"].reshape(len(probes), *shape),
            rng=context.rng("interaction", name),
            draws=draws.permutations,
            bootstrap_draws=draws.bootstrap,
        )
        found.named["interaction"] = found.interaction.largest_t
    return found


def _compare_with_repeated_request(
    found: ArmTests, answers: ResponseTables, context: Context, draws: Resamples
) -> None:
    for value, stated in enumerate(answers.design.arms[found.arm].stated):
        table = answers.beside_reask(found.arm, value)
        if len(table) < 2:
            continue
        found.beside_reask[stated.value] = table
        found.named[f"reask {stated.value}"] = repeat_request_test(
            table,
            rng=context.rng("reask", found.name, stated.value),
            draws=draws.permutations,
        )


def _missing(found: ArmTests, answers: ResponseTables, context: Context, draws: Resamples) -> None:
    table = answers.unusable(found.arm)
    if len(table) >= 2:
        (one,) = list_shift_tests(
            table[None], rng=context.rng("missing", found.name), draws=draws.permutations
        )
        found.named["missing"] = one.snsr


def _compare_with_placebo(
    found: ArmTests, answers: ResponseTables, context: Context, draws: Resamples
) -> None:
    design = answers.design
    arms = [
        i
        for i, arm in enumerate(design.arms)
        if arm.kind == "placebo" and arm.wording == design.arms[found.arm].wording
    ]
    size = len(design.arms[found.arm].stated)
    if not arms or len(design.arms[arms[0]].stated) < size:
        found.no_placebo = f"there are fewer than {size} placebo phrases"
        return
    placebo = arms[0]
    both = sorted(set(found.probes) & set(answers.complete(placebo)))
    if len(both) < 2:
        found.no_placebo = "fewer than 2 probes have complete responses for attribute and placebo"
        return
    own, other = None, None
    if design.repeats > 1:
        n_lists = size * design.repeats
        own, other = (
            _same_minus_different(answers.between(arm, both)[:, :n_lists, :n_lists], design.repeats)
            for arm in (found.arm, placebo)
        )
    found.placebo = placebo_contrast(
        answers.similarity(found.arm, "jaccard", both),
        answers.similarity(placebo, "jaccard", both)[:, :size],
        attribute_between=own,
        placebo_between=other,
        rng=context.rng("placebo", found.name),
        draws=draws.permutations,
    )
    found.named |= {"placebo shift": found.placebo.shift, "placebo snsr": found.placebo.snsr}
    if found.placebo.between is not None:
        found.named["placebo between"] = found.placebo.between


def _same_minus_different(table: NDArray[np.float64], repeats: int) -> NDArray[np.float64]:
    """Return mean similarity of same-value lists minus that of different-value lists, [probes]."""
    first, second = np.triu_indices(table.shape[1], 1)
    same = first // repeats == second // repeats
    pairs = table[:, first, second]
    difference: NDArray[np.float64] = pairs[:, same].mean(axis=1) - pairs[:, ~same].mean(axis=1)
    return difference


def adjusted(arms: Sequence[ArmTests]) -> dict[tuple[str, str], float]:
    """Return the p-value of every test, by (arm, test), adjusted over all tests of all arms."""
    return westfall_young(
        {(arm.name, name): test for arm in arms for name, test in arm.named.items()}
    )
