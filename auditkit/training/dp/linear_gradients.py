"""Per-example gradients of linear layers, at about the cost of an ordinary backward pass.

The gradient of a weight is a sum over examples, G = sum_b sum_t g_bt x_bt^T. An autograd function
replaces the forward of each trainable layer. Its backward computes the same product without the sum
over b, stores the product, and returns only the gradient of the inputs. If a layer is used twice,
both products are added before any norm is computed. The function saves the same tensors as the
ordinary layer, so both kinds of activation checkpointing work: the backward runs once, on
recomputed tensors.

Gradients are stored only during `backward`, so gradients that an objective computes internally
(adversarial steps) are not recorded. Source: the outer-product form of per-example gradients
(Goodfellow 2015, "Efficient per-example gradient computations").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch.nn.functional import linear

from auditkit.errors import AuditkitError, ConfigurationError
from auditkit.training.dp.linear_layers import linear_layers, unsupported_parameter

__all__ = ["LinearGradients"]


class _Sink:
    """Per-example gradients [B, out, in] of one weight, stored while `recording` is true."""

    def __init__(self) -> None:
        self.recording = False
        self.value: torch.Tensor | None = None

    def add(self, outer: torch.Tensor, inputs: torch.Tensor) -> None:
        """Add sum_t outer_bt inputs_bt^T to the gradients; the first dimension is the batch."""
        n = len(outer)
        left = outer.reshape(n, -1, outer.shape[-1]).transpose(1, 2)
        product = left @ inputs.reshape(n, -1, inputs.shape[-1])
        if self.value is not None and len(self.value) != n:
            raise AuditkitError(
                f"A trained layer got batches of {len(self.value)} and {n} examples in one step, "
                "so its gradients cannot be separated by example. Make the batch the first "
                "dimension of every input of the layer."
            )
        self.value = product if self.value is None else self.value.add_(product)


class _RecordedLinear(torch.autograd.Function):
    """Linear layer whose backward stores the weight's gradient for every example."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        sink: _Sink,
    ) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.sink = sink
        return linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, None, None, None]:
        inputs, weight = ctx.saved_tensors
        if ctx.sink.recording:
            ctx.sink.add(outer[0], inputs)
        return outer[0] @ weight if ctx.needs_input_grad[0] else None, None, None, None


def _recorded(layer: torch.nn.Linear, sink: _Sink, input: torch.Tensor) -> torch.Tensor:
    """Replacement of `torch.nn.Linear.forward` that records gradients in `sink`."""
    arguments = input, layer.weight, layer.bias, sink
    found: torch.Tensor = _RecordedLinear.apply(*arguments)  # type: ignore[no-untyped-call]
    return found


class LinearGradients:
    """Source of per-example gradients for a model whose trainable parameters are linear weights.

    Raises:
        ConfigurationError: a trainable parameter is not the unshared weight of a linear layer.
    """

    name: Literal["fast"] = "fast"

    def __init__(self, model: torch.nn.Module) -> None:
        fault = unsupported_parameter(model)
        if fault is not None:
            raise ConfigurationError(
                f"privacy.gradient_path: fast cannot be used, because {fault}. Set "
                "privacy.gradient_path to auto or hooks, or train a LoRA adapter on linear layers."
            )
        self._layers = linear_layers(model)
        self._sinks = [_Sink() for _ in self._layers]
        self._attach()

    def _attach(self) -> None:
        for layer, sink in zip(self._layers, self._sinks, strict=True):
            vars(layer)["forward"] = partial(_recorded, layer, sink)

    def close(self) -> None:
        """Restore the original forward of every layer."""
        for layer in self._layers:
            vars(layer).pop("forward", None)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Context in which the model computes ordinary gradients; contexts may be nested."""
        attached = any("forward" in vars(layer) for layer in self._layers)
        self.close()
        try:
            yield
        finally:
            if attached:
                self._attach()

    def backward(self, total: torch.Tensor) -> list[torch.Tensor | None]:
        """Run the backward pass of a sum of losses.

        Returns:
            Per-example gradients [B, out, in] of every trainable weight; None for an unused weight.
        """
        for sink in self._sinks:
            sink.value, sink.recording = None, True
        try:
            torch.autograd.backward(total)
            return [sink.value for sink in self._sinks]
        finally:
            for sink in self._sinks:
                sink.value, sink.recording = None, False
