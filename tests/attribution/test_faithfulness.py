"""Tests of faithfulness on games that are computed by hand, and on every order of small ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.attribution.card import card_of
from auditkit.attribution.estimators import Attribution
from auditkit.attribution.faithfulness import (
    agreement,
    aopc_of,
    infidelity_of,
    lds_of,
    path_masks,
    pearson,
    spearman,
)
from auditkit.attribution.masks import every_mask
from auditkit.attribution.missing import Missing
from auditkit.attribution.randomization import null_quantile, randomization_test

KINDS = ("comprehensiveness", "sufficiency")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(n: int, seed: int) -> dict[int, float]:
    return dict(enumerate(rng(seed).normal(size=1 << n).tolist()))


def additive(weights) -> dict[int, float]:
    n = len(weights)
    return {m: float(sum(weights[i] for i in range(n) if m >> i & 1)) for m in every_mask(n)}


def card(known, values, *, loo=None, orders=(), seed=0):
    attribution = Attribution("linear", np.asarray(values, dtype=float), None, None, 32)
    others = {} if loo is None else {"loo": np.asarray(loo, dtype=float)}
    return card_of(
        attribution, known, fitted=list(known)[1:], evaluation=list(known), orders=orders,
        others=others, n_asked=len(known), seed=seed, rng=rng(seed),
    )  # fmt: skip


def test_aopc_of_an_additive_game_by_hand():
    known = additive([3.0, 1.0, 2.0])
    found = aopc_of(known, [0, 2, 1], [], "comprehensiveness")
    assert found.value == pytest.approx((3 + 5 + 6) / 3)
    assert found.random == pytest.approx(6 * (1 + 2 + 3) / 9)
    assert found.normalized == pytest.approx(1)
    kept = aopc_of(known, [0, 2, 1], [], "sufficiency")
    assert kept.value == pytest.approx((3 + 1 + 0) / 3)
    assert kept.normalized == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 30))
def test_best_and_random_order_are_those_of_all_orders(kind, seed):
    known = noise(4, seed)
    every = [
        np.mean([known[15] - known[m] for m in path_masks(order, kind)])
        for order in itertools.permutations(range(4))
    ]
    found = aopc_of(known, [2, 0, 3, 1], [], kind)
    best = max(every) if kind == "comprehensiveness" else min(every)
    assert found.best == pytest.approx(best)
    assert found.random == pytest.approx(np.mean(every))
    assert found.normalized <= 1 + 1e-9


def test_control_of_many_spans_is_the_mean_of_measured_orders():
    weights = np.arange(9.0)
    known, order = additive(weights), list(range(8, -1, -1))
    controls = [list(range(9)), order]
    found = aopc_of(known, order, controls, "comprehensiveness")
    assert found.value > found.random > 0
    assert isinstance(found.normalized, Missing)
    assert isinstance(aopc_of(known, order, [], "sufficiency"), Missing)
    del known[path_masks(order, "sufficiency")[2]]
    assert isinstance(aopc_of(known, order, controls, "sufficiency"), Missing)


def test_constant_values_are_missing_and_never_nan():
    known = dict.fromkeys(every_mask(4), -2.0)
    empty = card(known, [0, 0, 0, 0], loo=[0, 0, 0, 0])
    for row in (empty.lds, empty.lds_ceiling, empty.interaction_share, empty.empty_z):
        assert isinstance(row, Missing)
    assert isinstance(empty.comprehensiveness.normalized, Missing)
    assert empty.infidelity.raw == 0
    assert empty.infidelity.rescaled is None
    assert isinstance(empty.agreement["loo"].pearson, Missing)


def test_exact_attribution_of_an_additive_game_has_a_perfect_card():
    weights = np.array([3.0, -1.0, 2.0, 0.5])
    known = {mask: value - 9 for mask, value in additive(weights).items()}
    perfect = card(known, weights, loo=weights)
    assert (perfect.lds, perfect.lds_ceiling) == (pytest.approx(1), pytest.approx(1))
    assert perfect.interaction_share == pytest.approx(0)
    assert perfect.infidelity.raw == pytest.approx(0)
    assert perfect.comprehensiveness.normalized == pytest.approx(1)
    assert perfect.sufficiency_p.normalized == pytest.approx(1)
    assert perfect.agreement["loo"].pearson == pytest.approx(1)
    assert perfect.agreement["loo"].kendall == pytest.approx(1)
    assert not perfect.loo.flagged


def test_redundant_pair_is_named_and_a_single_cause_is_not_flagged():
    pair = {mask: 4.0 * bool(mask & 0b101) for mask in every_mask(5)}
    flagged = card(pair, [2, 0, 2, 0, 0], loo=[0] * 5).loo
    assert flagged == (True, (0, 2), 4.0)
    single = {mask: 4.0 * bool(mask & 0b100) for mask in every_mask(5)}
    assert not card(single, [0, 0, 4, 0, 0], loo=[0, 0, 4, 0, 0]).loo.flagged
    weak = {mask: 0.2 * value for mask, value in pair.items()}
    assert not card(weak, [0.4, 0, 0.4, 0, 0], loo=[0] * 5).loo.flagged


def test_interval_of_the_lds_contains_it():
    known = {mask: v for mask, v in noise(9, 1).items() if mask % 5 == 0}
    found = card(known, rng(2).normal(size=9), orders=[])
    low, high = found.lds_interval
    assert low < found.lds < high
    assert isinstance(card(additive([1, 2, 3]), [1, 2, 3]).lds_interval, Missing)


def test_missing_values_leave_lds_and_infidelity():
    known = additive(np.arange(4.0))
    del known[3]
    assert lds_of(known, every_mask(4), np.arange(4.0)) == pytest.approx(1)
    assert infidelity_of(known, every_mask(4), np.arange(4.0)).raw == pytest.approx(0)
    del known[15]
    assert isinstance(infidelity_of(known, every_mask(4), np.arange(4.0)), Missing)
    assert isinstance(lds_of(known, every_mask(4), np.arange(2.0)), Missing)


def test_correlations_and_overlap_by_hand():
    left, right = np.array([4.0, 3.0, 2.0, 1.0]), np.array([4.0, 1.0, 2.0, 3.0])
    assert pearson(left, right) == pytest.approx(0.2)
    assert spearman(left, np.exp(right)) == pytest.approx(0.2)
    assert agreement(left, right).jaccard == pytest.approx(2 / 4)
    assert isinstance(pearson(left, np.full(4, 0.1)), Missing)
    assert isinstance(pearson(left[:1], right[:1]), Missing)


def test_null_quantiles_are_those_of_random_rankings():
    one, mean = null_quantile([10] * 20, rng())
    assert one == pytest.approx(0.64, abs=0.02)
    assert mean == pytest.approx(0.34, abs=0.02)


def test_randomization_needs_the_weights():
    assert randomization_test(object(), [], rng=rng()) == Missing(
        "this test needs the weights of the model"
    )
