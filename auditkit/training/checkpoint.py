"""Atomic checkpoints for bit-identical resume, stored as safetensors and one JSON file.

A checkpoint is written into a temporary folder and renamed, so training resumes from the newest
complete one after a kill. Generator states are not stored, because every step seeds its own
generators: 40 steps equal 20 steps, a kill, and 20 more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from auditkit.errors import ConfigurationError
from auditkit.serialization.canonical_json import canonical_json, read_json

__all__ = ["BestWeights", "load_checkpoint", "save_checkpoint"]

_KEPT = 2


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
) -> None:
    """Write the checkpoint `step-NNNNNN` and delete all but the two newest checkpoints."""
    final = folder / f"step-{step:06d}"
    temporary = folder / f".writing-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(_trained(model), temporary / "weights.safetensors")
    moments = {
        f"{index}.{key}": value.contiguous()
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }
    save_file(moments, temporary / "optimizer.safetensors")
    (temporary / "state.json").write_text(canonical_json({**state, "step": step}), encoding="ascii")
    for file in temporary.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    for old in sorted(folder.glob("step-*"))[:-_KEPT]:
        shutil.rmtree(old)


def load_checkpoint(
    folder: Path,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, str],
) -> dict[str, Any] | None:
    """Load the newest checkpoint into `model` and `optimizer`.

    Args:
        identity: hashes of recipe and data, which the checkpoint must have, too.

    Returns:
        The stored state, or None if there is no checkpoint.

    Raises:
        ConfigurationError: the folder belongs to another recipe or other data.
    """
    found = sorted(folder.glob("step-*"))
    if not found:
        return None
    state: dict[str, Any] = read_json((found[-1] / "state.json").read_text(encoding="ascii"))
    for key, value in identity.items():
        if state.get(key) != value:
            raise ConfigurationError(
                f"{folder} contains checkpoints of another training run (the hash of the "
                f"{key.removesuffix('_sha256')} differs). Give another --out folder, or delete "
                "this folder to start again."
            )
    _restore(model, found[-1] / "weights.safetensors")
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(found[-1] / "optimizer.safetensors").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return state


class BestWeights:
    """Weights with the best validation value so far, stored in a folder.

    Attributes:
        latest: last validation value.
        step: step of the best value, 0 before the first validation.
        misses: number of validations since the best value.
    """

    def __init__(self, folder: Path, state: Mapping[str, Any] | None) -> None:
        self._folder = folder
        stored = state or {}
        self._value: float | None = stored.get("value")
        self.step: int = stored.get("step", 0)
        self.misses: int = stored.get("misses", 0)
        self.latest = self._value

    @property
    def state(self) -> dict[str, Any] | None:
        """State to store in a checkpoint; None before the first validation."""
        if self._value is None:
            return None
        return {"value": self._value, "step": self.step, "misses": self.misses}

    def offer(self, value: float, step: int, model: torch.nn.Module) -> None:
        """Store the weights if this validation value is better than all previous ones."""
        self.latest = value
        if self._value is not None and value <= self._value:
            self.misses += 1
            return
        self._value, self.step, self.misses = value, step, 0
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".writing-{os.getpid()}"
        save_file(_trained(model), temporary)
        temporary.rename(self._folder / f"{step:06d}.safetensors")

    def restore(self, model: torch.nn.Module) -> None:
        """Load the best weights, if any were stored."""
        if self._value is not None:
            _restore(model, self._folder / f"{self.step:06d}.safetensors")


def _trained(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the trainable weights; frozen weights are stored with the base."""
    return {
        name: parameter.detach().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _restore(model: torch.nn.Module, path: Path) -> None:
    weights = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(weights[name])
