"""Round-trip check: load the saved folder as an audit does and compare it with the trained
model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from auditkit.catalog.dataset import Dataset
from auditkit.errors import AuditkitError
from auditkit.recommenders.adapters.dual_encoder import DualEncoder
from auditkit.recommenders.adapters.folder_checks import agree, sample_outputs
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.model import Trainee

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Verification"]


class Verification:
    """Checks that training changed the weights and that the saved folder has the trained model."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._sums = {
            name: _digest(parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }

    def check(self, folder: Path, trainee: Trainee, dataset: Dataset) -> None:
        """Compare the trained model with its initial weights and with the saved folder.

        Raises:
            AuditkitError: a trainable tensor did not change, or the saved folder computes other
                outputs.
        """
        still = [
            name
            for name, parameter in trainee.model.named_parameters()
            if name in self._sums and _digest(parameter) == self._sums[name]
        ]
        if still:
            raise AuditkitError(
                f"Training did not change {len(still)} trainable tensors, including {still[0]}. "
                "Check the adapter and the objectives of the recipe."
            )
        loaded = load_folder(folder, dataset)
        other = loaded.encoder if isinstance(loaded, DualEncoder) else loaded.model
        expected, found = sample_outputs(trainee.model), sample_outputs(other)
        if not agree(found, expected):
            raise AuditkitError(
                f"The outputs of {folder} differ from those of the trained model by "
                f"{float((expected - found).abs().max()):.2g}. Do not use this folder; train "
                "again."
            )


def _digest(parameter: torch.Tensor) -> tuple[float, float]:
    values = parameter.detach().double()
    return float(values.sum()), float(values.square().sum())
