"""DP-SGD: Poisson sampling, clipped and noised per-example gradients, and a ledger of all steps.

Per-example gradients come from Opacus' hooks. Clipping, summation and noise are implemented here in
60 lines, which are tested against Opacus' DPOptimizer and by the additivity self-test at every
start. Sampling and noise use the operating system's entropy and are never seeded, because a known
seed would cancel the noise. The claim is computed from the ledger, so steps lost in a kill are
included. Source: Abadi et al. 2016; accounting in `auditkit.privacy.accounting`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from opacus.grad_sample.utils import prepare_module

from auditkit.errors import AuditkitError
from auditkit.training.dp.gradient_check import SelfTest, check_gradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.dp.settings import PrivacySettings

__all__ = ["PrivateGradients"]

Record = TypeVar("Record")


class PrivateGradients(Generic[Record]):
    """Fills `parameter.grad` with one private gradient per logical step.

    Args:
        model: every trainable parameter must get a per-example gradient from Opacus' hooks.
        losses: maps rows to a tensor [B]; the loss of an example must depend only on that example.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        losses: Callable[[Sequence[Record]], torch.Tensor],
        recipe: PrivacySettings,
        accounting: Accounting,
    ) -> None:
        self._model, self._losses = model, losses
        self._clip, self._physical = recipe.clip_norm, recipe.physical_batch
        self.accounting = accounting
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self._hooks = prepare_module(
            model, "hooks", wrap_model=False, loss_reduction="sum", strict=False
        )
        self._entropy = np.random.default_rng()
        self._noise = torch.Generator().manual_seed(secrets.randbits(63))

    def close(self) -> None:
        """Remove the hooks from the model."""
        self._hooks.cleanup()

    def sample(self) -> list[int]:
        """Indices of the units in this step, each drawn independently at the sampling rate."""
        drawn = self._entropy.random(self.accounting.n_units) < self.accounting.sample_rate
        return [int(i) for i in np.flatnonzero(drawn)]

    def step(self, rows: Sequence[Record]) -> None:
        """Set gradients to (clipped sum + N(0, sigma^2 C^2)) / (q N), also for an empty sample."""
        total = self.clipped_sum(rows, clip=self._clip)
        scale = self.accounting.noise_multiplier * self._clip
        expected = self.accounting.sample_rate * self.accounting.n_units
        for parameter, clipped in zip(self.parameters, total, strict=True):
            noise = torch.normal(0.0, scale, size=clipped.shape, generator=self._noise)
            parameter.grad = (clipped + noise.to(clipped)) / expected

    def clipped_sum(self, rows: Sequence[Record], *, clip: float) -> list[torch.Tensor]:
        """Sum over rows of g * min(1, C / (||g|| + 1e-6)), with the norm over all parameters.

        A gradient that is not finite is replaced by zero, which still depends only on its row.
        """
        total = [torch.zeros_like(p) for p in self.parameters]
        for begin in range(0, len(rows), self._physical):
            samples = self._per_example(rows[begin : begin + self._physical])
            norms = torch.stack([s.flatten(1).norm(dim=1) for s in samples]).norm(dim=0)
            factors = (clip / (norms + 1e-6)).clamp(max=1.0)
            finite = torch.isfinite(norms)
            for accumulated, sample in zip(total, samples, strict=True):
                kept = torch.where(
                    finite.view(-1, *[1] * (sample.dim() - 1)), sample, torch.zeros_like(sample)
                )
                accumulated += torch.einsum("b,b...->...", torch.where(finite, factors, 0.0), kept)
        return total

    def _per_example(self, rows: Sequence[Record]) -> list[torch.Tensor]:
        self._clear()
        torch.autograd.backward(self._losses(rows).sum())
        samples = []
        for name, parameter in self._model.named_parameters():
            if not parameter.requires_grad:
                continue
            sample = getattr(parameter, "grad_sample", None)
            if sample is None or isinstance(sample, list) or sample.shape[0] != len(rows):
                raise AuditkitError(
                    f"Parameter {name} has no per-example gradient for a batch of {len(rows)}. "
                    "Train without privacy, or choose another architecture."
                )
            samples.append(sample.detach().float())
        self._clear()
        return samples

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
            parameter.grad_sample = None  # type: ignore[attr-defined]

    def self_test(self, rows: Sequence[Record]) -> SelfTest:
        """Check sensitivity and additivity before training, without noise.

        Args:
            rows: a few rows without private data.

        Raises:
            AuditkitError: the gradients do not satisfy the privacy claim.
        """
        return check_gradients(self.clipped_sum, self._plain, rows)

    def _plain(self, row: Record) -> list[torch.Tensor]:
        """Gradient of a row from an ordinary backward pass without hooks."""
        self._hooks.disable_hooks()
        try:
            gradients = torch.autograd.grad(self._losses([row]).sum(), self.parameters)
        finally:
            self._hooks.enable_hooks()
        return list(gradients)
