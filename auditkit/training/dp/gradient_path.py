"""Choice of the source of per-example gradients, and rejection of unsupported models.

`fast` supports only linear weights and costs about as much as an ordinary step; `hooks` also
supports other layers. A wrong per-example gradient raises no error and voids the privacy claim, so
every kind of parameter that is not tested to be exact is rejected by name before the first step.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

import torch

from auditkit.errors import ConfigurationError, MissingDependency
from auditkit.training.dp.linear_gradients import LinearGradients
from auditkit.training.dp.linear_layers import unsupported_parameter

__all__ = ["GradientPath", "GradientSource", "open_gradients"]

GradientPath = Literal["auto", "fast", "hooks"]


class GradientSource(Protocol):
    """Per-example gradients of the trainable parameters, in the order of `model.parameters()`."""

    @property
    def name(self) -> Literal["fast", "hooks"]:
        """Name of the gradient path, as recorded in the manifest."""

    def backward(self, total: torch.Tensor) -> list[torch.Tensor | None]:
        """Return the per-example gradients of a sum of losses, [B, ...] for each parameter.

        The entry is None for a parameter without gradients.
        """

    def paused(self) -> AbstractContextManager[None]:
        """Return a context in which the model computes ordinary gradients."""

    def close(self) -> None:
        """Restore the model."""


# Parts of the names of trainable parameters: what they belong to, and what to train instead.
_REFUSED_PARAMETERS = (
    ("lora_magnitude_vector", "DoRA", "LoRA without use_dora"),
    ("lora_embedding_", "LoRA on embeddings", "LoRA on linear layers"),
    ("trainable_tokens_", "trainable_token_indices", "LoRA on linear layers"),
    ("prompt_encoder", "Prompt and prefix tuning", "adapter {method: lora}"),
    ("relative_attention_bias", "Full training of T5", "LoRA on its q and v"),
)
_QUANTIZED = ("bitsandbytes", "torchao", "torch.ao", "auto_gptq", "gptqmodel", "awq", "hqq")
_WRAPPERS = ("DistributedDataParallel", "FullyShardedDataParallel", "DataParallel")


def open_gradients(model: torch.nn.Module, path: GradientPath) -> GradientSource:
    """Attach a source of per-example gradients to a model.

    Args:
        path: `auto` chooses `fast` if every trainable parameter is the unshared weight of a
            torch.nn.Linear, and `hooks` otherwise.

    Raises:
        ConfigurationError: the model or the path is not supported; the message names the parameter
            or setting.
        MissingDependency: Opacus is not installed and the path is `hooks`.
    """
    _require_supported(model)
    if path == "fast" or (path == "auto" and unsupported_parameter(model) is None):
        return LinearGradients(model)
    try:
        from auditkit.training.dp.hook_gradients import HookGradients
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "opacus", extra="train", purpose="Private training of weights outside of linear layers"
        ) from error
    return HookGradients(model)


def _require_supported(model: torch.nn.Module) -> None:
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise ConfigurationError(
            "The model has no trainable parameters (requires_grad is false for all). Add an "
            "adapter, or train all weights."
        )
    for part, what, instead in _REFUSED_PARAMETERS:
        if found := next((name for name in trainable if part in name), None):
            raise _refusal(what, f"parameter {found}", instead)
    for name, module in model.named_modules():
        origin = type(module)
        if origin.__name__ in _WRAPPERS:
            raise _refusal("Training on several processes", origin.__name__, "one process")
        if origin.__module__.startswith(_QUANTIZED):
            raise _refusal("A quantized base", f"module {name}", "the base in float32")
    if getattr(getattr(model, "config", None), "quantization_config", None) is not None:
        raise _refusal("A quantized base", "config.quantization_config", "the base in float32")
    dtypes = {parameter.dtype for parameter in model.parameters()}
    for name, parameter in model.named_parameters():
        if parameter.dtype not in (torch.float32, torch.float64) or len(dtypes) > 1:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise _refusal("Mixed precision", f"parameter {name} in {kind}", "a model in float32")


def _refusal(what: str, where: str, instead: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what} ({where}) is not supported in private training, because no test shows that its "
        f"per-example gradients are exact. Use {instead}."
    )
