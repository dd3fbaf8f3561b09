"""How often 95 % intervals contain the truth, for each method and many kinds of populations.

Every proportion is of 400 samples, so its standard error is .011; the bound is two of them below
.95. Samples are drawn afresh, the same ones in every run.
"""

from __future__ import annotations

import numpy as np
import pytest

from auditkit.stats.bootstrap import (
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_statistic,
    paired_difference,
)
from auditkit.stats.rates import clustered_rate

SAMPLES, DRAWS = 400, 400
LEAST = 0.928
GAINS = 1 / np.log2(np.arange(2, 12))  # NDCG of one hit at places 1 to 10


def two(low, high, share):
    return lambda g, n: np.where(g.random(n) < share, high, low), low + (high - low) * share


def beta(a, b):
    return lambda g, n: g.beta(a, b, n), a / (a + b)


def gains(share):
    draw = lambda g, n: np.where(g.random(n) < share, g.choice(GAINS, n), 0.0)  # noqa: E731
    return draw, share * GAINS.mean()


def lists(share):
    """Shares of ten items each, with users who differ."""

    def draw(g, n):
        return g.binomial(10, g.beta(2 * share, 2 * (1 - share), n)) / 10

    return draw, share


LIMITED = {
    "constant": two(0.5, 0.5, 0),
    "rare faults": two(0.0, 0.5, 0.02),
    "rarely another value": two(0.2, 0.6, 0.03),
    "two values": two(0.2, 0.6, 0.3),
    "nearly all 1": two(0.4, 1.0, 0.97),
    "NDCG of few hits": gains(0.05),
    "NDCG": gains(0.3),
    "skewed": beta(0.1, 2),
    "even": beta(8, 2),
    "clustered": lists(0.05),
    "clustered, half": lists(0.5),
}
UNLIMITED = {
    "normal": (lambda g, n: g.normal(2, 1, n), 2.0),
    "exponential": (lambda g, n: g.exponential(1, n), 1.0),
    "counts": (lambda g, n: g.poisson(0.7, n).astype(float), 0.7),
    "two clusters": (lambda g, n: g.choice([-3.0, 4.0], n) + g.normal(0, 0.1, n), 0.5),
}


def covered(measure, draw, truth, n):
    """Share of samples whose interval contains the truth; one without ends contains everything."""
    generator, hits = np.random.default_rng(7), 0
    for _ in range(SAMPLES):
        estimate = measure(draw(generator, n), generator).estimate
        low = -np.inf if estimate.low is None else estimate.low - 1e-12
        high = np.inf if estimate.high is None else estimate.high + 1e-12
        hits += low <= truth <= high
    return hits / SAMPLES


def mean(values, generator, **settings):
    return bootstrap_mean(
        values, rng=generator, unit="x", direction="lower", draws=DRAWS, **settings
    )


@pytest.mark.parametrize("n", [5, 20, 60, 300])
@pytest.mark.parametrize("kind", LIMITED)
def test_mean_with_limits(kind, n):
    draw, truth = LIMITED[kind]
    measure = lambda values, g: mean(values, g, limits=(0, 1))  # noqa: E731
    assert covered(measure, draw, truth, n) >= LEAST


@pytest.mark.parametrize("n", [20, 60, 300])
@pytest.mark.parametrize("kind", UNLIMITED)
def test_mean_without_limits(kind, n):
    draw, truth = UNLIMITED[kind]
    assert covered(mean, draw, truth, n) >= LEAST


@pytest.mark.parametrize("n", [10, 60])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.3])
def test_paired_difference(share, n):
    def draw(g, n):
        before, flips = (g.random(n) < 0.4).astype(float), g.random(n) < share
        return np.stack([before, np.where(flips, 1 - before, before)])

    def measure(pairs, g):
        return paired_difference(
            *pairs, rng=g, unit="x", direction="lower", draws=DRAWS, limits=(0, 1)
        )

    assert covered(measure, draw, share * (0.6 - 0.4), n) >= LEAST


@pytest.mark.parametrize("n", [20, 100])
def test_ratio(n):
    def draw(g, n):
        rows = g.integers(1, 20, n)
        return np.stack([g.binomial(rows, 0.3), rows])

    def measure(pair, g):
        return bootstrap_ratio(*pair, rng=g, unit="x", direction="lower", draws=DRAWS)

    assert covered(measure, draw, 0.3, n) >= LEAST


@pytest.mark.parametrize("n", [20, 100])
def test_another_statistic(n):
    """Root mean square of normal numbers, as of errors in stars."""

    def measure(values, g):
        return bootstrap_statistic(
            n,
            lambda rows: np.sqrt((values[rows] ** 2).mean(axis=1)),
            rng=g, unit="x", direction="lower", draws=DRAWS,
        )  # fmt: skip

    assert covered(measure, lambda g, n: g.normal(0, 1, n), 1.0, n) >= LEAST - 0.02


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_clustered_rate(share, n):
    def draw(g, n):
        own = g.beta(4 * share, 4 * (1 - share), n)
        return (g.random((n, 5)) < own[:, None]).astype(int)

    def measure(rows, g):
        users = np.repeat(np.arange(len(rows)), 5).tolist()
        return clustered_rate(rows.ravel().tolist(), users, unit="x", direction="lower")

    assert covered(measure, draw, share, n) >= LEAST
