"""Epsilon of rounds against the exact one of Gaussian releases without sampling."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.privacy.accounting import StepRun
from auditkit.training.dp.ledger import spent_by
from auditkit.training.federated.claim import federated_accounting
from auditkit.training.recipe import FederatedRecipe


def exact_delta(epsilon, *, noise, rounds):
    """Delta of Gaussian releases with sensitivity 1 (Balle and Wang 2018, Theorem 8)."""
    mu = math.sqrt(rounds) / noise
    below, above = stats.norm.cdf(mu / 2 - epsilon / mu), stats.norm.cdf(-mu / 2 - epsilon / mu)
    return below - math.exp(epsilon) * above


@pytest.mark.parametrize(("noise", "rounds"), [(1.0, 3), (2.0, 10), (0.8, 1)])
def test_epsilon_without_sampling_is_that_of_gaussian_releases(noise, rounds):
    settings = FederatedRecipe(clients=8, noise_multiplier=noise)
    accounting = federated_accounting(settings, n_clients=8, rounds=rounds)
    assert (accounting.delta, accounting.noise_multiplier) == (pytest.approx(1 / 80), noise)
    spent = spent_by([StepRun(noise, 1.0, rounds)], delta=accounting.delta)
    assert exact_delta(spent.epsilon, noise=noise, rounds=rounds) <= accounting.delta
    assert exact_delta(0.98 * spent.epsilon, noise=noise, rounds=rounds) > accounting.delta


def test_target_epsilon_sets_the_noise_and_sampling_lowers_it():
    noise = {}
    for fraction in (1.0, 0.1):
        settings = FederatedRecipe(fraction=fraction, epsilon=2.0, delta=1e-4)
        accounting = federated_accounting(settings, n_clients=200, rounds=5)
        noise[fraction] = accounting.noise_multiplier
        run = StepRun(accounting.noise_multiplier, fraction, 5)
        assert 1.95 < spent_by([run], delta=1e-4).epsilon <= 2.0
    assert exact_delta(2.0, noise=noise[1.0], rounds=5) <= 1e-4
    assert noise[0.1] < noise[1.0] / 2


def test_delta_of_one_over_the_number_of_clients_is_refused():
    settings = FederatedRecipe(clients=8, noise_multiplier=1.0, delta=0.2)
    with pytest.raises(InvalidArgument, match="not below 1 / 8"):
        federated_accounting(settings, n_clients=8, rounds=3)
