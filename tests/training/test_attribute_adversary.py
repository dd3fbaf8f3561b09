"""The adversary: turns, cap, gradients that never meet, resume, and what it cannot be used with."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from small_world import world
from training_recipes import small_model, small_recipe

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.attribute_adversary import Adversary, adversary_of, mean_states
from auditkit.training.loop import train, training_rows
from auditkit.training.model import prepare
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import AdversaryRecipe, ModelRecipe, SoftPromptRecipe
from auditkit.training.rows.batches import collate
from auditkit.training.weighted_objectives import Weighted


class Killed(Exception):
    """Stands for a kill between two steps."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    return train(small_recipe(steps=3), folder, dataset=world())


def adversarial(base, *, attribute="gender", turns=2, tokens=3, **options):
    return small_recipe(
        model=ModelRecipe(base=str(base)),
        adapter=SoftPromptRecipe(method="soft_prompt", tokens=tokens),
        adversary=AdversaryRecipe(attribute=attribute, turns=turns),
        objectives={"language_model": 1.0, "adversarial_prompt": 10.0},
        **options,
    )


def parts(base, **options):
    recipe = adversarial(base, **options)
    trainee = prepare(recipe, world(), base=base)
    rows = training_rows(recipe, world(), trainee, base=base)
    adversary = adversary_of(recipe, trainee, rows)
    weighted = Weighted(trainee, recipe.objectives, torch.device("cpu"), adversary)
    batch = next(rows.batches(recipe.tasks, first_step=0))
    return weighted, rows, batch


def moved(module):
    return {name for name, weight in module.named_parameters() if weight.grad is not None}


def test_of_three_steps_two_train_the_adversary_alone_and_one_the_prompt_alone(base):
    weighted, _, batch = parts(base)
    for step, learner in enumerate(("adversary", "adversary", "prompt") * 2):
        weighted.zero_grad(set_to_none=True)
        losses = weighted(batch, step)
        sum(loss.sum() for loss in losses.values()).backward()
        names = moved(weighted)
        if learner == "adversary":
            assert set(losses) == {"adversarial_prompt"}
            assert names == {
                f"adversary.{name}" for name, _ in weighted.adversary.named_parameters()
            }
        else:
            assert set(losses) == {"language_model", "adversarial_prompt"}
            assert [name for name in names if "prompt_encoder" not in name] == []
            assert names


def test_loss_is_the_mean_cross_entropy_of_labeled_rows_and_its_capped_negative(base):
    weighted, rows, batch = parts(base)
    model, adversary = weighted.model, weighted.adversary
    both = collate(list(batch), pad=rows.tokenizer.pad_token_id)
    known = both.labels >= 0
    assert 0 < known.sum() < len(known)  # descriptions have no user
    logits = adversary.net(mean_states(model, both))[known]
    expected = torch.nn.functional.cross_entropy(logits, both.labels[known])
    learning = adversary.losses(model, both, learning=True)
    torch.testing.assert_close(learning.mean(), expected)
    assert (learning[~known] == 0).all()
    adversary.entropy = 10.0
    torch.testing.assert_close(adversary.losses(model, both, learning=False), -learning)
    adversary.entropy = 0.01  # defeated: nothing to gain, so no gradient
    capped = adversary.losses(model, both, learning=False)
    torch.testing.assert_close(capped, torch.full_like(capped, -0.01))
    capped.sum().backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())


def test_a_step_of_the_prompt_makes_the_adversary_that_it_reads_worse(base):
    weighted, rows, batch = parts(base)
    model, adversary = weighted.model.eval(), weighted.adversary
    both = collate(batch, pad=rows.tokenizer.pad_token_id)
    learner = torch.optim.Adam(adversary.parameters(), lr=0.01)
    for _ in range(50):
        learner.zero_grad()
        adversary.losses(model, both, learning=True).mean().backward()
        learner.step()
    before = adversary.losses(model, both, learning=True).mean()
    assert before < adversary.entropy
    prompt = [weight for weight in model.parameters() if weight.requires_grad]
    adversary.losses(model, both, learning=False).mean().backward()
    with torch.no_grad():
        for weight in prompt:
            weight -= 0.01 * weight.grad / weight.grad.norm()
    after = adversary.losses(model, both, learning=True).mean()
    assert after > before


def test_rows_without_a_known_value_leave_a_loss_of_zero_that_can_be_differentiated(base):
    weighted, rows, batch = parts(base)
    unknown = [row._replace(label=-1) for row in batch]
    both = collate(unknown, pad=rows.tokenizer.pad_token_id)
    assert both.labels is None
    loss = weighted.adversary.losses(weighted.model, both, learning=True).sum()
    loss.backward()
    assert float(loss) == 0


def test_mean_states_are_those_of_the_row_alone_without_virtual_tokens_and_padding(base):
    weighted, rows, batch = parts(base)
    model = weighted.model.double().eval()
    both = collate(batch, pad=rows.tokenizer.pad_token_id)
    found = mean_states(model, both)
    for i, row in enumerate(batch):
        prompt = model.get_prompt(batch_size=1)
        words = model.get_input_embeddings()(torch.tensor([row.ids]))
        states = model.get_decoder()(inputs_embeds=torch.cat([prompt, words], dim=1))
        expected = states.last_hidden_state[0, prompt.shape[1] :].mean(dim=0)
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-9)


def test_labels_are_the_values_of_the_user_and_counts_those_of_training_users(base):
    _, rows, batch = parts(base, attribute="age")
    counts = rows.label_counts
    attributes = world().interactions.attributes
    trained = [u for u in range(len(attributes)) if u not in rows.holdout]
    values = sorted({attributes[user]["age"] for user in trained})
    assert counts == [sum(attributes[u]["age"] == value for u in trained) for value in values]
    assert {row.label for row in batch} <= {-1, 0, 1, 2}


def test_entropy_is_that_of_the_labels():
    assert Adversary(4, [5, 5], turns=1, seed=0).entropy == pytest.approx(math.log(2))
    uneven = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert Adversary(4, [3, 1], turns=1, seed=0).entropy == pytest.approx(uneven)
    assert Adversary(4, [3, 0, 1], turns=1, seed=0).entropy == pytest.approx(uneven)


def adapter(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")["prompt_embeddings"]


@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_a_killed_run_resumes_to_the_same_bytes(base, tmp_path, step):
    def kill(report):
        if report.step == step:
            raise Killed

    whole = train(adversarial(base), tmp_path / "whole", dataset=world())
    with pytest.raises(Killed):
        train(adversarial(base), tmp_path / "killed", dataset=world(), on_step=kill)
    resumed = train(adversarial(base), tmp_path / "killed", dataset=world())
    assert torch.equal(adapter(whole), adapter(resumed))


def test_finished_folder_is_a_recommender_without_the_adversary(base, tmp_path):
    folder = train(adversarial(base), tmp_path, dataset=world())
    assert load_folder(folder).manifest.training.parameters == 3 * 16
    assert not [path for path in folder.rglob("*.safetensors") if "net" in str(load_file(path))]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [sorted(line["objectives"]) for line in lines[:3]] == [
        ["adversarial_prompt"],
        ["adversarial_prompt"],
        ["adversarial_prompt", "language_model"],
    ]


def test_an_attribute_that_nobody_has_is_refused(base, tmp_path):
    with pytest.raises(ConfigurationError, match="Did you mean 'gender'"):
        train(adversarial(base, attribute="gendre"), tmp_path, dataset=world())


def test_an_encoder_decoder_base_is_refused(tmp_path):
    model = small_model(architecture="t5", indexing="random")
    other = train(small_recipe(steps=1, model=model), tmp_path / "base", dataset=world())
    with pytest.raises(ConfigurationError, match="decoder-only"):
        train(adversarial(other), tmp_path / "out", dataset=world())


def test_the_objective_without_an_adversary_says_where_it_comes_from():
    with pytest.raises(InvalidArgument, match="Add a section `adversary` to the recipe"):
        OBJECTIVES["adversarial_prompt"].losses(None, None)
