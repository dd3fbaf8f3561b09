"""Losses under adversarial perturbations of the prompt's embeddings (FGM, FreeLB).

The perturbation is added by a hook on the input embeddings, so it works for full models and LoRA.
It is treated as a constant in the gradients of the weights, and the perturbation of an example
depends on no other example.

Source: FGM (Miyato et al. 2017), FreeLB (Zhu et al. 2020, algorithm 1). Both papers perturb
normalized or all embeddings; here only the real tokens of the prompt are perturbed, and the radius
is stated in units of the mean embedding norm, so that it means the same for every model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from auditkit.errors import InvalidArgument

__all__ = ["perturbed_losses", "radius_of"]


def perturbed_losses(
    model: Any,
    losses: Callable[[], torch.Tensor],
    prompt: torch.Tensor,
    *,
    scale: float,
    steps: int = 1,
    inner: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> torch.Tensor:
    """Compute losses under an adversarial perturbation of the prompt's embeddings.

    The perturbation r is in the ball of radius epsilon and increases the loss. One step is FGM: r =
    epsilon g / |g| with the gradient g at r = 0. With more steps (FreeLB), r begins at a random
    point of the ball, and the losses at every point of the ascent are averaged.

    Args:
        model: a transformers model, which `losses` runs.
        losses: returns the losses [B] in nats; called `steps` times, or twice if `steps` is 1.
        prompt: bool [B, T], the tokens whose embeddings are perturbed.
        scale: relative radius of the ball, see `radius_of`; above 0.
        steps: number of gradient steps, at least 1.
        inner: context manager for the computation of g. Differentially private training passes one
            that records no per-example gradients.

    Returns:
        Losses [B] in nats.

    Raises:
        InvalidArgument: `scale` is not above 0, or `steps` is below 1.
    """
    if scale <= 0 or steps < 1:
        raise InvalidArgument(
            f"perturbed_losses got scale={scale} and steps={steps}. Give a scale above 0 and at "
            "least 1 step."
        )
    reader = model.get_encoder() if model.config.is_encoder_decoder else model
    table = reader.get_input_embeddings()
    epsilon = radius_of(table.weight, scale)
    mask = prompt[:, :, None].to(table.weight.dtype)
    offset = torch.zeros(*prompt.shape, table.weight.shape[1], device=mask.device, dtype=mask.dtype)
    if steps == 1:
        with inner(), _added(table, offset.requires_grad_()):
            (gradient,) = torch.autograd.grad(losses().sum(), offset)
        with _added(table, _scaled(gradient * mask, epsilon)):
            return losses()
    offset = _scaled(torch.rand_like(offset).sub(0.5) * mask, epsilon) * torch.rand(()).item()
    total = torch.zeros((), device=mask.device)
    for _ in range(steps):
        offset = offset.detach().requires_grad_()
        with _added(table, offset):
            found = losses()
        with inner():
            (gradient,) = torch.autograd.grad(found.sum(), offset, retain_graph=True)
        total = total + found / steps
        moved = offset.detach() + _scaled(gradient * mask, epsilon / steps)
        offset = moved * torch.clamp(epsilon / _norms(moved), max=1.0)
    return total


def radius_of(weights: torch.Tensor, scale: float) -> float:
    """Radius of the ball per example: `scale` times the mean norm of an embedding, divided by the
    square root of its width.

    Args:
        weights: [V, d].
    """
    norm = float(weights.detach().float().norm(dim=1).mean())
    return scale * norm / math.sqrt(weights.shape[1])


def _norms(offset: torch.Tensor) -> torch.Tensor:
    """Euclidean norm per example [B, 1, 1], never 0."""
    norms: torch.Tensor = offset.flatten(1).norm(dim=1).clamp(min=1e-12)
    return norms[:, None, None]


def _scaled(direction: torch.Tensor, length: float) -> torch.Tensor:
    """Scale each example's direction to this length; a zero direction stays zero."""
    return length * direction / _norms(direction)


@contextmanager
def _added(table: torch.nn.Module, offset: torch.Tensor) -> Iterator[None]:
    """Context manager that adds an offset to the embeddings of the first lookup. An encoder-decoder
    may use the same table again for its decoder, whose embeddings are not changed.
    """

    def add(_: torch.nn.Module, __: object, found: torch.Tensor) -> torch.Tensor:
        handle.remove()
        return found + offset

    handle = table.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
