"""DP-SGD: clipped and noised gradients of Poisson-sampled units.

Per-example gradients come from `gradient_path`. The mean over a unit's records, clipping, summation
and noise are implemented here in 60 lines. Tests compare them with Opacus' DPOptimizer, and the
additivity self-test checks them at every start. Sampling and noise use the operating system's
entropy and are seeded only for tests, because a known seed would cancel the noise. Source: Abadi et
al. 2016; Charles et al. 2024 for users as units.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import torch

from auditkit.errors import AuditkitError
from auditkit.training.dp.gradient_check import SelfTest, check_gradients, comparable
from auditkit.training.dp.gradient_path import open_gradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.dp.settings import PrivacySettings
from auditkit.training.dp.units import UnitSampler, packed

__all__ = ["PrivateGradients", "StepStatistics"]

Record = TypeVar("Record")


class StepStatistics(NamedTuple):
    """Statistics of a step, computed from private records; no privacy claim covers them.

    Attributes:
        units, rows: number of sampled units, and number of their records.
        loss: mean loss of the records in nats; None for an empty step.
        norm: mean norm of the units' gradients before clipping; None for an empty step.
        clipped: fraction of units whose gradient was clipped; None for an empty step.
    """

    units: int
    rows: int
    loss: float | None
    norm: float | None
    clipped: float | None


class PrivateGradients(Generic[Record]):
    """Computes a private gradient in every logical step and stores it in `parameter.grad`.

    Args:
        model: in training mode; see `gradient_path` for what it may train.
        losses: maps records to a tensor [B] in nats; the loss of a record must depend only on it.

    Raises:
        ConfigurationError: the model is not supported.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        losses: Callable[[Sequence[Record]], torch.Tensor],
        settings: PrivacySettings,
        accounting: Accounting,
    ) -> None:
        self._model, self._losses = model, losses
        self._clip, self._physical = settings.clip_norm, settings.physical_batch
        self.accounting = accounting
        self._names = [name for name, p in model.named_parameters() if p.requires_grad]
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self._source = open_gradients(model, settings.gradient_path)
        # Objectives read it, to keep the batch dimension and to pause it in adversarial steps.
        object.__setattr__(model, "per_example_gradients", self._source)
        seed = settings.test_seed
        self._sampler = UnitSampler(
            sample_rate=accounting.sample_rate,
            records_per_unit=settings.records_per_unit,
            seed=seed,
        )
        self._noise = torch.Generator().manual_seed(secrets.randbits(63) if seed is None else seed)

    @property
    def path(self) -> Literal["fast", "hooks"]:
        """Name of the source of per-example gradients."""
        return self._source.name

    def close(self) -> None:
        """Restore the model."""
        self._source.close()
        vars(self._model).pop("per_example_gradients", None)

    def sample(self) -> list[int]:
        """Sample the indices of this step's units, each independently at the sampling rate."""
        return self._sampler.indices(self.accounting.n_units)

    def records(self, unit: Sequence[Record]) -> list[Record]:
        """Sample at most `records_per_unit` records of a sampled unit."""
        return self._sampler.records(unit)

    def step(self, units: Sequence[Sequence[Record]]) -> StepStatistics:
        """Set gradients to (clipped sum + N(0, sigma^2 C^2)) / (q N), even if no unit is sampled.

        Args:
            units: records of every sampled unit; may be empty.
        """
        total, statistics = self._clipped(units, clip=self._clip)
        scale = self.accounting.noise_multiplier * self._clip
        expected = self.accounting.sample_rate * self.accounting.n_units
        for parameter, clipped in zip(self.parameters, total, strict=True):
            noise = torch.normal(0.0, scale, size=clipped.shape, generator=self._noise)
            parameter.grad = (clipped + noise.to(clipped)) / expected
        return statistics

    def clipped_sum(self, units: Sequence[Sequence[Record]], *, clip: float) -> list[torch.Tensor]:
        """Sum over units of g * min(1, C / (||g|| + 1e-6)), with the norm over all parameters.

        The gradient g of a unit is the mean over its records. A gradient that is not finite is
        replaced by zero; the contribution of the unit then still depends only on this unit.

        Raises:
            AuditkitError: no gradient is finite.
        """
        return self._clipped(units, clip=clip)[0]

    def _clipped(
        self, units: Sequence[Sequence[Record]], *, clip: float
    ) -> tuple[list[torch.Tensor], StepStatistics]:
        total = [torch.zeros_like(p) for p in self.parameters]
        losses, norms = [torch.zeros(0)], [torch.zeros(0)]
        for batch in packed(units, self._physical):
            values, samples = self._per_unit(batch)
            norm = torch.stack([s.flatten(1).norm(dim=1) for s in samples]).norm(dim=0)
            finite = torch.isfinite(norm)
            factors = torch.where(finite, (clip / (norm + 1e-6)).clamp(max=1.0), 0.0)
            if not bool(finite.all()):
                samples = [s[finite] for s in samples]
                factors = factors[finite]
            for accumulated, sample in zip(total, samples, strict=True):
                accumulated += (factors @ sample.flatten(1)).view_as(accumulated)
            losses.append(values.cpu())
            norms.append(norm.cpu())
        return total, _statistics(torch.cat(losses), torch.cat(norms), clip)

    def _per_unit(
        self, batch: Sequence[Sequence[Record]]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the losses of the records, [B], and each parameter's mean gradients, [units,
        ...].
        """
        sizes = [len(unit) for unit in batch]
        values, samples = self._per_example([record for unit in batch for record in unit])
        if max(sizes) == 1:
            return values, samples
        counts = torch.tensor(sizes, device=values.device)
        owner = torch.arange(len(sizes), device=values.device).repeat_interleave(counts)
        means = []
        for sample in samples:
            sums = sample.new_zeros(len(sizes), *sample.shape[1:]).index_add(0, owner, sample)
            means.append(sums / counts.view(-1, *[1] * (sample.dim() - 1)))
        return values, means

    def _per_example(self, records: Sequence[Record]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the losses of the records, [B], and each parameter's gradients, [B, ...], in
        float32.
        """
        device = self.parameters[0].device.type
        if not self._model.training or torch.is_autocast_enabled(device):
            raise AuditkitError(
                "Private gradients were requested in evaluation mode or under autocast, where "
                "they are not exact. Call model.train() and turn mixed precision off."
            )
        self._clear()
        values = self._losses(records)
        if values.shape != (len(records),):
            raise AuditkitError(
                f"An objective returned losses of shape {list(values.shape)} for {len(records)} "
                "records. Return one loss per record."
            )
        if not values.requires_grad:  # no record has anything to learn from
            return values, [p.new_zeros(len(records), *p.shape) for p in self.parameters]
        found = self._source.backward(values.sum())
        samples = []
        for name, parameter, sample in zip(self._names, self.parameters, found, strict=True):
            if sample is None or sample.shape != (len(records), *parameter.shape):
                raise AuditkitError(
                    f"Parameter {name} has no per-example gradient for a batch of {len(records)}. "
                    "Train a LoRA adapter on linear layers, or train without privacy."
                )
            if parameter.grad is not None:
                raise AuditkitError(
                    f"Parameter {name} is used outside its layer, so its per-example gradient is "
                    "incomplete. Set privacy.gradient_path to hooks, or train without privacy."
                )
            samples.append(sample.detach().float())
        return values.detach().float(), samples

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def self_test(self, units: Sequence[Sequence[Record]]) -> SelfTest:
        """Check sensitivity and additivity before training, without noise and dropout.

        Args:
            units: a few units without private data.

        Raises:
            AuditkitError: the gradients do not satisfy the privacy claim.
        """
        with comparable(self._model):
            return check_gradients(self.clipped_sum, self._plain, units)

    def _plain(self, unit: Sequence[Record]) -> list[torch.Tensor]:
        """Gradient of a unit's mean loss, from an ordinary backward pass."""
        self._clear()
        with self._source.paused():
            torch.autograd.backward(self._losses(unit).mean())
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        self._clear()
        return found


def _statistics(losses: torch.Tensor, norms: torch.Tensor, clip: float) -> StepStatistics:
    finite = norms[torch.isfinite(norms)]
    if not len(norms):
        return StepStatistics(0, 0, None, None, None)
    if not len(finite):
        raise AuditkitError(
            f"All {len(norms)} gradients of a training step are infinite or NaN. Lower "
            "optimizer.learning_rate and train again."
        )
    clipped = float((finite > clip).float().mean())
    return StepStatistics(
        len(norms), len(losses), float(losses.mean()), float(finite.mean()), clipped
    )
