"""Every per-example objective: gradients depend neither on neighbors nor on being batched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from small_world import world
from training_recipes import rows_of, small_model, small_recipe

from auditkit.training.model import attach_dropout, build_model, prepare
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.rows.batches import Masked, collate, collate_masked, collate_pairs
from auditkit.training.rows.training_rows import TrainingRows

PER_EXAMPLE = [name for name, objective in OBJECTIVES.items() if objective.per_example]
ARCHITECTURES = {"masked_language_model": ["bert"]}
CASES = [
    (name, architecture)
    for name in PER_EXAMPLE
    for architecture in ARCHITECTURES.get(name, ["llama", "t5"])
]


def trained(name, architecture):
    """A model in float64, and rows that its objective reads."""
    tasks = {"choice": {"like": 4}, "masked_language_model": {"masked_text": 4}}.get(
        name, {"recommend": 3, "rating": 1}
    )
    titles = name in ("choice", "masked_language_model")
    recipe = small_recipe(
        dropout=0.0, tasks=tasks, prompts="titles" if titles else "item_tokens",
        objectives={name: 1.0},
        model=small_model(
            architecture=architecture, dropout=0.0, context=512, text_vocabulary=600,
            indexing="titles" if titles else "item",
        ),
    )  # fmt: skip
    trainee = prepare(recipe, world(), base=None)
    rows = replace(rows_of(recipe, world()), counterfactuals=name == "counterfactual_consistency")
    chosen = next(TrainingRows.batches(rows, tasks, first_step=0))
    if rows.counterfactuals:  # a row without a twin has no loss to speak of
        chosen = [row for row in chosen if row.counterfactual]
    pad = trainee.tokenizer.pad_token_id

    def losses(some):
        if isinstance(some[0], Masked):
            batch = collate_masked(some, pad=pad)
        else:
            batch = collate(some, pad=pad, encoder_decoder=architecture == "t5")
        return OBJECTIVES[name].losses(model, batch)

    model = trainee.model.double().eval()
    return model, chosen, losses


def gradient(model, loss):
    found = torch.autograd.grad(
        loss, list(model.parameters()), retain_graph=True, allow_unused=True
    )
    return torch.cat([g.flatten() for g in found if g is not None])


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_an_examples_gradient_does_not_change_with_its_neighbors(name, architecture):
    model, rows, losses = trained(name, architecture)
    left, right = losses([rows[0], rows[1], rows[-1]]), losses([rows[0], rows[2], rows[2]])
    own = gradient(model, left[0])
    assert own.abs().max() > 1e-9  # zeros would agree too
    torch.testing.assert_close(own, gradient(model, right[0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_batched_gradients_equal_one_at_a_time_gradients(name, architecture):
    model, rows, losses = trained(name, architecture)
    batched = losses(rows)
    assert bool((batched >= 0).all())
    for i, row in enumerate(rows):
        alone = losses([row])
        torch.testing.assert_close(alone[0], batched[i], rtol=0, atol=1e-6)
        torch.testing.assert_close(
            gradient(model, alone[0]), gradient(model, batched[i]), rtol=0, atol=1e-6
        )


@pytest.fixture(scope="module")
def causal():
    recipe = small_recipe(dropout=0.0)
    rows = rows_of(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0).double().eval()
    return model, rows.fixed_rows(), rows.tokenizer.pad_token_id


def test_language_model_equals_the_mean_cross_entropy_of_the_targets(causal):
    model, rows, pad = causal
    row = rows[3]
    (loss,) = OBJECTIVES["language_model"].losses(model, collate([row], pad=pad))
    logits = model(torch.tensor([row.ids])).logits[0, row.first_target - 1 : -1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(row.ids[row.first_target :]))
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)


def test_encoder_decoder_loss_is_that_of_transformers():
    model, rows, losses = trained("language_model", "t5")
    row = rows[0]
    source = torch.tensor([row.ids[: row.first_target]])
    expected = model(input_ids=source, labels=torch.tensor([row.ids[row.first_target :]])).loss
    torch.testing.assert_close(losses([row])[0], expected, rtol=0, atol=1e-9)


def test_choice_is_binary_cross_entropy_on_the_difference_of_two_logits():
    model, rows, losses = trained("choice", "llama")
    for row in rows:
        logits = model(torch.tensor([row.ids[:-1]])).logits[0, -1]
        yes, no = row.choices
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            logits[yes] - logits[no], torch.tensor(float(row.ids[-1] == yes)).double()
        )
        torch.testing.assert_close(losses([row])[0], expected, rtol=0, atol=1e-9)


def test_next_k_behaviors_looks_three_ahead(causal):
    model, rows, pad = causal
    row = max(rows, key=lambda r: len(r.ids) - r.first_target)
    (loss,) = OBJECTIVES["next_k_behaviors"].losses(model, collate([row], pad=pad))
    table = model(torch.tensor([row.ids])).logits[0].log_softmax(dim=1)
    terms = [
        -table[place - 1, row.ids[place + ahead]]
        for place in range(row.first_target, len(row.ids))
        for ahead in range(3)
        if place + ahead < len(row.ids)
    ]
    torch.testing.assert_close(loss, sum(terms) / len(terms), rtol=0, atol=1e-6)


def test_consistency_is_the_jensen_shannon_divergence_and_zero_for_twins_alike(causal):
    model, rows, pad = causal
    row = rows[0]
    other = list(row.ids)
    other[2] += 1
    losses = OBJECTIVES["counterfactual_consistency"].losses
    alike, apart = losses(model, collate([row, row._replace(counterfactual=tuple(other))], pad=pad))
    assert abs(float(alike)) < 1e-12
    places = slice(row.first_target - 1, -1)
    p, q = (model(torch.tensor([ids])).logits[0, places].softmax(dim=1) for ids in (row.ids, other))
    middle = (p + q) / 2
    kl = lambda a: (a * (a / middle).log()).sum(dim=1)  # noqa: E731
    torch.testing.assert_close(apart, ((kl(p) + kl(q)) / 2).mean(), rtol=0, atol=1e-9)
    assert 0 < float(apart) <= np.log(2)


def test_contrastive_loss_is_that_of_a_loop_and_equal_texts_do_not_compete():
    tasks = {"match": 6}
    recipe = small_recipe(
        tasks=tasks, prompts="title_lists", objectives={"contrastive": 1.0},
        model=small_model(architecture="bert", indexing="titles", dropout=0.0, context=512),
    )  # fmt: skip
    trainee = prepare(recipe, world(), base=None)
    model = trainee.model.double().eval()
    rows = next(rows_of(recipe, world()).batches(tasks, first_step=0))
    rows = [*rows, rows[0]]
    found = OBJECTIVES["contrastive"].losses(
        model, collate_pairs(rows, pad=trainee.tokenizer.pad_token_id)
    )

    def vector(ids):
        mean = model(torch.tensor([ids])).last_hidden_state[0].mean(dim=0)
        return mean / mean.norm()

    for i, row in enumerate(rows):
        scores = {
            j: float(vector(row.left) @ vector(other.right)) / 0.07 - other.log_share
            for j, other in enumerate(rows)
            if j == i or other.right != row.right
        }
        expected = np.log(sum(np.exp(s) for s in scores.values())) - scores[i]
        assert float(found[i]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", [PromptTuningConfig, PrefixTuningConfig])
def test_soft_prompt_and_prefix_are_trained_where_they_are_read(kind):
    """The loss behind virtual tokens is that of peft's own forward on the row alone."""
    recipe = small_recipe(dropout=0.0)
    rows = rows_of(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0)
    torch.manual_seed(0)
    model = get_peft_model(model, kind(task_type="CAUSAL_LM", num_virtual_tokens=4))
    model = model.double().eval()
    n_virtual = 4 if kind is PromptTuningConfig else 0  # that have logits of their own
    chosen = rows.fixed_rows()[:3]
    batch = collate(chosen, pad=rows.tokenizer.pad_token_id)
    found = OBJECTIVES["language_model"].losses(model, batch)
    for i, row in enumerate(chosen):
        logits = model(torch.tensor([row.ids])).logits[0, n_virtual + row.first_target - 1 : -1]
        expected = torch.nn.functional.cross_entropy(
            logits, torch.tensor(row.ids[row.first_target :])
        )
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-9)


def test_dropout_is_active_only_while_training(causal):
    recipe = small_recipe()
    rows = rows_of(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0)
    attach_dropout(model, 0.5)
    batch = collate(rows.fixed_rows()[:2], pad=rows.tokenizer.pad_token_id)
    losses = OBJECTIVES["language_model"].losses
    model.eval()
    torch.testing.assert_close(losses(model, batch), losses(model, batch), rtol=0, atol=0)
    model.train()
    assert not torch.equal(losses(model, batch), losses(model, batch))
