"""Attribution formulas against closed forms, their axioms, and definitions written out in full."""

from __future__ import annotations

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from auditkit.errors import InvalidArgument
from auditkit.metrics.attribution import (
    aopc,
    banzhaf,
    infidelity,
    lds,
    leave_one_out,
    shapley,
)

EXACT = {"rtol": 0, "atol": 1e-12}
games = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.floats(-50, 50), min_size=1 << n, max_size=1 << n)
)


def game(n, value):
    """The table of a game given by a function of the set of kept spans."""
    return [value({i for i in range(n) if mask >> i & 1}) for mask in range(1 << n)]


def n_of(values):
    return len(values).bit_length() - 1


GLOVE = game(3, lambda s: float(2 in s and bool(s & {0, 1})))  # two left gloves, one right
MAJORITY = game(5, lambda s: float(len(s) >= 3))
BOTH = game(4, lambda s: float(s >= {0, 1, 2, 3}))
ANY = game(4, lambda s: float(bool(s)))
EITHER = game(2, lambda s: float(bool(s)))


def test_shapley_values_of_known_games():
    np.testing.assert_allclose(shapley(GLOVE), [1 / 6, 1 / 6, 2 / 3], **EXACT)
    np.testing.assert_allclose(shapley(MAJORITY), [1 / 5] * 5, **EXACT)
    for either in (BOTH, ANY):
        np.testing.assert_allclose(shapley(either), [1 / 4] * 4, **EXACT)


def test_banzhaf_values_of_known_games():
    np.testing.assert_allclose(banzhaf(GLOVE), [1 / 4, 1 / 4, 3 / 4], **EXACT)
    np.testing.assert_allclose(banzhaf(MAJORITY), [6 / 16] * 5, **EXACT)
    for either in (BOTH, ANY):
        np.testing.assert_allclose(banzhaf(either), [1 / 8] * 4, **EXACT)


def test_leave_one_out_is_blind_to_redundant_causes():
    np.testing.assert_allclose(leave_one_out(EITHER), [0, 0], **EXACT)
    np.testing.assert_allclose(shapley(EITHER), [0.5, 0.5], **EXACT)
    np.testing.assert_allclose(banzhaf(EITHER), [0.5, 0.5], **EXACT)
    np.testing.assert_allclose(leave_one_out(BOTH), [1] * 4, **EXACT)


@given(values=games)
def test_shapley_is_the_mean_marginal_over_all_orders(values):
    n = n_of(values)
    expected = np.zeros(n)
    for order in permutations(range(n)):
        mask = 0
        for span in order:
            expected[span] += values[mask | 1 << span] - values[mask]
            mask |= 1 << span
    np.testing.assert_allclose(shapley(values), expected / factorial(n), rtol=0, atol=1e-11)


@given(values=games)
def test_shapley_values_sum_to_the_total_effect(values):
    assert shapley(values).sum() == pytest.approx(values[-1] - values[0], abs=1e-10)


@given(values=games)
def test_banzhaf_is_the_mean_marginal_over_all_subsets(values):
    expected = [
        np.mean([values[m | 1 << i] - values[m] for m in range(len(values)) if not m >> i & 1])
        for i in range(n_of(values))
    ]
    np.testing.assert_allclose(banzhaf(values), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", [shapley, banzhaf, leave_one_out])
@given(values=games, others=games, factor=st.floats(-3, 3))
def test_attribution_is_linear_in_the_game(method, values, others, factor):
    size = min(len(values), len(others))
    a, b = np.array(values[:size]), np.array(others[:size])
    np.testing.assert_allclose(
        method(a + factor * b), method(a) + factor * method(b), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("method", [shapley, banzhaf, leave_one_out])
@given(values=games)
def test_a_span_without_effect_has_zero_and_equal_spans_are_equal(method, values):
    n = n_of(values)
    with_dummy = np.concatenate([values, values])  # the last span changes nothing
    np.testing.assert_allclose(method(with_dummy)[:n], method(values), rtol=0, atol=1e-10)
    assert method(with_dummy)[n] == pytest.approx(0, abs=1e-12)
    by_size = game(4, lambda s: values[len(s) % len(values)])
    assert np.ptp(method(by_size)) < 1e-10


@settings(deadline=None)  # shapiq compiles at its first call
@given(values=games)
def test_attribution_equals_that_of_shapiq(values):
    shapiq = pytest.importorskip("shapiq")
    n = n_of(values)

    def value(kept):
        return np.asarray(values)[np.asarray(kept, dtype=int) @ (1 << np.arange(n))]

    computer = shapiq.ExactComputer(n_players=n, game=value)
    for index, method in (("SV", shapley), ("BV", banzhaf)):
        theirs = computer(index, order=1)
        ours = method(values)
        np.testing.assert_allclose(ours, [theirs[(i,)] for i in range(n)], rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", [shapley, banzhaf, leave_one_out])
@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1.0, 2.0, 3.0], "2\\^n subsets"),
        ([1.0], "2\\^n subsets"),
        ([], "2\\^n subsets"),
        ([[1.0, 2.0]], "2\\^n subsets"),
        (np.zeros(1 << 21), "1 to 20 spans"),
        ([0.0, float("nan")], "1 values that are missing"),
        ([0.0, float("inf"), float("nan"), 1.0], "2 values that are missing"),
    ],
)
def test_attribution_refuses_what_is_no_whole_table(method, values, why):
    with pytest.raises(InvalidArgument, match=why):
        method(values)


def test_twenty_spans_are_computed():
    values = game(4, lambda s: float(2 * (0 in s) + (1 in s)))
    large = np.tile(values, 1 << 16)
    np.testing.assert_allclose(shapley(large)[:3], [2, 1, 0], rtol=0, atol=1e-9)


# --- areas over the perturbation curve


def test_aopc_of_an_additive_game_by_hand():
    values = game(3, lambda s: 4.0 * (0 in s) + 2.0 * (1 in s) + 1.0 * (2 in s))
    assert aopc(values, [0, 1, 2]) == pytest.approx((4 + 6 + 7) / 3, abs=1e-12)
    assert aopc(values, [2, 1, 0]) == pytest.approx((1 + 3 + 7) / 3, abs=1e-12)
    kept = aopc(values, [0, 1, 2], kind="sufficiency")
    assert kept == pytest.approx((3 + 1 + 0) / 3, abs=1e-12)


def test_aopc_with_the_bins_of_eraser_repeats_small_sizes():
    values = game(3, lambda s: 4.0 * (0 in s) + 2.0 * (1 in s) + 1.0 * (2 in s))
    found = aopc(values, [0, 1, 2], percents=(1, 5, 10, 20, 50))  # k = 1, 1, 1, 1, 2
    assert found == pytest.approx((4 * 4 + 6) / 5, abs=1e-12)
    assert aopc(values, [0, 1, 2], percents=(400,)) == pytest.approx(7, abs=1e-12)


@given(values=games)
def test_mean_aopc_over_all_orders_is_the_exact_expectation_of_a_random_order(values):
    n, everything = n_of(values), len(values) - 1
    for kind in ("comprehensiveness", "sufficiency"):
        found = np.mean([aopc(values, order, kind=kind) for order in permutations(range(n))])
        expected = np.mean(
            [
                np.mean([values[everything] - values[left] for left in of_size(n, k, kind)])
                for k in range(1, n + 1)
            ]
        )
        assert found == pytest.approx(expected, abs=1e-9)


def of_size(n, k, kind):
    size = k if kind == "sufficiency" else n - k
    return [sum(1 << i for i in kept) for kept in combinations(range(n), size)]


@pytest.mark.parametrize("order", [[0, 1], [0, 0, 1], [1, 2, 3]])
def test_aopc_refuses_an_order_that_is_not_of_the_spans(order):
    with pytest.raises(InvalidArgument, match="Give each span number"):
        aopc(GLOVE, order)


@pytest.mark.parametrize("percents", [(), (-1, 5)])
def test_aopc_refuses_percents_that_are_no_shares(percents):
    with pytest.raises(InvalidArgument, match="percents"):
        aopc(GLOVE, [0, 1, 2], percents=percents)


# --- predictions of removals


def test_lds_of_an_additive_game_is_one_and_minus_one_upside_down():
    values = game(4, lambda s: sum(0.1 * 3**i for i in s) - 5)
    a = [0.1 * 3**i for i in range(4)]
    assert lds(a, values) == pytest.approx(1, abs=1e-12)
    assert lds(np.negative(a), values) == pytest.approx(-1, abs=1e-12)


@given(values=games.filter(lambda v: len(v) >= 8), seed=st.integers(0, 99))
def test_lds_equals_spearman_of_the_summed_attribution(values, seed):
    n, rng = n_of(values), np.random.default_rng(seed)
    a = rng.normal(size=n)
    masks = rng.integers(1 << n, size=12).tolist()
    chosen = np.round([values[m] for m in masks], 6)
    predicted = [sum(a[i] for i in range(n) if m >> i & 1) for m in masks]
    found = lds(a, chosen, masks=masks)
    if np.ptp(chosen) == 0 or np.ptp(predicted) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(predicted, chosen).statistic, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "values"), [([0, 0, 0], GLOVE), ([1, 2, 3], [5.0] * 8), ([0.1, 0.2], [0.0, 1, 2, 3])]
)
def test_lds_is_missing_where_a_correlation_is_undefined(a, values):
    assert lds(a, values) is None


def test_equal_sums_in_another_order_are_ties():
    """0.1 + 0.2 + 0.3 depends on the order of summation; the ranks must not."""
    a = [0.1, 0.2, 0.3, 0.1 + 0.2]
    masks = [0b0011, 0b1000, 0b0100, 0b0111, 0b1100]
    assert lds(a, [1.0, 1.0, 1.0, 2.0, 2.0], masks=masks) == pytest.approx(1, abs=1e-12)


def test_infidelity_by_hand():
    values = game(2, lambda s: 3.0 * (0 in s) + 1.0 * (1 in s))
    assert infidelity([3, 1], values) == pytest.approx((0, 0), abs=1e-12)
    half = infidelity([1.5, 0.5], values)
    assert half == pytest.approx(((1.5**2 + 0.5**2 + 2**2) / 3, 0), abs=1e-12)
    assert infidelity([0, 0], values) == ((9 + 1 + 16) / 3, None)


@given(values=games, seed=st.integers(0, 99))
def test_rescaled_infidelity_is_that_of_the_best_factor(values, seed):
    a = np.random.default_rng(seed).normal(size=n_of(values))
    found = infidelity(a, values)
    assert found.rescaled <= found.raw + 1e-9
    for factor in (-2, 0, 0.5, 3):
        assert found.rescaled <= infidelity(factor * a, values).raw + 1e-9


def test_infidelity_of_masks_equals_that_of_the_table():
    a, rng = np.array([0.3, -0.1, 0.8]), np.random.default_rng(0)
    values = rng.normal(size=8)
    masks = list(range(8))
    found = infidelity(a, values, masks=masks, whole=float(values[7]))
    assert found == pytest.approx(infidelity(a, values))
    assert infidelity(a, [1.0], masks=[7], whole=1.0) is None


@pytest.mark.parametrize("whole", [None, float("nan")])
def test_infidelity_of_masks_needs_the_value_of_everything(whole):
    with pytest.raises(InvalidArgument, match="whole"):
        infidelity([1.0, 2.0], [0.0], masks=[1], whole=whole)


@pytest.mark.parametrize("measure", [lds, infidelity])
@pytest.mark.parametrize(
    ("a", "values", "masks"),
    [
        ([1, 2], GLOVE, None),
        ([1, 2, np.nan], GLOVE, None),
        ([1, 2, 3], [0.0, 1], [1]),
        ([1, 2, 3], [np.nan], [1]),
        ([1, 2, 3], [0.0], [8]),
    ],
)
def test_predictions_refuse_what_does_not_fit_together(measure, a, values, masks):
    options = {"whole": 1.0} if measure is infidelity else {}
    with pytest.raises(InvalidArgument):
        measure(a, values, masks=masks, **options)
