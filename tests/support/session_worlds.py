"""Sessions of real users who differ from each other, and of users who are simulated badly."""

from __future__ import annotations

import numpy as np

from auditkit.metrics.realism import Session


def real_users(rng: np.random.Generator, n: int) -> list[Session]:
    """Users with their own patience and taste; who accepts more, stays longer."""
    taste = rng.beta(2, 3, n)
    length = 1 + rng.geometric(1 / (3 + 8 * taste))
    return sessions(length, rng.binomial(length, taste), rng.binomial(length - 1, 0.15))


def sessions(length, acceptances, repeats) -> list[Session]:
    table = np.column_stack((length, acceptances, repeats))
    return [Session(*row) for row in table.tolist()]


def resampled(rng: np.random.Generator, log: list[Session], n: int) -> list[Session]:
    """Sessions of a real log, drawn with replacement."""
    return [log[row] for row in rng.integers(len(log), size=n)]


def always_accept(rng: np.random.Generator, n: int) -> list[Session]:
    """Real users who accept whatever is shown."""
    return [one._replace(acceptances=one.length) for one in real_users(rng, n)]


def never_repeat(rng: np.random.Generator, n: int) -> list[Session]:
    """Real users who are never shown an item twice."""
    return [one._replace(repeats=0) for one in real_users(rng, n)]


def patient(rng: np.random.Generator, n: int) -> list[Session]:
    """Real users whose sessions are twice as long, with the same rates."""
    return [Session(2 * a, 2 * b, 2 * c) for a, b, c in real_users(rng, n)]


def fixed_length(rng: np.random.Generator, n: int) -> list[Session]:
    """Users of five turns with real rates."""
    log = real_users(rng, n)
    five = np.full(n, 5)
    return sessions(
        five,
        rng.binomial(5, [a / b for b, a, _ in log]),
        rng.binomial(5, [c / b for b, _, c in log]),
    )


WRONG = {
    "always accept": always_accept,
    "never see an item twice": never_repeat,
    "stay twice as long": patient,
    "always stay for five turns": fixed_length,
}
