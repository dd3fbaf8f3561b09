"""Accounting of federated training, and the privacy claim that it supports."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Protocol

from auditkit.privacy.accounting import delta_for, noise_for
from auditkit.recommenders.adapters.manifest import PrivacyClaim
from auditkit.training.dp.ledger import Accounting, Spent

__all__ = ["FederatedSettings", "federated_accounting", "federated_claim"]


class FederatedSettings(Protocol):
    """Settings of a federated training, see `auditkit.training.recipe.FederatedRecipe`."""

    @property
    def clients(self) -> int | None:
        """Number of clients; None if every user is a client."""

    @property
    def fraction(self) -> float:
        """Probability of every client in a round, in (0, 1]."""

    @property
    def records_per_round(self) -> int:
        """Largest number of rows that a client reads in a round."""

    @property
    def clip_norm(self) -> float:
        """Bound C on the norm of a client's update, above 0."""

    @property
    def epsilon(self) -> float | None:
        """Target epsilon; None if the noise multiplier is given."""

    @property
    def noise_multiplier(self) -> float | None:
        """Noise over the clipping norm; None if epsilon is given."""

    @property
    def delta(self) -> float | None:
        """Target delta; None means 1 / (10 N) for N clients."""

    @property
    def test_seed(self) -> int | None:
        """Seed of sampling and noise, for tests; the claim is then `none`."""


def federated_accounting(settings: FederatedSettings, *, n_clients: int, rounds: int) -> Accounting:
    """Noise multiplier and delta, by the accountants of DP-SGD with clients as units.

    A round is one Gaussian release of a sum with sensitivity C over Poisson-sampled clients, as a
    step of DP-SGD is over rows.

    Raises:
        InvalidArgument: epsilon cannot be met, or delta is 1 / N or more.
    """
    delta = delta_for(n_clients, stated=settings.delta)
    noise = settings.noise_multiplier
    if noise is None:
        noise = noise_for(
            settings.epsilon or 0.0, sample_rate=settings.fraction, steps=rounds, delta=delta
        )
    return Accounting(
        n_units=n_clients, sample_rate=settings.fraction, noise_multiplier=noise, delta=delta
    )


def federated_claim(
    settings: FederatedSettings,
    accounting: Accounting,
    spent: Spent,
    *,
    published: Sequence[str],
) -> PrivacyClaim:
    """The claim of a finished federated training.

    Args:
        spent: epsilon of all rounds in the ledger, also those of a stopped run.
        published: limits that follow from the rest of the recipe.
    """
    seeded = settings.test_seed is not None
    return PrivacyClaim(
        mechanism="dp_fedavg",
        claim="none" if seeded else "dp",
        reason="federated.test_seed fixes sampling and noise" if seeded else None,
        epsilon=spent.epsilon,
        epsilon_rdp=spent.epsilon_rdp,
        delta=accounting.delta,
        unit="user" if settings.clients is None else "client",
        n_units=accounting.n_units,
        records_per_unit=settings.records_per_round,
        adjacency="add_remove",
        sampling="all" if accounting.sample_rate == 1 else "poisson",
        sample_rate=accounting.sample_rate,
        steps=spent.steps,
        noise_multiplier=accounting.noise_multiplier,
        clip_norm=settings.clip_norm,
        gradient_path="none",
        self_test={},
        noise_source="test seed" if seeded else "numpy generator seeded from OS entropy",
        accountant=f"{spent.accountant}, opacus {version('opacus')}",
        libraries={name: version(name) for name in ("flwr", "numpy", "opacus", "torch")},
        not_covered=[*_of_clients(settings.clients), *published],
    )


def _of_clients(clients: int | None) -> list[str]:
    """Limits that follow from the protocol and from what a client is."""
    limits = [
        "the server, which sees the clipped update of every sampled client: there is no secure "
        "aggregation",
        "which clients answered, and when, for an observer of the network",
        "catalog items, which no user owns: their titles and attributes are public",
    ]
    if clients is not None:
        limits.append(
            "a single user of a client with several users: without the user, the client's update "
            "is another one instead of missing, so what holds is the claim of two clients: epsilon "
            "twice as large, and delta times 1 + e^epsilon"
        )
    return limits
