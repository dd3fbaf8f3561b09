"""Round-trip check that loads the saved folder like an audit and compares it with the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from auditkit.catalog.dataset import Dataset
from auditkit.errors import AuditkitError
from auditkit.recommenders.adapters.dual_encoder import DualEncoder
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.model import Trainee

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Verification"]

_TOLERANCE = 1e-4  # relative to the largest logit; merging an adapter rounds once more


class Verification:
    """Records the initial weights and compares them after training."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._sums = {
            name: _digest(parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }

    def check(self, folder: Path, trainee: Trainee, dataset: Dataset) -> None:
        """Compare the outputs of the model and of the saved folder.

        Raises:
            AuditkitError: a trainable tensor did not change, or the saved folder has other outputs.
        """
        still = [
            name
            for name, parameter in trainee.model.named_parameters()
            if name in self._sums and _digest(parameter) == self._sums[name]
        ]
        if still:
            raise AuditkitError(
                f"Training did not change {len(still)} trainable tensors, including {still[0]}. "
                "Check adapter and objectives."
            )
        loaded = load_folder(folder, dataset)
        other = loaded.encoder if isinstance(loaded, DualEncoder) else loaded.model
        expected, found = (_outputs(model, trainee) for model in (trainee.model, other))
        difference = float((expected - found).abs().max())
        if not difference <= _TOLERANCE * max(1.0, float(expected.abs().max())):
            raise AuditkitError(
                f"The outputs of {folder} differ from those of the trained model by "
                f"{difference:.2g}. Do not use it; train again."
            )


def _digest(parameter: torch.Tensor) -> tuple[float, float]:
    values = parameter.detach().double()
    return float(values.sum()), float(values.square().sum())


def _outputs(model: PreTrainedModel, trainee: Trainee) -> torch.Tensor:
    """Logits or hidden states for a fixed row of tokens."""
    ids = torch.arange(3, min(40, len(trainee.tokenizer)))[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if trainee.kind == "seq2seq":
        inputs["decoder_input_ids"] = ids[:, :5]
    model.eval()
    with torch.inference_mode():
        output = model(**inputs)
    found: torch.Tensor = output.last_hidden_state if trainee.kind == "encoder" else output.logits
    return found
