"""The realism check rejects users who always accept, and accepts resampled real logs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from session_worlds import WRONG, always_accept, real_users, resampled

from auditkit.errors import InvalidArgument
from auditkit.metrics.realism import JOINT, Session, check_users

N, DRAWS = 100, 199


def check(real, simulated, seed=0, **options):
    return check_users(real, simulated, rng=np.random.default_rng(seed), draws=DRAWS, **options)


def rejections(simulate, seeds):
    found = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        found += check(real_users(rng, N), simulate(rng, N), seed).rejected
    return found


def test_users_who_always_accept_are_rejected_in_95_of_100_seeds():
    assert rejections(always_accept, 100) >= 95


def test_resampled_real_logs_are_accepted_in_90_of_100_seeds():
    """Size over more seeds: tests/bench/realism_size.py."""
    rejected = rejections(lambda rng, n: resampled(rng, real_users(rng, 5 * n), n), 100)
    assert rejected <= 10


@pytest.mark.parametrize("name", WRONG)
def test_other_wrong_users_are_rejected(name):
    assert rejections(WRONG[name], 20) >= 18


def test_the_feature_that_differs_is_named():
    rng = np.random.default_rng(1)
    found = check(real_users(rng, N), always_accept(rng, N))
    accepts = found.differences["acceptance rate"]
    assert accepts.p_adjusted == found.p == 1 / (DRAWS + 1)
    assert accepts.simulated == 1
    assert accepts.difference.low > 0.4
    assert found.differences["length"].p_adjusted > 0.05


def test_joint_distance_sees_a_changed_dependence_with_the_same_margins():
    rng = np.random.default_rng(2)
    long, short = [Session(12, 12, 0), Session(4, 0, 0)], [Session(12, 0, 0), Session(4, 4, 0)]
    found = check(long * 50, short * 50)
    assert found.differences["length"].distance == pytest.approx(0)
    assert found.differences["acceptance rate"].distance == pytest.approx(0)
    assert found.differences[JOINT].p_adjusted <= 0.05
    assert found.rejected
    same = resampled(rng, long, 100)
    assert not check(long * 50, same).rejected


def test_distances_are_those_of_scipy():
    rng = np.random.default_rng(3)
    real, simulated = real_users(rng, 40), WRONG["stay twice as long"](rng, 60)
    found = check(real, simulated).differences
    own, other = ([one.length for one in log] for log in (real, simulated))
    assert found["length"].distance == pytest.approx(stats.ks_2samp(own, other).statistic)
    welch = stats.ttest_ind(other, own, equal_var=False).confidence_interval()
    assert found["length"].difference == pytest.approx((welch.low, welch.high))


def test_energy_distance_of_one_varying_feature_is_that_of_scipy():
    rng = np.random.default_rng(4)
    real, simulated = (
        [Session(int(n), 0, 0) for n in rng.integers(1, top, size=30)] for top in (9, 14)
    )
    values = [np.array([one.length for one in log], dtype=float) for log in (real, simulated)]
    spread = np.concatenate(values).std()
    expected = stats.energy_distance(*(own / spread for own in values)) ** 2
    assert check(real, simulated).differences[JOINT].distance == pytest.approx(expected)


def test_equal_logs_have_no_distance_and_order_of_logs_does_not_matter():
    log = real_users(np.random.default_rng(5), 30)
    other = real_users(np.random.default_rng(6), 40)
    assert check(log, log).p == 1
    distances = [
        {name: one.distance for name, one in check(*pair).differences.items()}
        for pair in ((log, other), (other, log))
    ]
    assert distances[0] == pytest.approx(distances[1])


@pytest.mark.parametrize(
    "session", [Session(0, 0, 0), Session(3, 4, 0), Session(3, 0, -1), Session(3, 0, 4)]
)
def test_impossible_sessions_are_reported(session):
    log = real_users(np.random.default_rng(7), 30)
    with pytest.raises(InvalidArgument, match="simulated session that is empty"):
        check(log, [*log, session])


def test_few_sessions_and_few_draws_are_reported():
    log = real_users(np.random.default_rng(8), 30)
    with pytest.raises(InvalidArgument, match=r"19 real sessions\. Give at least 20"):
        check(log[:19], log)
    with pytest.raises(InvalidArgument, match="at least 1 / alpha - 1 draws"):
        check(log, log, alpha=0.001)
