"""Estimators on games whose Shapley and Banzhaf values are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from auditkit.attribution.estimators import (
    ESTIMATORS,
    Attribution,
    estimate,
    plan,
    ranking,
)
from auditkit.attribution.linear import lasso, ridge
from auditkit.attribution.masks import bits_of, every_mask, mask_of, paired_masks, uniform_masks
from auditkit.attribution.missing import Missing
from auditkit.attribution.shapley_sampling import orders
from auditkit.errors import InvalidArgument


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def additive(n: int) -> dict[int, float]:
    """v(S) = 1 + the sum of i - 1.5 over the kept spans i."""
    return {mask: 1 + sum(i - 1.5 for i in range(n) if mask >> i & 1) for mask in range(1 << n)}


def interacting(n: int, seed: int = 3) -> dict[int, float]:
    """An additive game with interactions of every order."""
    weights, noise = rng(seed).normal(size=n), rng(seed + 1).normal(size=1 << n) / 3
    return dict(enumerate((bits_of(every_mask(n), n) @ weights + noise).tolist()))


def run(name, known, n, *, seed=0, **options) -> Attribution | Missing:
    return estimate(plan(name, n, rng(seed), **options), known, rng(seed))


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "lasso"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 9])
def test_additive_games_are_explained_exactly(name, n):
    found = run(name, additive(n), n)
    np.testing.assert_allclose(found.values, np.arange(n) - 1.5, atol=1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_same_seed_gives_the_same_attribution(name):
    known = {mask: value - 9 for mask, value in interacting(9).items()}
    first, second = (run(name, known, 9, seed=4) for _ in range(2))
    assert first.values.tobytes() == second.values.tobytes()
    random = name not in ("loo", "banzhaf", "exact")
    assert (run(name, known, 9, seed=5).values.tobytes() != first.values.tobytes()) == random


@pytest.mark.parametrize("name", ["shapley", "kernelshap", "exact"])
def test_shapley_estimators_sum_to_the_whole_effect(name):
    known = interacting(8)
    found = run(name, known, 8, budget=40)
    assert found.values.sum() == pytest.approx(known[255] - known[0], abs=1e-9)


def test_estimators_converge_to_exact_values():
    known, n = interacting(8), 8
    exact, middle = run("exact", known, n).values, run("banzhaf", known, n).values
    for name, truth in (("shapley", exact), ("kernelshap", exact), ("linear", middle)):
        far, near = (
            np.mean([np.abs(run(name, known, n, seed=s, budget=b).values - truth).mean()
                     for s in range(20)])
            for b in (32, 200)
        )  # fmt: skip
        assert near < far / 1.5


def test_redundant_causes_share_the_effect_that_leave_one_out_does_not_see():
    known = {mask: float(bool(mask & 0b11)) for mask in range(1 << 9)}
    assert run("loo", known, 9).values.tolist() == [0.0] * 9
    for name in ("exact", "banzhaf"):
        np.testing.assert_allclose(run(name, known, 9).values, [0.5, 0.5] + [0] * 7, atol=1e-12)
    assert set(ranking(run("linear", known, 9).values)[:2]) == {0, 1}


def test_default_is_exact_when_the_budget_holds_a_full_table():
    assert plan("linear", 5, rng()).estimator == "banzhaf"
    assert plan("linear", 8, rng()).masks.__len__() == 32
    assert plan("linear", 10, rng()).masks.__len__() == 40
    assert run("linear", additive(5), 5).note == "deterministic"


def test_intervals_cover_exact_banzhaf_values():
    known, n = interacting(8), 8
    truth = run("banzhaf", known, n).values
    hits = []
    for seed in range(100):
        found = run("linear", known, n, seed=seed)
        hits += ((found.low <= truth) & (truth <= found.high)).tolist()
    assert 0.90 <= np.mean(hits) <= 0.99


def test_small_budgets_have_no_interval_and_still_rank():
    known, n = additive(9), 9
    for budget in (24, 12):
        found = run("linear", known, n, budget=budget)
        assert found.low is None
        assert found.note.startswith("no interval")
        assert ranking(found.values)[0] == 8


@given(st.integers(2, 12), st.integers(0, 99))
def test_paired_masks_are_distinct_complements_of_full_rank(n, seed):
    m = min(2 * (n + 1), 1 << n) if n > 2 else 4
    masks = paired_masks(n, m, rng(seed))
    assert len(set(masks)) == m
    assert all(a ^ b == (1 << n) - 1 for a, b in zip(masks[::2], masks[1::2], strict=True))
    assert np.linalg.matrix_rank(bits_of(masks, n) - 0.5) == n


@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 99))
def test_uniform_masks_avoid_the_given_ones(n, m, seed):
    barred = {0, (1 << n) - 1}
    masks = uniform_masks(n, m, rng(seed), without=barred)
    assert len(set(masks)) == len(masks) == min(m, (1 << n) - len(barred))
    assert not barred & set(masks)


def test_masks_can_be_kept_from_the_empty_history():
    masks = plan("linear", 8, rng(), min_kept=2).masks
    assert all(2 <= mask.bit_count() <= 6 for mask in masks)
    with pytest.raises(InvalidArgument, match="min_kept"):
        paired_masks(6, 32, rng(), min_kept=5)


def test_permutations_come_with_their_reverse_within_the_budget():
    paths = orders(10, 251, rng())
    assert all(a == b[::-1] for a, b in zip(paths[::2], paths[1::2], strict=True))
    assert len({mask_of(path[:k]) for path in paths for k in range(11)}) <= 251


def test_lasso_equals_that_of_scikit_learn():
    masks = uniform_masks(8, 32, rng())
    known = {mask: -5 + value for mask, value in interacting(8).items()}
    values = np.array([min(known[mask], -1e-12) for mask in masks])
    odds = (values - np.log1p(-np.exp(values))) / 4
    scaler = StandardScaler().fit(bits_of(masks, 8))
    fitted = Lasso(alpha=0.01, tol=1e-12, max_iter=100_000).fit(
        scaler.transform(bits_of(masks, 8)), odds
    )
    np.testing.assert_allclose(
        lasso(known, masks, 8, n_tokens=4), fitted.coef_ / scaler.scale_ * 4, atol=1e-8
    )


def test_ridge_shrinks_an_orthogonal_design_by_a_known_factor():
    masks = every_mask(4)
    shrunk = ridge(additive(4), masks, 4)
    np.testing.assert_allclose(shrunk, (np.arange(4) - 1.5) * (16 / 4) / (16 / 4 + 1))


def test_missing_values_leave_the_fit():
    known, n = additive(9), 9
    planned = plan("linear", n, rng())
    for mask in planned.masks[:3]:
        del known[mask]
    found = estimate(planned, known, rng())
    assert found.note == "no interval: fewer than 4n evaluations"
    assert ranking(found.values)[0] == 8
    assert isinstance(estimate(plan("exact", n, rng()), known, rng()), Missing)
    assert isinstance(estimate(planned, {}, rng()), Missing)
    del known[0]
    for name in ("kernelshap", "shapley"):
        assert "missing" in estimate(plan(name, n, rng()), known, rng()).reason


@pytest.mark.parametrize(("name", "n"), [("linear", 0), ("exact", 11), ("banzhaf", 30)])
def test_games_that_cannot_be_estimated_are_refused(name, n):
    with pytest.raises(InvalidArgument):
        plan(name, n, rng())


def test_ties_are_won_by_the_lower_position():
    assert ranking(np.array([1.0, 2.0, 2.0, 0.0])) == [1, 2, 0, 3]
    assert [*itertools.islice(ranking(np.zeros(3)), 2)] == [0, 1]
