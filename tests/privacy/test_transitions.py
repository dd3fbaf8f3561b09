"""Noisy transitions: sensitivity, noise, and the histories that are sampled from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from auditkit.errors import InvalidArgument
from auditkit.privacy.accounting import StepRun, epsilon_of
from auditkit.privacy.transitions import (
    Lags,
    NoisyTransitions,
    TransitionCounts,
    transition_counts,
)

LAGS = Lags(reach=3, decay=0.5)
PAIRS, ITEMS = 0.9**0.5, 0.1**0.5  # norms of a unit's transitions and of its items
histories = st.lists(
    st.lists(st.integers(0, 5), max_size=12).map(lambda items: np.array(items, dtype=np.int32)),
    min_size=1,
    max_size=6,
)


def counts(data, unit, **kwargs):
    return transition_counts(data, n_items=6, unit=unit, lags=LAGS, **kwargs)


def test_worked_example():
    one = np.array([0, 1, 2], dtype=np.int32)
    # Pairs 0-1 and 1-2 have weight 1 and 0-2 has weight 1/2: their norm is 3/2.
    found = counts([one], "user")
    assert found.n_units == 1
    assert found.matrix[0, 1] == found.matrix[1, 2] == pytest.approx(PAIRS * 2 / 3)
    assert found.matrix[0, 2] == pytest.approx(PAIRS / 3)
    # Item 1 follows with weight 1 and item 2 with 3/2: their norm is the root of 13/4.
    assert found.frequency[1] == pytest.approx(ITEMS * 1 / 3.25**0.5)
    assert found.frequency[2] == pytest.approx(ITEMS * 1.5 / 3.25**0.5)
    # As two targets, item 1 after 0, and item 2 after 1 and 0.
    found = counts([one], "target")
    assert found.n_units == 2
    assert found.matrix[0, 1] == pytest.approx(PAIRS)
    assert found.matrix[1, 2] == pytest.approx(PAIRS / 1.25**0.5)
    assert found.matrix[0, 2] == pytest.approx(PAIRS * 0.5 / 1.25**0.5)
    assert found.frequency[1] == found.frequency[2] == pytest.approx(ITEMS)


def test_windows_share_no_pair():
    items = np.array([0, 1, 2, 3, 4], dtype=np.int32)
    found = counts([items], "window", window=2)
    assert found.n_units == 2
    assert np.argwhere(found.matrix).tolist() == [[0, 1], [2, 3]]


@given(histories, st.sampled_from(["target", "window", "user"]))
def test_every_unit_has_norm_one(data, unit):
    """The counts are sums over units, so each one alone shows what its removal changes."""
    size = 4 if unit == "window" else 99
    parts = [h[b : b + size] for h in data for b in range(0, len(h), size)]
    if unit == "target":
        parts = [h[max(0, t - LAGS.reach) : t + 1] for h in data for t in range(1, len(h))]
        alone = []
        for part in parts:
            pairs = counts([part], "user").matrix if len(part) == 2 else None
            last = np.zeros((6, 6))
            for lag, weight in enumerate(LAGS.weights[: len(part) - 1], start=1):
                last[part[-1 - lag], part[-1]] += weight
            items = last.sum(axis=0) / np.linalg.norm(last.sum(axis=0))
            joint = np.vstack([PAIRS * last / np.linalg.norm(last), ITEMS * items])
            alone.append(joint)
            assert pairs is None or np.allclose(pairs, joint[:6])
    else:
        alone = [stacked(counts([part], "user")) for part in parts if len(part) > 1]
    found = counts(data, unit, window=4)
    assert found.n_units == len(alone)
    assert np.allclose(stacked(found), sum(alone, np.zeros((7, 6))))
    assert all(np.linalg.norm(one) == pytest.approx(1) for one in alone)


def stacked(found):
    return np.vstack([found.matrix, found.frequency])


def released(matrix, noise, seed=0):
    return NoisyTransitions.release(
        TransitionCounts(matrix, matrix.sum(axis=0), 1),
        noise_multiplier=noise,
        lags=LAGS,
        rng=np.random.default_rng(seed),
    )


def test_all_cells_get_noise_of_the_stated_size():
    """Of cells without any count, as many are above the threshold as the normal law says."""
    n = 400
    kept = int((released(np.zeros((n, n)), 2.0).weights > 0).sum())
    assert kept == pytest.approx(n * n * 3.167e-5, abs=4 * (n * n * 3.167e-5) ** 0.5)
    large = np.full((n, n), 1e6)
    noise = released(large, 2.0).weights * (large.sum(axis=1, keepdims=True) ** 0.5) - large
    # Float32 weights of a million have an error of .03, far below the noise.
    level = (noise**2).sum() / 4.0
    assert chi2.ppf(0.001, n * n) * 0.99 < level < chi2.ppf(0.999, n * n) * 1.01


def test_noise_is_that_of_the_gaussian_mechanism():
    """One step that samples every unit; the exact epsilon is that of Balle & Wang 2018."""
    from math import exp

    from scipy.optimize import brentq
    from scipy.stats import norm

    sigma, delta = 0.65, 1e-6
    exact = brentq(
        lambda e: (
            norm.cdf(0.5 / sigma - e * sigma) - exp(e) * norm.cdf(-0.5 / sigma - e * sigma) - delta
        ),
        0.1,
        50,
    )
    claimed = epsilon_of([StepRun(sigma, 1.0, 1)], delta=delta)
    assert exact - 1e-3 <= claimed <= exact + 0.03


def test_histories_follow_the_transitions_and_repeat_nothing():
    matrix = np.zeros((6, 6))
    matrix[np.arange(6), (np.arange(6) + 1) % 6] = 1e6
    drawn = released(matrix, 1e-3).sample(500, length=6, rng=np.random.default_rng(1))
    assert drawn.shape == (500, 6)
    assert all(len(set(row)) == 6 for row in drawn.tolist())
    following = (drawn[:, 1:] - drawn[:, :-1]) % 6 == 1
    assert following.mean() > 0.9
    first = np.bincount(drawn[:, 0], minlength=6)
    assert first.min() > 50  # every item begins about as often


def test_samples_do_not_depend_on_their_number():
    noisy = released(np.eye(6) * 9, 1.0)
    scores = noisy.scores(np.array([[0, 1], [2, 3]]))
    assert scores.shape == (2, 6)
    assert (scores > 0).all()
    assert noisy.frequency.sum() == pytest.approx(1)


@pytest.mark.parametrize("wrong", [{"n": 0, "length": 3}, {"n": 2, "length": 7}])
def test_impossible_samples_are_refused(wrong):
    noisy = released(np.eye(6), 1.0)
    with pytest.raises(InvalidArgument, match="Give at least 1 history"):
        noisy.sample(rng=np.random.default_rng(0), **wrong)


def test_catalogs_with_too_many_cells_are_refused():
    with pytest.raises(InvalidArgument, match="10,000 items"):
        transition_counts([], n_items=10_001, unit="user", lags=LAGS)
