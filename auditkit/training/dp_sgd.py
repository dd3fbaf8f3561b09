"""DP-SGD: Poisson sampling, clipped and noised per-example gradients, and a ledger of all steps.

Per-example gradients come from Opacus' hooks. Clipping, summation and noise are implemented here in
60 lines, which are tested against Opacus' DPOptimizer and by the additivity self-test at every
start. Sampling and noise use the operating system's entropy and are never seeded, because a known
seed would cancel the noise. The claim is computed from the ledger, so steps lost in a kill are
included. Source: Abadi et al. 2016; accounting in `auditkit.privacy.accounting`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from opacus.grad_sample.utils import prepare_module

from auditkit.errors import AuditkitError, InvalidArgument
from auditkit.privacy.accounting import StepRun, epsilon_of, noise_for
from auditkit.serialization.canonical_json import canonical_json, read_json
from auditkit.training.batches import Row
from auditkit.training.gradient_check import SelfTest, check_gradients
from auditkit.training.recipe import PrivacyRecipe

__all__ = ["Accounting", "Ledger", "PrivateGradients", "Spent", "calibrate"]

LossFunction = Callable[[Sequence[Row]], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """Parameters fixed before training: sampling rate, noise multiplier and delta for `n_units`."""

    n_units: int
    sample_rate: float
    noise_multiplier: float
    delta: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Epsilon spent by the recorded `steps`: by PRV for the claim, by RDP for comparison."""

    epsilon: float
    epsilon_rdp: float
    steps: int


def calibrate(recipe: PrivacyRecipe, *, n_units: int, steps: int) -> Accounting:
    """Find the noise multiplier that meets the target epsilon, rounded up.

    Raises:
        InvalidArgument: the target cannot be met, or the expected batch exceeds the data.
    """
    if recipe.expected_batch > n_units:
        raise InvalidArgument(
            f"privacy.expected_batch {recipe.expected_batch} exceeds the {n_units} training "
            "rows. Choose a smaller batch."
        )
    rate, delta = recipe.expected_batch / n_units, 1 / (10 * n_units)
    noise = noise_for(recipe.epsilon, sample_rate=rate, steps=steps, delta=delta)
    return Accounting(
        n_units=n_units,
        sample_rate=rate,
        noise_multiplier=noise,
        delta=delta,
    )


class Ledger:
    """Append-only file with one line per step, written to disk before the weights change.

    The first line may contain the identity of the run, which `folder.open_ledger` writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def charge(self, *, noise_multiplier: float, sample_rate: float) -> None:
        """Record one step."""
        with self._path.open("a", encoding="ascii") as stream:
            stream.write(canonical_json({"sigma": noise_multiplier, "q": sample_rate}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def spent(self, delta: float) -> Spent:
        """Epsilon of all steps recorded so far.

        Source: `auditkit.privacy.accounting`.
        """
        text = self._path.read_text(encoding="ascii") if self._path.exists() else ""
        entries = [entry for entry in map(read_json, text.splitlines()) if "sigma" in entry]
        runs = [
            StepRun(noise, rate, len(list(equal)))
            for (noise, rate), equal in groupby((entry["sigma"], entry["q"]) for entry in entries)
        ]
        return Spent(
            epsilon=epsilon_of(runs, delta=delta),
            epsilon_rdp=epsilon_of(runs, delta=delta, accountant="rdp"),
            steps=len(entries),
        )


class PrivateGradients:
    """Fills `parameter.grad` with one private gradient per logical step.

    Args:
        model: every trainable parameter must get a per-example gradient from Opacus' hooks.
        losses: maps rows to a tensor [B]; the loss of an example must depend only on that example.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        losses: LossFunction,
        recipe: PrivacyRecipe,
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

    def step(self, rows: Sequence[Row]) -> None:
        """Set gradients to (clipped sum + N(0, sigma^2 C^2)) / (q N), also for an empty sample."""
        total = self.clipped_sum(rows, clip=self._clip)
        scale = self.accounting.noise_multiplier * self._clip
        expected = self.accounting.sample_rate * self.accounting.n_units
        for parameter, clipped in zip(self.parameters, total, strict=True):
            noise = torch.normal(0.0, scale, size=clipped.shape, generator=self._noise)
            parameter.grad = (clipped + noise.to(clipped)) / expected

    def clipped_sum(self, rows: Sequence[Row], *, clip: float) -> list[torch.Tensor]:
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

    def _per_example(self, rows: Sequence[Row]) -> list[torch.Tensor]:
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

    def self_test(self, rows: Sequence[Row]) -> SelfTest:
        """Check sensitivity and additivity before training, without noise.

        Args:
            rows: a few rows without private data.

        Raises:
            AuditkitError: the gradients do not satisfy the privacy claim.
        """
        return check_gradients(self.clipped_sum, self._plain, rows)

    def _plain(self, row: Row) -> list[torch.Tensor]:
        """Gradient of a row from an ordinary backward pass without hooks."""
        self._hooks.disable_hooks()
        try:
            gradients = torch.autograd.grad(self._losses([row]).sum(), self.parameters)
        finally:
            self._hooks.enable_hooks()
        return list(gradients)
