"""Checks that the clipped sum of gradients has bounded sensitivity, run before the first step.

S(D) is the sum of the rows' gradients, each clipped to norm C. For C of half and twice the median
gradient norm and every row i of D, the checks are (a) sensitivity, ||S(D) - S(D without i)|| <= C;
(b) additivity, S(D) = S(D without i) + S({i}), with S({i}) from an independent plain backward pass.
Check (b) detects most errors: a batch-mean loss or batch clipping deviates by 0.1 to 6, a correct
loop by about 1e-7. Source: the sensitivity bound of DP-SGD (Abadi et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch

from auditkit.errors import AuditkitError

__all__ = ["TOLERANCE", "ClippedSum", "SelfTest", "check_gradients"]

TOLERANCE = 1e-4
Record = TypeVar("Record")
Contravariant = TypeVar("Contravariant", contravariant=True)


class SelfTest(NamedTuple):
    """Largest relative additivity error, and sensitivity in clip norms (must be at most 1)."""

    additivity: float
    sensitivity: float


class ClippedSum(Protocol[Contravariant]):
    """Sum of the rows' clipped gradients, one tensor per parameter."""

    def __call__(self, rows: Sequence[Contravariant], *, clip: float) -> list[torch.Tensor]:
        """Sum the gradients of the rows, each clipped to norm `clip`."""


def check_gradients(
    clipped_sum: ClippedSum[Record],
    plain: Callable[[Record], list[torch.Tensor]],
    rows: Sequence[Record],
) -> SelfTest:
    """Run both checks without noise.

    Args:
        plain: gradient of one row from an ordinary backward pass without hooks.
        rows: a few rows without private data.

    Raises:
        AuditkitError: additivity above 1e-4, or sensitivity above 1 + 1e-4 clip norms.
    """
    alone = [plain(row) for row in rows]
    median = float(np.median([_norm(gradient) for gradient in alone]))
    additivity = sensitivity = 0.0
    for clip in (0.5 * median, 2 * median):
        total = clipped_sum(rows, clip=clip)
        for i, gradient in enumerate(alone):
            rest = clipped_sum([*rows[:i], *rows[i + 1 :]], clip=clip)
            factor = min(1.0, clip / (_norm(gradient) + 1e-6))
            moved = [t - r for t, r in zip(total, rest, strict=True)]
            miss = [m - factor * g for m, g in zip(moved, gradient, strict=True)]
            own = max(factor * _norm(gradient), 1e-12)
            additivity = max(additivity, _norm(miss) / own)
            sensitivity = max(sensitivity, _norm(moved) / clip)
    if additivity > TOLERANCE or sensitivity > 1 + TOLERANCE:
        raise AuditkitError(
            f"The per-example gradients are not additive (relative error {additivity:.2g}, "
            f"sensitivity {sensitivity:.4g} clip norms). Use an objective whose examples are "
            "independent."
        )
    return SelfTest(additivity, sensitivity)


def _norm(tensors: Sequence[torch.Tensor]) -> float:
    return float(torch.stack([t.norm() for t in tensors]).norm())
