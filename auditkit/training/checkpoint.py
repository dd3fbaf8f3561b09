"""Checkpoints that a kill cannot damage and that continue bit-identically: safetensors plus one
JSON, no pickle.

A checkpoint is written into a temporary folder and renamed; the newest whole one is resumed. No
generator state is stored, for every step seeds its own generators. Source: spec of exact resume (40
steps = 20 + kill + 20).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from auditkit.canonical import canonical_json, read_json
from auditkit.errors import ConfigurationError

__all__ = ["load_checkpoint", "save_checkpoint"]

_KEPT = 2


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    state: Mapping[str, Any],
) -> None:
    """Write `step-NNNNNN` and forget all but the last two."""
    final = folder / f"step-{step:06d}"
    temporary = folder / f".writing-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    weights = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(weights, temporary / "weights.safetensors")
    moments = {
        f"{index}.{key}": value.contiguous()
        for index, entry in optimiser.state_dict()["state"].items()
        for key, value in entry.items()
    }
    save_file(moments, temporary / "optimiser.safetensors")
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
    optimiser: torch.optim.Optimizer,
    identity: Mapping[str, str],
) -> dict[str, Any] | None:
    """Restore the newest checkpoint into model and optimiser.

    Args:
        identity: hashes of recipe and data; a checkpoint of another run is refused.

    Returns:
        The stored state, or None where there is nothing to resume.

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
                f"{folder} holds a run with another {key.replace('_sha256', '')}. "
                "Give another --out folder, or delete this one to start again."
            )
    weights = load_file(found[-1] / "weights.safetensors")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(found[-1] / "optimiser.safetensors").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return state
