"""Perturbed losses equal FGM and FreeLB computed by hand on the embeddings."""

from __future__ import annotations

import pytest
import torch
from small_world import world
from training_recipes import rows_of, small_model, small_recipe

from auditkit.engine.embedding_perturbation import perturbed_losses, radius_of
from auditkit.errors import InvalidArgument
from auditkit.training.model import prepare
from auditkit.training.objectives import embedding_adversarial, language_model
from auditkit.training.rows.batches import NO_TARGET, collate
from auditkit.training.rows.training_rows import TrainingRows


@pytest.fixture(scope="module")
def case():
    """A small model in float64 without dropout, a batch, and the tokens of its prompts."""
    tasks = {"recommend": 3, "rating": 1}
    recipe = small_recipe(
        dropout=0.0, tasks=tasks,
        model=small_model(dropout=0.0, context=512, text_vocabulary=600, indexing="item"),
    )  # fmt: skip
    trainee = prepare(recipe, world(), base=None)
    rows = next(TrainingRows.batches(rows_of(recipe, world()), tasks, first_step=0))
    batch = collate(rows, pad=trainee.tokenizer.pad_token_id)
    prompt = batch.attention_mask.bool()
    predicted = batch.targets != NO_TARGET
    prompt[:, -predicted.shape[1] :] &= ~predicted
    return trainee.model.double().eval(), batch, prompt


def by_hand(model, batch, prompt, offset):
    """Losses with an offset, computed from `inputs_embeds`, and their gradient at the offset."""
    offset = offset.clone().requires_grad_()
    words = model.get_input_embeddings()(batch.input_ids).detach() + offset
    positions = (batch.attention_mask.cumsum(dim=1) - 1).clamp(min=0)
    logits = model(
        inputs_embeds=words, attention_mask=batch.attention_mask, position_ids=positions
    ).logits
    losses = []
    for row in range(len(words)):
        n = int((batch.targets[row] != NO_TARGET).sum())
        table = logits[row, -n - 1 : -1].log_softmax(dim=1)
        losses.append(-table.gather(1, batch.targets[row, -n:, None]).mean())
    losses = torch.stack(losses)
    (gradient,) = torch.autograd.grad(losses.sum(), offset)
    return losses.detach(), gradient * prompt[:, :, None]


def unit(direction):
    return direction / direction.flatten(1).norm(dim=1)[:, None, None]


def test_one_step_is_fgm(case):
    model, batch, prompt = case
    zero = torch.zeros(*prompt.shape, model.config.hidden_size, dtype=torch.float64)
    clean, gradient = by_hand(model, batch, prompt, zero)
    epsilon = radius_of(model.get_input_embeddings().weight, 0.5)
    expected, _ = by_hand(model, batch, prompt, epsilon * unit(gradient))
    found = embedding_adversarial(model, batch, scale=0.5)
    torch.testing.assert_close(found.detach(), expected)
    assert bool((found > clean).all())


def test_without_a_hook_left_the_model_is_as_before(case):
    model, batch, _ = case
    before = language_model(model, batch)
    embedding_adversarial(model, batch, scale=2.0, steps=3)
    torch.testing.assert_close(language_model(model, batch), before)
    assert not model.get_input_embeddings()._forward_hooks


def test_the_gradient_of_the_weights_is_that_of_a_constant_offset(case):
    model, batch, prompt = case
    weight = next(p for name, p in model.named_parameters() if "mlp" in name)
    (found,) = torch.autograd.grad(embedding_adversarial(model, batch, scale=0.5).sum(), weight)
    zero = torch.zeros(*prompt.shape, model.config.hidden_size, dtype=torch.float64)
    _, gradient = by_hand(model, batch, prompt, zero)
    offset = radius_of(model.get_input_embeddings().weight, 0.5) * unit(gradient)
    table = model.get_input_embeddings()
    handle = table.register_forward_hook(lambda _, __, words: words + offset)
    (expected,) = torch.autograd.grad(language_model(model, batch).sum(), weight)
    handle.remove()
    torch.testing.assert_close(found, expected)


def test_targets_and_padding_are_never_moved(case):
    model, batch, prompt = case
    seen = []

    def losses():
        table = model.get_input_embeddings()
        words = table(batch.input_ids)  # the first look-up, with the offset
        seen.append((words - table.weight[batch.input_ids]).detach())
        handle = table.register_forward_hook(lambda _, __, found: words)
        try:
            return language_model(model, batch)
        finally:
            handle.remove()

    perturbed_losses(model, losses, prompt, scale=1.0, steps=3)
    epsilon = radius_of(model.get_input_embeddings().weight, 1.0)
    assert len(seen) == 3
    for offset in seen:
        assert not bool((offset[~prompt].abs() > 1e-12).any())
        assert bool((offset.flatten(1).norm(dim=1) <= epsilon * (1 + 1e-9)).all())
    assert seen[1].abs().max() > 0


def test_more_steps_average_the_losses_of_the_ascent(case):
    model, batch, prompt = case
    torch.manual_seed(3)
    found = embedding_adversarial(model, batch, scale=0.5, steps=2).detach()
    torch.manual_seed(3)
    epsilon = radius_of(model.get_input_embeddings().weight, 0.5)
    start = torch.zeros(*prompt.shape, model.config.hidden_size, dtype=torch.float64)
    offset = epsilon * unit(torch.rand_like(start).sub(0.5) * prompt[:, :, None])
    offset = offset * torch.rand(()).item()
    first, gradient = by_hand(model, batch, prompt, offset)
    moved = offset + epsilon / 2 * unit(gradient)
    moved = moved * torch.clamp(epsilon / moved.flatten(1).norm(dim=1), max=1.0)[:, None, None]
    second, _ = by_hand(model, batch, prompt, moved)
    torch.testing.assert_close(found, (first + second) / 2)


@pytest.mark.parametrize(("scale", "steps"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_ball_without_size_and_no_step_are_errors(case, scale, steps):
    model, batch, prompt = case
    with pytest.raises(InvalidArgument, match="above 0"):
        perturbed_losses(
            model, lambda: language_model(model, batch), prompt, scale=scale, steps=steps
        )
