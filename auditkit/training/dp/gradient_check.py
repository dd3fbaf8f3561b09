"""Checks, before the first step, that the clipped sum of gradients has bounded sensitivity.

S(D) is the sum of the units' gradients, each clipped to norm C. For C equal to half and to twice
the median gradient norm, and for every unit i of D, the checks are (a) sensitivity, ||S(D) - S(D
without i)|| <= C; (b) additivity, S(D) = S(D without i) + S({i}), with S({i}) from an independent
plain backward pass. Check (b) detects most errors: the relative error is 0.1 to 6 for a batch-mean
loss or for clipping of whole batches, and about 1e-7 for a correct loop. During the checks dropout
is off, and parameters that are all 0, such as the second factor of LoRA, get other values, because
zeros would hide the gradients of other parameters. Source: the sensitivity bound of DP-SGD (Abadi
et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch

from auditkit.errors import AuditkitError

__all__ = ["TOLERANCE", "ClippedSum", "SelfTest", "check_gradients", "comparable"]

TOLERANCE = 1e-4
_MOVED_BY = 0.02  # standard deviation
Unit = TypeVar("Unit")
Contravariant = TypeVar("Contravariant", contravariant=True)


class SelfTest(NamedTuple):
    """Largest relative additivity error, and sensitivity in clip norms (must be at most 1)."""

    additivity: float
    sensitivity: float


class ClippedSum(Protocol[Contravariant]):
    """Sum of the units' clipped gradients, one tensor per parameter."""

    def __call__(self, units: Sequence[Contravariant], /, *, clip: float) -> list[torch.Tensor]:
        """Sum the gradients of the units, each clipped to norm `clip`."""


def check_gradients(
    clipped_sum: ClippedSum[Unit],
    plain: Callable[[Unit], list[torch.Tensor]],
    units: Sequence[Unit],
) -> SelfTest:
    """Run the sensitivity and the additivity check, without noise.

    Args:
        plain: function that computes the gradient of one unit, alone, by an ordinary backward pass.
        units: a few units without private data.

    Raises:
        AuditkitError: the additivity error is above 1e-4, the sensitivity is above 1 + 1e-4 clip
            norms, or gradients are 0 or not finite, so that nothing can be checked.
    """
    alone = [plain(unit) for unit in units]
    norms = [_norm(gradient) for gradient in alone]
    if not (np.isfinite(norms).all() and min(norms) > 0):
        raise AuditkitError(
            f"The gradients of the privacy self-test are 0 or not finite (norms {min(norms):.3g} "
            f"to {max(norms):.3g}), so the test cannot check them. Check the model and the "
            "objectives."
        )
    misses, moves = [], []
    for clip in (0.5 * float(np.median(norms)), 2 * float(np.median(norms))):
        total = clipped_sum(units, clip=clip)
        for i, gradient in enumerate(alone):
            rest = clipped_sum([*units[:i], *units[i + 1 :]], clip=clip)
            factor = min(1.0, clip / (_norm(gradient) + 1e-6))
            moved = [t - r for t, r in zip(total, rest, strict=True)]
            miss = [m - factor * g for m, g in zip(moved, gradient, strict=True)]
            misses.append(_norm(miss) / (factor * _norm(gradient)))
            moves.append(_norm(moved) / clip)
    additivity, sensitivity = float(np.max(misses)), float(np.max(moves))
    if not (additivity <= TOLERANCE and sensitivity <= 1 + TOLERANCE):  # nan must fail too
        raise AuditkitError(
            f"The per-example gradients are not additive (relative error {additivity:.2g}, "
            f"sensitivity {sensitivity:.4g} clip norms). Use an objective whose examples are "
            "independent, or train a LoRA adapter on linear layers."
        )
    return SelfTest(additivity, sensitivity)


def _norm(tensors: Sequence[torch.Tensor]) -> float:
    return float(torch.stack([t.norm() for t in tensors]).norm())


@contextmanager
def comparable(model: torch.nn.Module) -> Iterator[None]:
    """Context in which gradients of the same record are equal and no parameter is all zeros.

    The model stays in training mode, which activation checkpointing and Opacus' hooks depend on, so
    the probabilities of dropout are set to 0. Weights and probabilities are restored at the end.
    """
    kept: list[tuple[dict[str, object], str, object]] = []
    for module in model.modules():
        attributes = vars(module)
        layer = isinstance(module, torch.nn.modules.dropout._DropoutNd)
        for name, value in list(attributes.items()):
            if isinstance(value, float) and ("drop" in name or (layer and name == "p")):
                kept.append((attributes, name, value))
                attributes[name] = 0.0
    generator = torch.Generator().manual_seed(0)
    zeros = [p for p in model.parameters() if p.requires_grad and not bool(p.detach().any())]
    try:
        with torch.no_grad():
            for parameter in zeros:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(_MOVED_BY * noise)
        yield
    finally:
        with torch.no_grad():
            for parameter in zeros:
                parameter.zero_()
        for attributes, name, value in kept:
            attributes[name] = value
