"""Adversary that predicts a user's attribute from hidden states, and its training objective.

The objective trains a soft prompt against the adversary: the prompt minimizes L_rec - weight *
min(L_adv, H(z)), and the adversary minimizes L_adv. L_adv is the cross-entropy of a two-layer
perceptron on the mean last-layer state over the tokens of a row. The cap at the entropy of the
labels, H(z), removes the prompt's gradient from L_adv once the adversary is at chance level.
Updates alternate: of every `turns` + 1 steps, the last one trains the prompt and the others train
the adversary, with separate gradients. Attribute leakage after training is measured with newly
trained attackers, not with this adversary.

Source: UP5 (Hua et al. 2024), counterfactually-fair prompts; the cap is our addition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.training.objectives import last_states
from auditkit.training.rows.batches import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from auditkit.training.model import Trainee
    from auditkit.training.recipe import TrainingRecipe
    from auditkit.training.rows.training_rows import TrainingRows

__all__ = ["ADVERSARIAL", "Adversary", "adversary_of", "mean_states"]

ADVERSARIAL = "adversarial_prompt"  # the objective


class Adversary(torch.nn.Module):
    """Network that predicts a label from the mean hidden state of a row.

    Args:
        width: dimension of the hidden states.
        counts: number of training users of every label.
        turns: number of adversary steps before each prompt step.
        seed: seed of the initial weights.
    """

    def __init__(self, width: int, counts: Sequence[int], *, turns: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, len(counts))
        )
        shares = [count / sum(counts) for count in counts if count]  # 0 log 0 is 0
        self.entropy = -sum(share * math.log(share) for share in shares)
        self._turns = turns

    def learns(self, step: int) -> bool:
        """Whether a step trains the adversary; otherwise it trains the prompt."""
        return step % (self._turns + 1) < self._turns

    def losses(self, model: PreTrainedModel, batch: Batch, *, learning: bool) -> torch.Tensor:
        """Loss of the network that the step trains; rows without a label have weight 0.

        Returns:
            Nats per row, [B]. With `learning` (adversary), the cross-entropy, at least 0. Otherwise
            (prompt), the negative cross-entropy, or minus the entropy of the labels, without a
            gradient, if the mean over the batch has reached this entropy.
        """
        labels = torch.full_like(batch.targets[:, 0], -1) if batch.labels is None else batch.labels
        known = labels >= 0
        with torch.set_grad_enabled(not learning and torch.is_grad_enabled()):
            states = mean_states(model, batch)
        # A step of the prompt must not update the adversary, so its weights are detached.
        weights = {
            name: weight if learning else weight.detach()
            for name, weight in self.net.named_parameters()
        }
        logits = functional_call(self.net, weights, (states,))
        losses = cross_entropy(logits, labels.clamp(min=0), reduction="none")
        # The loop divides by all rows of the batch, but the mean is over rows with a label.
        losses = torch.where(known, losses, 0.0) * (len(known) / known.sum().clamp(min=1))
        if learning:
            return losses
        defeated = float(losses.detach().mean()) >= self.entropy
        return 0 * losses - self.entropy if defeated else -losses


def mean_states(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Compute the mean last-layer state of each row, [B, d], without virtual tokens and padding."""
    width = batch.input_ids.shape[1]
    states = last_states(model, batch)[:, -width:]  # removes virtual tokens
    weights = batch.attention_mask[:, :, None].to(states.dtype)
    mean: torch.Tensor = (states * weights).sum(dim=1) / weights.sum(dim=1)
    return mean


def adversary_of(recipe: TrainingRecipe, trainee: Trainee, rows: TrainingRows) -> Adversary | None:
    """Build the adversary of a recipe; None if the recipe has no `adversary` section.

    Raises:
        ConfigurationError: fewer than two values of the attribute are known, or the model is not
            decoder-only.
    """
    if recipe.adversary is None:
        return None
    wanted, counts = recipe.adversary.attribute, rows.label_counts
    known = sorted({name for own in rows.dataset.interactions.attributes for name in own})
    if len(counts) < 2:
        hint = "" if wanted in known else did_you_mean(wanted, known)
        raise ConfigurationError(
            f"adversary.attribute {wanted} has {len(counts)} known values among the training "
            f"users, but the adversary needs at least two. Choose another attribute.{hint} "
            f"Attributes: {', '.join(known) or 'none'}."
        )
    if trainee.kind != "causal":
        raise ConfigurationError(
            "objectives.adversarial_prompt needs a decoder-only model, but model.base has the "
            f"type {trainee.kind}. Choose another base."
        )
    width = trainee.model.config.hidden_size
    return Adversary(width, counts, turns=recipe.adversary.turns, seed=recipe.seed)
