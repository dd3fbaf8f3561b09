"""Integrated gradients of a local model, summed over the tokens of each span.

The path leads from the prompt with the tokens of all spans replaced by the padding token to the
prompt itself. The gradient of the summed log-probability of the item's tokens is integrated along
this path. The tokens of the item are fixed, so one path of 32 steps is enough for all of them.
Completeness is checked: the attribution of all tokens must equal the change of the log-probability.
Source: Sundararajan et al. 2017, by Captum's LayerIntegratedGradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import Span, masked
from auditkit.errors import MissingDependency
from auditkit.types import Item, Request

if TYPE_CHECKING:
    import torch

    from auditkit.recommenders.adapters.language_model import LanguageModel

__all__ = ["PathAttribution", "integrated_gradients", "token_positions"]

_STEPS = (32, 64, 128)
LARGEST_GAP = 0.05


@dataclass(frozen=True, eq=False)
class PathAttribution:
    """Integrated gradients of every span.

    Attributes:
        values: effect of every span, [n], nats.
        steps: number of points on the path.
        gap: completeness gap, |sum over tokens - change of the log-probability| / |change|; above
            0.05, the path is too coarse for exact values.
    """

    values: NDArray[np.float64]
    steps: int
    gap: float


def integrated_gradients(
    recommender: object, request: Request, spans: Sequence[Span], item: Item
) -> PathAttribution | Missing:
    """Attribute an item's log-probability to spans; Missing unless the model is a local decoder.

    The number of steps is doubled up to 128 while the completeness gap exceeds 5 %.

    Raises:
        MissingDependency: the extra `explain` is not installed.
    """
    from auditkit.recommenders.adapters.language_model import LanguageModel

    if not isinstance(recommender, LanguageModel):
        return Missing("this method needs a local language model")
    if recommender.manifest.kind != "causal":
        return Missing("this method needs a decoder-only model")
    text = recommender.reference(item)
    prompt, target = recommender.token_ids(recommender.render(request), text)
    places = token_positions(recommender, request, spans, text)
    if places is None:
        return Missing("the tokens of a span cannot be separated from the rest of the prompt")
    base = list(prompt)
    for position in sorted({p for place in places for p in place}):
        base[position] = _pad(recommender)
    for steps in _STEPS:
        by_token, gap = _path(recommender.model, prompt, base, target, steps)
        if gap <= LARGEST_GAP:
            break
    values = np.array([sum(by_token[p] for p in place) for place in places])
    return PathAttribution(values, steps, gap)


def token_positions(
    recommender: LanguageModel, request: Request, spans: Sequence[Span], text: str
) -> list[list[int]] | None:
    """Find the positions of every span's tokens in the prompt by leaving out the span.

    None if leaving out a span does not just remove consecutive tokens from the prompt.

    The removed tokens are often ambiguous, because separators repeat; of the possible positions,
    the first that does not overlap an earlier span is returned.
    """
    whole, _ = recommender.token_ids(recommender.render(replace(request, prompt="")), text)
    everything, taken = (1 << len(spans)) - 1, set[int]()
    places = []
    for i in range(len(spans)):
        without = recommender.render(masked(request, spans, everything ^ 1 << i))
        left, _ = recommender.token_ids(without, text)
        n_gone = len(whole) - len(left)
        start = _common(whole[::-1], left[::-1])
        begin = len(whole) - start - n_gone
        if n_gone <= 0 or begin < 0 or list(whole[:begin]) != list(left[:begin]):
            return None
        end = begin + n_gone
        while taken & set(range(begin, end)) and end < len(whole) and whole[begin] == whole[end]:
            begin, end = begin + 1, end + 1
        place = [p for p in range(begin, end) if p not in taken]
        taken.update(place)
        places.append(place)
    return places


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _pad(recommender: LanguageModel) -> int:
    tokenizer = recommender.tokenizer
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, 0)
    return next(token for token in known if token is not None)


def _path(
    model: torch.nn.Module, prompt: list[int], base: list[int], target: list[int], steps: int
) -> tuple[list[float], float]:
    """Compute the attribution of every prompt token, nats, and the completeness gap."""
    try:
        import torch
        from captum.attr import LayerIntegratedGradients
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="explain", purpose="Attribution") from None

    device = next(model.parameters()).device

    def logp(ids: torch.Tensor) -> torch.Tensor:
        logits = model(input_ids=ids, use_cache=False).logits
        predicting = logits[:, -len(target) - 1 : -1].double().log_softmax(dim=-1)
        picked: torch.Tensor = predicting.gather(2, ids[:, -len(target) :, None])
        return picked[:, :, 0].sum(dim=1)

    ids = torch.tensor([prompt + target], device=device)
    baseline = torch.tensor([base + target], device=device)
    with torch.no_grad():
        change = float(logp(ids) - logp(baseline))
    method = LayerIntegratedGradients(logp, model.get_input_embeddings())  # type: ignore[operator]
    found = method.attribute(ids, baselines=baseline, n_steps=steps, internal_batch_size=8)
    by_token = [float(value) for value in found[0].sum(dim=-1)]
    gap = abs(sum(by_token) - change) / abs(change) if change else float(any(by_token))
    return by_token[: len(prompt)], gap
