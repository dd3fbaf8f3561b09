"""Choice of the device that models run on."""

from __future__ import annotations

import os

import torch

from auditkit.errors import ConfigurationError

__all__ = ["chosen_device"]

_VARIABLE = "AUDITKIT_DEVICE"


def chosen_device() -> torch.device:
    """Return the device that AUDITKIT_DEVICE names; by default a GPU if there is one, else the CPU.

    Raises:
        ConfigurationError: torch cannot use the named device.
    """
    name = os.environ.get(_VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ConfigurationError(
            f"{_VARIABLE}={name} cannot be used ({reason}). Give cpu, cuda or cuda:N."
        ) from None
