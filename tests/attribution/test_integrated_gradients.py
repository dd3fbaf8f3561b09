"""Integrated gradients on tiny models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_recommenders import Clean
from small_folder import ITEMS, save
from small_world import world

from auditkit.attribution.integrated_gradients import integrated_gradients, token_positions
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import spans_of
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.types import Request

HISTORY = (*ITEMS[:3], ITEMS[1], ITEMS[1])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models that read items as tokens, and as titles."""
    tokens = load_folder(save(tmp_path_factory.mktemp("tokens")), world())
    titles = load_folder(
        save(tmp_path_factory.mktemp("titles"), style="generate", with_items=False)
    )
    return tokens, titles


@pytest.mark.parametrize("which", [0, 1])
def test_tokens_of_spans_are_found_even_if_titles_repeat(models, which):
    recommender = models[which]
    request = Request(user_id="1", history=HISTORY, k=3)
    text = recommender.reference(ITEMS[9])
    places = token_positions(recommender, request, spans_of(request), text)
    ids, _ = recommender.token_ids(recommender.render(request), text)
    alone = [
        recommender.tokenizer.convert_ids_to_tokens([ids[p] for p in place]) for place in places
    ]
    assert len({p for place in places for p in place}) == sum(map(len, places))
    for item, tokens in zip(HISTORY, alone, strict=True):
        shown = recommender.tokenizer.convert_tokens_to_string(tokens)
        assert recommender.reference(item) in shown or item.title in shown


@pytest.mark.parametrize("which", [0, 1])
def test_integrated_gradients_are_complete(models, which):
    request = Request(user_id="1", history=HISTORY, k=3)
    found = integrated_gradients(models[which], request, spans_of(request), ITEMS[9])
    assert found.gap <= 0.05 or found.steps == 128
    assert np.abs(found.values).max() > 0.01


def test_tokens_that_attention_does_not_read_get_nothing(models):
    """Without attention, only the last prompt token matters, and it is not in a span."""
    recommender = models[0]
    stored = {name: value.clone() for name, value in recommender.model.state_dict().items()}
    with torch.no_grad():
        for name, value in recommender.model.named_parameters():
            if "o_proj" in name:
                value.zero_()
    request = Request(user_id="1", history=HISTORY[:3], k=3, instruction="{history} next:")
    found = integrated_gradients(recommender, request, spans_of(request), ITEMS[9])
    recommender.model.load_state_dict(stored)
    np.testing.assert_allclose(found.values, 0, atol=1e-9)


def test_models_without_gradients_are_missing():
    request = Request(user_id="1", history=HISTORY)
    found = integrated_gradients(Clean(), request, spans_of(request), ITEMS[9])
    assert found == Missing("this method needs a local language model")
