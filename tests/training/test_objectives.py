"""Every per-example objective: gradients depend neither on neighbours nor on being batched."""

from __future__ import annotations

import pytest
import torch
from small_world import world
from training_recipes import small_recipe

from auditkit.training.data import collate
from auditkit.training.loop import training_rows
from auditkit.training.model import attach_dropout, build_model
from auditkit.training.objectives import OBJECTIVES

PER_EXAMPLE = [name for name, objective in OBJECTIVES.items() if objective.per_example]


@pytest.fixture(scope="module")
def trained():
    recipe = small_recipe(dropout=0.0)
    rows = training_rows(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0).double()
    return model, rows.fixed_rows(), rows.tokenizer.pad_token_id


def gradient(model, loss):
    return torch.cat(
        [
            g.flatten()
            for g in torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        ]
    )


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_an_examples_gradient_does_not_change_with_its_neighbours(trained, name):
    model, rows, pad = trained
    losses = OBJECTIVES[name].losses
    left = losses(model, collate([rows[0], rows[1], rows[-1]], pad=pad))
    right = losses(model, collate([rows[0], rows[5], rows[-2]], pad=pad))
    torch.testing.assert_close(
        gradient(model, left[0]), gradient(model, right[0]), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_batched_gradients_equal_one_at_a_time_gradients(trained, name):
    model, rows, pad = trained
    losses = OBJECTIVES[name].losses
    chosen = [rows[0], rows[7], rows[-1]]
    batched = losses(model, collate(chosen, pad=pad))
    for i, row in enumerate(chosen):
        alone = losses(model, collate([row], pad=pad))
        torch.testing.assert_close(alone[0], batched[i], rtol=0, atol=1e-6)
        torch.testing.assert_close(
            gradient(model, alone[0]), gradient(model, batched[i]), rtol=0, atol=1e-6
        )


def test_language_model_equals_the_mean_cross_entropy_of_the_targets(trained):
    model, rows, pad = trained
    row = rows[3]
    (loss,) = OBJECTIVES["language_model"].losses(model, collate([row], pad=pad))
    logits = model(torch.tensor([row.ids])).logits[0, row.first_target - 1 : -1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(row.ids[row.first_target :]))
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)


def test_dropout_is_active_only_while_training(trained):
    recipe = small_recipe()
    rows = training_rows(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0)
    attach_dropout(model, 0.5)
    batch = collate(rows.fixed_rows()[:2], pad=rows.tokenizer.pad_token_id)
    losses = OBJECTIVES["language_model"].losses
    model.eval()
    torch.testing.assert_close(losses(model, batch), losses(model, batch), rtol=0, atol=0)
    model.train()
    assert not torch.equal(losses(model, batch), losses(model, batch))
