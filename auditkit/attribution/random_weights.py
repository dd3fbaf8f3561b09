"""Copies of a language model with random weights, from the output head down to the embedding.

Every tensor with at least two dimensions is sampled from a normal distribution with the standard
deviation of the tensor; vectors, such as the scales of norms, do not change. If the head shares its
weights with the embedding, the two are separated first. Source: cascading randomization of Adebayo
et al. 2018.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from auditkit.attribution.spans import masked
from auditkit.attribution.values import Game
from auditkit.engine.inference import Engine
from auditkit.recommenders.adapters.language_model import LanguageModel

__all__ = ["scores_of", "with_random_weights"]

_BLOCK = re.compile(r"\.(\d+)\.")


def with_random_weights(
    recommender: LanguageModel, rng: np.random.Generator, *, share: float = 1.0
) -> LanguageModel:
    """Copy a recommender with random weights; the original is not changed.

    Args:
        recommender: the model to copy.
        rng: generator for the weights.
        share: fraction of the cascade that is randomized, above 0; 1 for all weights. Smaller
            values do not change the embedding and the first blocks.
    """
    drawn = copy.copy(recommender)
    drawn.model = copy.deepcopy(recommender.model)
    _untie(drawn.model)
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    stages = _cascade(drawn.model)
    n_stages = max(1, round(share * len(stages)))
    with torch.no_grad():
        for parameter in (p for stage in stages[:n_stages] for p in stage):
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.copy_(noise.to(parameter) * parameter.float().std().to(parameter))
    drawn.engine = Engine(drawn.model)
    return drawn


def scores_of(recommender: LanguageModel, games: Sequence[Game], masks: Sequence[Sequence[int]]
) -> list[Mapping[int, float]]:  # fmt: skip
    """Compute log-probabilities of the explained items by mask, nats, without recording
    requests.
    """
    rows = [(game, mask) for game, own in zip(games, masks, strict=True) for mask in own]
    prompts = [recommender.render(masked(g.request, g.spans, m)) for g, m in rows]
    texts = [[recommender.reference(game.candidates[game.item])] for game, _ in rows]
    found: dict[int, dict[int, float]] = {id(game): {} for game in games}
    for (game, mask), row in zip(rows, recommender.score(prompts, texts), strict=True):
        if np.isfinite(row[0].total):
            found[id(game)][mask] = row[0].total
    return [found[id(game)] for game in games]


def _untie(model: PreTrainedModel) -> None:
    head = model.get_output_embeddings()
    embedding = model.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone())


def _cascade(model: PreTrainedModel) -> list[list[torch.nn.Parameter]]:
    """Group the model's matrices by stage: head and others, last to first block, embeddings."""
    embedding = model.get_input_embeddings().weight
    stages: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            continue
        block = _BLOCK.search(name)
        place = -1.0 if parameter is embedding else float(block[1]) if block else float("inf")
        stages.setdefault(place, []).append(parameter)
    return [stages[place] for place in sorted(stages, reverse=True)]
