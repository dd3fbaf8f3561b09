"""Per-example gradients of any layer, from Opacus' hooks.

Hooks are used for models that train parameters other than linear weights. Opacus' ghost clipping is
not offered: it needs two backward passes, fails on tied weights, and clips nothing unless the loss
is computed by Opacus' criterion class.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from opacus.grad_sample.utils import prepare_module

from auditkit.errors import ConfigurationError

__all__ = ["HookGradients"]


class HookGradients:
    """Source of per-example gradients for every parameter that Opacus' hooks reach.

    Raises:
        ConfigurationError: the model recomputes activations in a way that bypasses the hooks.
    """

    name: Literal["hooks"] = "hooks"

    def __init__(self, model: torch.nn.Module) -> None:
        _require_reentrant(model)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._hooks = prepare_module(
            model, "hooks", wrap_model=False, loss_reduction="sum", strict=False
        )

    def close(self) -> None:
        """Remove the hooks from the model."""
        self._hooks.cleanup()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Context in which the model computes ordinary gradients; contexts may be nested."""
        enabled = self._hooks.hooks_enabled
        self._hooks.disable_hooks()
        try:
            yield
        finally:
            if enabled:
                self._hooks.enable_hooks()

    def backward(self, total: torch.Tensor) -> list[torch.Tensor | None]:
        """Run the backward pass of a sum of losses.

        Returns:
            Per-example gradients [B, ...] of every trainable parameter; None for a parameter for
            which the hooks did not record exactly one gradient per example.
        """
        self._clear()
        torch.autograd.backward(total)
        found = [getattr(p, "grad_sample", None) for p in self._parameters]
        self._clear()
        return [sample if isinstance(sample, torch.Tensor) else None for sample in found]

    def _clear(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None  # the hooks let autograd compute the ordinary gradient too
            parameter.grad_sample = None  # type: ignore[attr-defined]


def _require_reentrant(model: torch.nn.Module) -> None:
    """Reject non-reentrant activation checkpointing, under which the hooks record no gradient."""
    for path, module in model.named_modules():
        if not getattr(module, "gradient_checkpointing", False):
            continue
        chosen = getattr(getattr(module, "_gradient_checkpointing_func", None), "keywords", {})
        if chosen.get("use_reentrant") is not True:
            raise ConfigurationError(
                "privacy.gradient_path: hooks records no gradients under the non-reentrant "
                f"checkpointing of {path or 'the model'}. Set optimizer.checkpoint_activations to "
                "false, or train a LoRA adapter on linear layers, which uses the fast path."
            )
