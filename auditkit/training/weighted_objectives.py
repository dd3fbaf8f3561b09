"""Weighted objectives of a recipe as one module, whose backward pass synchronizes processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from auditkit.errors import AuditkitError, ConfigurationError
from auditkit.seeding import generator
from auditkit.training.attribute_adversary import ADVERSARIAL, Adversary
from auditkit.training.model import Trainee
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import PerturbationRecipe, TrainingRecipe
from auditkit.training.rows.batches import (
    AnyRow,
    Masked,
    Pair,
    Row,
    collate,
    collate_masked,
    collate_pairs,
)

__all__ = ["Weighted", "backward", "on_device", "total_loss"]


class Weighted(torch.nn.Module):
    """Module that computes the losses of several objectives and contains all trainable weights.

    Args:
        adversary: adversary of objective `adversarial_prompt`; in its steps, no other loss is
            computed.
        perturbation: settings of objective `embedding_adversarial`; None for its defaults.
    """

    def __init__(
        self,
        trainee: Trainee,
        objectives: Mapping[str, float],
        device: torch.device,
        adversary: Adversary | None = None,
        perturbation: PerturbationRecipe | None = None,
    ) -> None:
        super().__init__()
        self._settings: dict[str, dict[str, Any]] = {}
        if perturbation is not None:
            self._settings["embedding_adversarial"] = perturbation.model_dump()
        self.model, self.adversary = trainee.model, adversary
        self._pad = trainee.tokenizer.pad_token_id
        self._encoder_decoder = trainee.kind == "seq2seq"
        self._objectives, self._device = objectives, device

    def forward(self, rows: Sequence[AnyRow], step: int = 0) -> dict[str, torch.Tensor]:
        """Compute the losses of every objective in a step, nats, [number of rows of the objective]
        each.
        """
        batches: dict[type, Any] = {}
        found = {}
        learning = self.adversary is not None and self.adversary.learns(step)
        for name in (ADVERSARIAL,) if learning else self._objectives:
            objective = OBJECTIVES[name]
            chosen = [row for row in rows if isinstance(row, objective.kind)]
            if chosen:
                if objective.kind not in batches:
                    batches[objective.kind] = self._collated(objective.kind, chosen)
                batch = batches[objective.kind]
                if self.adversary is not None and name == ADVERSARIAL:
                    found[name] = self.adversary.losses(self.model, batch, learning=learning)
                else:
                    settings = self._settings.get(name, {})
                    found[name] = objective.losses(self.model, batch, **settings)
        return found

    def losses(self, rows: Sequence[Row]) -> torch.Tensor:
        """Compute the weighted sum over objectives of the losses [B] of rows."""
        total = torch.zeros(len(rows), device=self._device)
        for name, values in self(rows).items():
            total = total + self._objectives[name] * values
        return total

    def _validate_length(self, batch: Any) -> None:
        """Reject rows that are longer than the model's context."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        longest = batch[0].shape[1]
        if limit and longest > limit and not self._encoder_decoder:
            raise ConfigurationError(
                f"A training row has {longest} tokens, but the model's context is {limit}. Raise "
                "model.context, or lower data.window."
            )

    def _collated(self, kind: type, rows: Sequence[Any]) -> Any:
        if kind is Pair:
            batch: Any = collate_pairs(rows, pad=self._pad)
        elif kind is Masked:
            batch = collate_masked(rows, pad=self._pad)
        else:
            batch = collate(rows, pad=self._pad, encoder_decoder=self._encoder_decoder)
        self._validate_length(batch)
        return on_device(self._device, batch)


def on_device(device: torch.device, batch: Any) -> Any:
    """Return the batch with its tensors moved to a device."""
    if device.type == "cpu":
        return batch
    moved = (
        value.to(device)
        if isinstance(value, torch.Tensor)
        else on_device(device, value)
        if isinstance(value, tuple)
        else value
        for value in batch
    )
    return type(batch)(*moved)


def backward(
    recipe: TrainingRecipe,
    module: torch.nn.Module,
    rows: Sequence[AnyRow],
    accelerator: Accelerator,
    step: int,
) -> dict[str, float]:
    """Compute the gradients of a step's mean loss; return the mean loss of each objective.

    Every process computes its share of the rows in `accumulation` parts; each loss is divided by
    the number of rows in the whole step, over all processes.
    """
    rank, world = accelerator.process_index, accelerator.num_processes
    parts = [rows[i :: recipe.optimizer.accumulation] for i in range(recipe.optimizer.accumulation)]
    sums: dict[str, torch.Tensor] = {}
    for number, part in enumerate(parts):
        place = () if number == rank == 0 else (number, rank)
        torch.manual_seed(int(generator(recipe.seed, "step", step, *place).integers(2**62)))
        with accelerator.autocast():
            losses = module(part[rank::world], step)
        total = torch.zeros((), device=accelerator.device)
        for name, values in losses.items():
            share = values.sum() / sum(isinstance(row, OBJECTIVES[name].kind) for row in rows)
            sums[name] = sums.get(name, torch.zeros_like(share)) + share.detach()
            total = total + recipe.objectives[name] * share
        # Gradients are averaged over processes, so multiply by their number to get the sum.
        torch.autograd.backward(total * world)
    if world > 1:
        names = list(recipe.objectives)
        stacked = torch.stack(
            [sums.get(name, torch.zeros((), device=accelerator.device)) for name in names]
        )
        sums = dict(zip(names, accelerator.reduce(stacked, "sum"), strict=True))
    return {name: float(value) for name, value in sums.items()}


def total_loss(recipe: TrainingRecipe, means: Mapping[str, float], step: int) -> float:
    """Compute the loss of a step in nats: the weighted sum of the objectives' mean losses.

    Raises:
        AuditkitError: the loss is not finite.
    """
    loss = sum(recipe.objectives[name] * value for name, value in means.items())
    if not np.isfinite(loss):
        raise AuditkitError(
            f"The loss of step {step} is {loss}. Lower optimizer.learning_rate and train again."
        )
    return loss
