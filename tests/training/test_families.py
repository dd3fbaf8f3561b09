"""Every family trains, resumes bit for bit, and its folder is audited without further words."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from small_world import world, write_cache
from training_recipes import small_model, small_recipe

from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.registry import probes
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.training.loop import train
from auditkit.training.recipe import LoraRecipe, PrefixRecipe, SoftPromptRecipe, ValidationRecipe
from auditkit.types import Item, Request


class Killed(Exception):
    """Stands for a kill between two steps."""


def base(folder):
    """A trained model to adapt."""
    return str(train(small_recipe(steps=2), folder / "base-model", dataset=world()))


P5 = {"recommend": 4, "describe": 1}
TITLES = {"indexing": "titles", "context": 512, "text_vocabulary": 600}
FAMILIES = {
    "t5": lambda folder: {
        "model": small_model(architecture="t5"),
        "tasks": {"recommend": 3, "direct": 1, "rating": 1, "title": 1, "explanation": 1},
    },
    "clusters": lambda folder: {"model": small_model(indexing="collaborative"), "tasks": P5},
    "hybrid-t5": lambda folder: {
        "model": small_model(architecture="t5", indexing="hybrid"), "tasks": {"recommend": 3},
    },
    "titles": lambda folder: {
        "model": small_model(**TITLES), "prompts": "title_lists", "tasks": {"recommend": 3},
    },
    "yes-no": lambda folder: {
        "model": small_model(**TITLES), "prompts": "titles", "tasks": {"like": 3},
        "objectives": {"choice": 1.0},
    },
    "instruct": lambda folder: {
        "model": small_model(), "tasks": {"recommend": 2, "preference": 1, "intention": 1,
                                          "rerank": 1},
    },
    "pretrain": lambda folder: {
        "model": small_model(), "tasks": {"recommend": 3, "masked_behavior": 2},
        "objectives": {"language_model": 1.0, "next_k_behaviors": 0.5},
    },
    "consistent": lambda folder: {
        "model": small_model(), "tasks": P5,
        "objectives": {"language_model": 1.0, "counterfactual_consistency": 2.0},
    },
    "dual-encoder": lambda folder: {
        "model": small_model(architecture="bert", **TITLES), "prompts": "title_lists",
        "tasks": {"match": 6, "masked_text": 2},
        "objectives": {"contrastive": 1.0, "masked_language_model": 0.1},
    },
    "lora": lambda folder: {
        "model": {"base": base(folder)}, "tasks": {"recommend": 3},
        "adapter": LoraRecipe(method="lora", r=2, dropout=0.1),
    },
    "soft-prompt": lambda folder: {
        "model": {"base": base(folder)}, "tasks": {"recommend": 3},
        "adapter": SoftPromptRecipe(method="soft_prompt", tokens=3),
    },
    "prefix": lambda folder: {
        "model": {"base": base(folder)}, "tasks": {"recommend": 3},
        "adapter": PrefixRecipe(method="prefix", tokens=3),
    },
}  # fmt: skip


def recipe_of(name, folder, **changes):
    fields = {"steps": 6, "checkpoint_every": 2, **FAMILIES[name](folder), **changes}
    return small_recipe(**fields)


def weights(folder):
    files = [*folder.glob("*.safetensors"), *folder.glob("adapter/*.safetensors")]
    return {
        (file.name, name): tensor.numpy().tobytes()
        for file in files
        for name, tensor in load_file(file).items()
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_a_killed_run_of_every_family_resumes_to_the_same_bytes(name, tmp_path):
    recipe = recipe_of(name, tmp_path)

    def kill(report):
        if report.step == 5:
            raise Killed

    whole = train(recipe, tmp_path / "whole", dataset=world())
    with pytest.raises(Killed):
        train(recipe, tmp_path / "killed", dataset=world(), on_step=kill)
    resumed = train(recipe, tmp_path / "killed", dataset=world())
    assert weights(whole)
    assert weights(resumed) == weights(whole)


# What each family can be asked beyond lists.
ABLE = {
    "t5": {"utility.ranking", "utility.ratings", "utility.likelihood"},
    "titles": {"utility.ranking", "utility.likelihood"},
    "yes-no": {"utility.likes", "utility.likelihood"},
    "dual-encoder": {"utility.ranking"},
}


# Lists of titles are written token by token for every probe: half a minute under coverage.
AUDITED = [pytest.param(n, marks=pytest.mark.slow) if n == "titles" else n for n in FAMILIES]


@pytest.mark.parametrize("name", AUDITED)
def test_a_folder_of_every_family_is_audited(name, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    folder = train(recipe_of(name, tmp_path, steps=2), tmp_path / "model", dataset=world())
    planned = {probe_id: {} for probe_id in probes()}
    recipe = AuditRecipe(version=1, name="families", probes=planned)
    result = run_audit(str(folder), recipe, tmp_path / "run", options=AuditOptions(limit=6))
    outcomes = {outcome.probe: outcome for outcome in result.outcomes}
    assert not [o for o in result.outcomes if o.status == "error"]
    for outcome in result.outcomes:
        assert outcome.status == "ran" or outcome.reason
    ran = {probe_id for probe_id in planned if outcomes[probe_id].status == "ran"}
    expected = ABLE.get(name, {"utility.ranking", "utility.likelihood"})
    assert {probe_id for probe_id in ran if probe_id.startswith("utility.")} == expected
    assert ("hallucination.catalog" in ran) == ("utility.ranking" in ran)
    read_by_audits = [file for file in folder.glob("**/*.json") if file.name != "manifest.json"]
    assert not any(str(tmp_path) in file.read_text() for file in read_by_audits)


def test_items_written_in_several_tokens_rank_by_their_whole_path(tmp_path):
    folder = train(recipe_of("clusters", tmp_path, steps=2), tmp_path / "model", dataset=world())
    recommender = load_folder(folder)
    index = json.loads((folder / "item_index.json").read_text())
    assert any(len(tokens) > 1 for tokens in index.values())
    history = tuple(Item(i.id, i.display_title) for i in world().catalog.items[:4])
    request = Request(id="r", history=history, k=5)
    prompt = recommender.render(request)
    (answer,) = recommender.recommend([Request(id="r", prompt=prompt, history=history, k=5)])
    ids = recommender._encode(prompt)
    for item in answer.items:
        code = list(recommender._items[item.item_id])
        with torch.inference_mode():
            table = recommender.model(torch.tensor([ids + code])).logits[0].log_softmax(dim=1)
        expected = sum(float(table[len(ids) - 1 + i, token]) for i, token in enumerate(code))
        assert item.score == pytest.approx(expected, abs=1e-4)
    assert [i.score for i in answer.items] == sorted((i.score for i in answer.items), reverse=True)


def test_accumulated_parts_give_the_gradient_of_one_batch(tmp_path):
    """Adam divides by the gradient's size, so equal weights mean equal gradients."""
    found = []
    for parts in (1, 3):
        recipe = small_recipe(steps=3, dropout=0.0)
        recipe = recipe.model_copy(
            update={"optimizer": recipe.optimizer.model_copy(update={"accumulation": parts})}
        )
        folder = train(recipe, tmp_path / str(parts), dataset=world())
        found.append(load_file(folder / "model.safetensors"))
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-4, atol=1e-5)


def test_training_stops_early_and_keeps_the_best_weights(tmp_path):
    lines = lambda folder: [  # noqa: E731
        json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()
    ]
    recipe = small_recipe(
        steps=60, fit="all_but_validation", checkpoint_every=2,
        validation=ValidationRecipe(every=2, users=20, patience=2),
    )  # fmt: skip
    folder = train(recipe, tmp_path / "model", dataset=world())
    measured = [entry for entry in lines(folder) if "ndcg@10" in entry]
    values = [entry["ndcg@10"] for entry in measured]
    best = max(range(len(values)), key=lambda i: (values[i], -i))
    assert measured[-1]["step"] < 60
    assert len(values) == best + 3

    def kill(report):
        if report.step == measured[-1]["step"] - 1:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, tmp_path / "killed", dataset=world(), on_step=kill)
    resumed = train(recipe, tmp_path / "killed", dataset=world())
    assert weights(resumed) == weights(folder)


def test_a_clock_ends_training_with_a_usable_folder(tmp_path):
    recipe = small_recipe(steps=500, max_seconds=0.001)
    folder = train(recipe, tmp_path / "model", dataset=world())
    assert load_folder(folder).manifest.training.steps == 1


def test_a_base_that_is_nothing_known_is_a_clear_error(tmp_path):
    recipe = small_recipe(model={"base": "nothing"}, tasks={"recommend": 2})
    with pytest.raises(ConfigurationError, match=r"model\.base 'nothing' is not a folder"):
        train(recipe, tmp_path / "model", dataset=world())


def test_activation_checkpointing_changes_no_weight(tmp_path):
    found = []
    for on in (False, True):
        recipe = small_recipe(steps=2, dropout=0.0)
        options = {"checkpoint_activations": on}
        recipe = recipe.model_copy(
            update={"optimizer": recipe.optimizer.model_copy(update=options)}
        )
        found.append(load_file(train(recipe, tmp_path / str(on), dataset=world())
                               / "model.safetensors"))  # fmt: skip
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-5, atol=1e-6)
