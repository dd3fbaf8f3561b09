"""DP-FedAvg of one round: clipped updates, equal weights, Gaussian noise, a fixed denominator.

The denominator is the expected number of clients, whatever number answered. A mean over the answers
would divide by less when clients drop out, so that each remaining client would weigh more than the
noise covers. No Flower is needed here.

Source: McMahan et al. 2018, Algorithm 1 with the estimator of a fixed denominator, flat clipping.
The paper weights clients by their number of examples, up to a bound; here all weights are 1,
because the number of examples is private.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument

__all__ = ["Update", "clipped", "noise_scale", "noisy_mean"]

Update: TypeAlias = Sequence[NDArray[np.floating]]
"""One array for each exchanged tensor: local weights minus global weights."""


def clipped(update: Update, *, clip_norm: float) -> list[NDArray[np.float64]]:
    """The update times min(1, C / its norm), with the L2 norm over all tensors together.

    An update that is not finite is replaced by zeros, which still depend only on its client.

    Args:
        update: tensors of one client, of any shapes.
        clip_norm: bound C, above 0.

    Returns:
        Tensors of the same shapes, whose norm is at most C up to rounding in float64.
    """
    wide = [np.asarray(tensor, dtype=np.float64) for tensor in update]
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.sqrt(sum(float(np.square(tensor).sum()) for tensor in wide)))
    if not np.isfinite(norm):
        return [np.zeros_like(tensor) for tensor in wide]
    factor = min(1.0, clip_norm / norm) if norm else 1.0
    return [tensor * factor for tensor in wide]


def noise_scale(
    *, noise_multiplier: float, clip_norm: float, expected_clients: float, rounds: int = 1
) -> float:
    """Standard deviation of the noise in every released weight after some rounds.

    It is z C sqrt(rounds) / (q N), because each round adds independent noise. It does not depend on
    how many clients answered.

    Args:
        noise_multiplier: z, standard deviation of the noise over the clipping norm.
        clip_norm: C.
        expected_clients: q N, the expected number of clients in a round, above 0.
        rounds: number of rounds.
    """
    return noise_multiplier * clip_norm * float(np.sqrt(rounds)) / expected_clients


def noisy_mean(
    updates: Sequence[Update],
    shapes: Sequence[tuple[int, ...]],
    *,
    clip_norm: float,
    noise_multiplier: float,
    expected_clients: float,
    rng: np.random.Generator,
) -> list[NDArray[np.float64]]:
    """(Sum of the clipped updates + N(0, z^2 C^2)) / (q N), also for a round without an answer.

    Adding or removing one client changes the sum by at most C in L2 norm.

    Args:
        updates: updates of the clients that answered, one of each client.
        shapes: shapes of the exchanged tensors.
        clip_norm: bound C of one client's update, above 0.
        noise_multiplier: z, at least 0; 0 adds no noise.
        expected_clients: q N, fixed before training. It is not the number of updates.
        rng: source of the noise.

    Returns:
        One tensor for each shape, to be added to the global weights.

    Raises:
        InvalidArgument: an update has other shapes, or a setting is out of range.
    """
    if clip_norm <= 0 or noise_multiplier < 0 or expected_clients <= 0:
        raise InvalidArgument(
            f"A round got clip_norm={clip_norm:g}, noise_multiplier={noise_multiplier:g}, "
            f"expected_clients={expected_clients:g}. Give positive values; only the noise may be 0."
        )
    total = [np.zeros(shape) for shape in shapes]
    for update in updates:
        if [tensor.shape for tensor in update] != list(shapes):
            raise InvalidArgument(
                "A client's update has other shapes than the global weights. Train the same "
                "model on every client."
            )
        for accumulated, tensor in zip(total, clipped(update, clip_norm=clip_norm), strict=True):
            accumulated += tensor
    noise = noise_multiplier * clip_norm
    return [(tensor + rng.normal(0.0, noise, tensor.shape)) / expected_clients for tensor in total]
