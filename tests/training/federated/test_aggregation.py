"""Sum, noise and denominator of one round, against plain numpy and the claimed scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.training.federated.aggregation import clipped, noise_scale, noisy_mean

SHAPES = [(3, 4), (5,), ()]
FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
UPDATES = st.tuples(*(hnp.arrays(np.float32, shape, elements=FINITE) for shape in SHAPES))


def norm(update):
    return float(np.linalg.norm(np.concatenate([np.ravel(t).astype(np.float64) for t in update])))


def draw(n, *, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return [[scale * rng.normal(size=shape) for shape in SHAPES] for _ in range(n)]


def mean_of(updates, *, noise=0.0, expected=4.0, seed=0, clip=1.0):
    return noisy_mean(
        updates,
        SHAPES,
        clip_norm=clip,
        noise_multiplier=noise,
        expected_clients=expected,
        rng=np.random.default_rng(seed),
    )


def test_mean_without_noise_is_that_of_a_plain_reference():
    updates, clip, expected = draw(6), 1.7, 4.5
    flat = np.stack([np.concatenate([np.ravel(t) for t in u]) for u in updates])
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    reference = (flat / np.maximum(1.0, norms / clip)).sum(0) / expected
    found = np.concatenate([np.ravel(t) for t in mean_of(updates, expected=expected, clip=clip)])
    assert (norms > clip).any()
    np.testing.assert_allclose(found, reference, rtol=1e-12)


def test_noise_is_added_once_to_the_sum_and_divided_with_it():
    rng = np.random.default_rng(3)
    noise = [rng.normal(0.0, 0.8 * 1.5, shape) for shape in SHAPES]
    updates = draw(2, scale=0.01)
    found = mean_of(updates, noise=0.8, clip=1.5, seed=3)
    for tensor, one, two, added in zip(found, *updates, noise, strict=True):
        np.testing.assert_allclose(tensor, (one + two + added) / 4.0, rtol=1e-12)


@given(update=UPDATES, clip=st.floats(1e-3, 1e3))
def test_clipped_norm_is_at_most_the_bound_and_small_updates_stay(update, clip):
    found = clipped(update, clip_norm=clip)
    assert norm(found) <= clip * (1 + 1e-9)
    if norm(update) <= clip:
        for before, after in zip(update, found, strict=True):
            np.testing.assert_allclose(after, before.astype(np.float64), rtol=1e-12)


@given(update=UPDATES, clip=st.floats(1e-3, 1e3))
def test_clipping_keeps_the_direction_over_all_tensors_together(update, clip):
    found, size = clipped(update, clip_norm=clip), norm(update)
    if size > clip:
        for before, after in zip(update, found, strict=True):
            wanted = before.astype(np.float64) * (clip / size)
            np.testing.assert_allclose(after, wanted, rtol=1e-9)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e200])
def test_update_that_is_not_finite_is_replaced_by_zeros(wrong):
    update = draw(1)[0]
    update[0][1, 2] = wrong
    assert norm(clipped(update, clip_norm=1.0)) == 0.0


@given(
    updates=st.lists(UPDATES, min_size=1, max_size=5),
    dropped=st.integers(0, 4),
    clip=st.floats(1e-2, 10.0),
)
def test_a_dropout_removes_its_own_share_and_changes_no_other_weight(updates, dropped, clip):
    left = [u for i, u in enumerate(updates) if i != dropped % len(updates)]
    gone = mean_of([updates[dropped % len(updates)]], expected=5.0, clip=clip)
    everyone, others = (mean_of(u, expected=5.0, clip=clip) for u in (updates, left))
    for all_, without, own in zip(everyone, others, gone, strict=True):
        np.testing.assert_allclose(all_ - without, own, atol=1e-9 * clip)
    assert norm(gone) <= clip / 5.0 * (1 + 1e-9)  # sensitivity of the mean


def noise_of(mean, *, seeds, updates, noise, clip, expected):
    """Coordinates of the noise of many rounds, in units of the claimed scale."""
    claimed = noise_scale(noise_multiplier=noise, clip_norm=clip, expected_clients=expected)
    found = [mean(updates, noise=noise, clip=clip, expected=expected, seed=seed) for seed in seeds]
    return np.concatenate([np.ravel(t) for round_ in found for t in round_]) / claimed


def within_chi_square(values, *, p=1e-6):
    """Whether the variance of standard normal values with known mean 0 is plausible."""
    n, total = len(values), float(np.square(values).sum())
    return stats.chi2.ppf(p / 2, n) <= total <= stats.chi2.ppf(1 - p / 2, n)


STILL = [[np.zeros(shape) for shape in SHAPES]] * 8


@pytest.mark.parametrize("answered", [8, 7, 1, 0])
def test_noise_has_the_claimed_scale_whatever_number_of_clients_answers(answered):
    values = noise_of(
        mean_of, seeds=range(200), updates=STILL[:answered], noise=1.3, clip=0.7, expected=8.0
    )
    assert within_chi_square(values)


def divided_by_answers(updates, *, expected, **settings):
    """Planted fault: the mean over the clients that answered, as in federated averaging."""
    return mean_of(updates, expected=len(updates), **settings)


def test_division_by_the_number_that_answered_is_found_when_a_client_drops_out():
    settings = {"seeds": range(200), "noise": 1.3, "clip": 0.7, "expected": 8.0}
    assert within_chi_square(noise_of(divided_by_answers, updates=STILL, **settings))
    assert not within_chi_square(noise_of(divided_by_answers, updates=STILL[:7], **settings))
    # It also lets the remaining clients weigh more than the accountant assumes.
    large = draw(7, scale=100.0)
    for mean, most in ((mean_of, 1 / 8), (divided_by_answers, 1 / 7)):
        with_, without = (mean(u, noise=0.0, clip=1.0, expected=8.0) for u in (large, large[:6]))
        change = norm([a - b for a, b in zip(with_, without, strict=True)])
        assert (change <= 1 / 8 * (1 + 1e-9)) == (mean is mean_of), most


def test_noise_of_rounds_adds_up_in_variance():
    one = {"noise_multiplier": 2.0, "clip_norm": 0.5, "expected_clients": 4.0}
    assert noise_scale(**one) == 0.25
    assert noise_scale(**one, rounds=9) == pytest.approx(0.75)


@pytest.mark.parametrize("wrong", [{"clip": 0.0}, {"noise": -1.0}, {"expected": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="positive"):
        mean_of(draw(2), **wrong)


def test_updates_of_other_shapes_are_refused():
    with pytest.raises(InvalidArgument, match="other shapes"):
        mean_of([[np.zeros(3)]])
