"""The plain executor on a real tiny model."""

from __future__ import annotations

import pytest
import torch

from auditkit.engine.forward import Generated, generate
from auditkit.training.model import build_model
from auditkit.training.recipe import ModelRecipe
from auditkit.training.tokenizer import build_tokenizer

PROMPTS = [[5, 6, 7], [8, 9]]
LIMIT = 8


@pytest.fixture(scope="module")
def model():
    size = ModelRecipe(width=16, layers=1, heads=2, mlp=32, text_vocabulary=300)
    built = build_model(size, build_tokenizer([], ["a b"], vocabulary=300), seed=1).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4)
    built.generation_config.eos_token_id = -1
    return built


@pytest.fixture
def endless(model):
    return generate(model, PROMPTS, max_new_tokens=LIMIT)


def test_row_without_an_end_token_is_cut_at_the_limit(endless):
    assert all(row.cut and len(row.ids) == LIMIT for row in endless)


def test_row_that_ends_is_whole_beside_one_that_is_cut(model, endless, monkeypatch):
    # A token that the first prompt's text holds and the second one's does not ends the first.
    end = next(token for token in endless[0].ids if token not in endless[1].ids)
    monkeypatch.setattr(model.generation_config, "eos_token_id", end)
    first, second = generate(model, PROMPTS, max_new_tokens=LIMIT)
    assert first == Generated(endless[0].ids[: endless[0].ids.index(end)], cut=False)
    assert second == endless[1]


def test_row_that_ends_on_the_last_token_is_whole(model, endless, monkeypatch):
    end = next(token for token in endless[0].ids if token not in endless[1].ids)
    monkeypatch.setattr(model.generation_config, "eos_token_id", end)
    limit = endless[0].ids.index(end) + 1
    assert [row.cut for row in generate(model, PROMPTS, max_new_tokens=limit)] == [False, True]
