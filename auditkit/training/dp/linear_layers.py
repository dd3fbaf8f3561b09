"""Check whether the trainable parameters are unshared weights of linear layers.

The fast path of `linear_gradients` is exact only for such weights: a shared weight gets gradients
from several layers, and a subclass of a linear layer may compute another function.
"""

from __future__ import annotations

import torch

__all__ = ["linear_layers", "unsupported_parameter"]


def unsupported_parameter(model: torch.nn.Module) -> str | None:
    """Find a trainable parameter that is not the unshared weight of a linear layer.

    Returns:
        The first such parameter with the reason, as the clause of a message; None if every
        trainable parameter is supported.
    """
    owners: dict[int, list[tuple[str, torch.nn.Module, str]]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                place = f"{path}.{name}" if path else name
                owners.setdefault(id(parameter), []).append((place, module, name))
    for found in owners.values():
        place, module, name = found[0]
        if len(found) > 1:
            return f"{place} is shared with {found[1][0]}"
        if type(module) is not torch.nn.Linear:
            return f"{place} belongs to a {type(module).__name__}, not to a torch.nn.Linear"
        if name != "weight":
            return f"{place} is the {name} of a linear layer, not its weight"
    return None


def linear_layers(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """Return the layers of the trainable weights, in the order of `model.parameters()`."""
    owner = {
        id(module.weight): module
        for module in model.modules()
        if type(module) is torch.nn.Linear and module.weight.requires_grad
    }
    return [owner[id(p)] for p in model.parameters() if p.requires_grad]
