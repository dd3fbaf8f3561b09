"""Which trainable parameters are weights of linear layers that nothing else uses.

Only for these is the fast path of `linear_gradients` exact: a shared weight has a gradient from
elsewhere, and a subclass of a linear layer may compute something else.
"""

from __future__ import annotations

import torch

__all__ = ["linear_layers", "unsupported_parameter"]


def unsupported_parameter(model: torch.nn.Module) -> str | None:
    """Why the first trainable parameter is not the unshared weight of a linear layer.

    Returns:
        The parameter with the reason; None if every trainable parameter is supported.
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
    """Layers of the trainable weights, in the order of `model.parameters()`."""
    owner = {
        id(module.weight): module
        for module in model.modules()
        if type(module) is torch.nn.Linear and module.weight.requires_grad
    }
    return [owner[id(p)] for p in model.parameters() if p.requires_grad]
