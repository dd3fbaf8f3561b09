"""What would leak, couple or train garbage is refused with words, never done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from small_world import world, write_cache
from training_recipes import small_model, small_recipe

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.shipped_recipes import find_recipe
from auditkit.training.item_indexing import INDEXINGS
from auditkit.training.loop import train
from auditkit.training.model import prepare
from auditkit.training.recipe import LoraRecipe, SoftPromptRecipe
from auditkit.training.recipe_checks import read_training_recipe

SOFT = SoftPromptRecipe(method="soft_prompt", tokens=2)


def adapted(base, **changes):
    fields = {"steps": 2, "tasks": {"recommend": 3}, "adapter": SOFT, **changes}
    return small_recipe(model={"base": str(base)}, **fields)


@pytest.mark.parametrize("name", INDEXINGS)
def test_held_out_users_move_no_index(name):
    data, recipe = world(), small_recipe(model=small_model(indexing=name), holdout_users=20)
    before = prepare(recipe, data, base=None).index
    items = data.interactions.item_index.copy()
    rows = data.interactions
    from auditkit.training.training_users import draw_holdout

    for user in draw_holdout(recipe, n_users=len(rows.user_ids)):
        place = slice(int(rows.offsets[user]), int(rows.offsets[user + 1]))
        items[place] = np.random.default_rng(user).permutation(items[place])
    changed = Dataset(data.catalog, replace(rows, item_index=items))
    assert prepare(recipe, changed, base=None).index == before


def test_base_that_saw_what_is_held_out_is_refused(tmp_path):
    base = train(small_recipe(steps=1, seed=0), tmp_path / "base-model", dataset=world())
    with pytest.raises(ConfigurationError, match="of the users that this recipe holds out"):
        train(adapted(base, seed=1), tmp_path / "a", dataset=world())
    with pytest.raises(ConfigurationError, match="on the validation items"):
        train(adapted(base, fit="all_but_validation"), tmp_path / "b", dataset=world())
    data = world()
    other = Dataset(data.catalog, replace(data.interactions, tie_seed=1))
    with pytest.raises(ConfigurationError, match="on other data"):
        train(adapted(base), tmp_path / "c", dataset=other)
    train(adapted(base), tmp_path / "d", dataset=world())


def test_another_base_in_the_folder_is_replaced(tmp_path):
    class Killed(Exception):
        pass

    def kill(report):
        raise Killed

    bases = [train(small_recipe(steps=n), tmp_path / f"base-{n}", dataset=world()) for n in (1, 2)]
    with pytest.raises(Killed):
        train(adapted(bases[0]), tmp_path / "model", dataset=world(), on_step=kill)
    folder = train(adapted(bases[1]), tmp_path / "model", dataset=world())
    left, right = (load_file(f / "model.safetensors") for f in (folder / "base", bases[1]))
    assert all(np.array_equal(left[name], right[name]) for name in right)


def test_base_whose_weights_are_a_link_is_copied(tmp_path):
    base = train(small_recipe(steps=1), tmp_path / "base-model", dataset=world())
    (tmp_path / "blob").write_bytes((base / "model.safetensors").read_bytes())
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").symlink_to("../blob")
    folder = train(adapted(base), tmp_path / "model", dataset=world())
    assert not (folder / "base" / "model.safetensors").is_symlink()
    texts = [p for kind in ("md", "json", "yaml") for p in folder.rglob(f"*.{kind}")]
    assert texts
    assert not [p for p in texts if str(tmp_path) in p.read_text()]


def test_base_keeps_the_paths_of_its_items(tmp_path):
    own = {"model": small_model(indexing="hybrid"), "tasks": {"recommend": 3}}
    base = train(small_recipe(steps=1, **own), tmp_path / "base-model", dataset=world())
    folder = train(adapted(base), tmp_path / "model", dataset=world())
    read = [json.loads((f / "item_index.json").read_text()) for f in (base, folder)]
    assert read[0] == read[1]


@pytest.mark.parametrize("adapter", ["full", SOFT, LoraRecipe(method="lora", r=2)])
def test_checkpointed_activations_train_every_adapter(tmp_path, adapter):
    base = train(small_recipe(steps=1), tmp_path / "base-model", dataset=world())
    recipe = adapted(base, adapter=adapter, dropout=0.0)
    options = {"checkpoint_activations": True}
    recipe = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update=options)})
    train(recipe, tmp_path / "model", dataset=world())


def test_log_holds_every_step_before_a_checkpoint_after_a_real_kill(tmp_path):
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1] / "support")!r})
from pathlib import Path
from small_world import world
from training_recipes import small_recipe
from auditkit.training.loop import train
train(small_recipe(), Path({str(tmp_path)!r}) / "model", dataset=world(),
      on_step=lambda report: os._exit(9) if report.step == 9 else None)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert done.returncode == 9
    folder = train(small_recipe(), tmp_path / "model", dataset=world())
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


def test_clock_that_cut_a_run_is_part_of_what_it_is(tmp_path):
    train(small_recipe(steps=50, max_seconds=0.001), tmp_path / "model", dataset=world())
    with pytest.raises(ConfigurationError, match="hash of the recipe"):
        train(small_recipe(steps=50), tmp_path / "model", dataset=world())


def test_more_parts_than_rows_are_refused(tmp_path):
    recipe = small_recipe(tasks={"recommend": 4})
    options = {"accumulation": 8}
    recipe = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update=options)})
    with pytest.raises(ConfigurationError, match="rows for 8 parts, so some parts would be empty"):
        train(recipe, tmp_path / "model", dataset=world())


@pytest.mark.parametrize(
    ("stars", "words"),
    [
        (lambda n: np.ones(n), "no ratings, or all ratings are equal"),
        (lambda n: np.arange(n) % 10, "from 1 to 5"),
    ],
)
def test_ratings_that_cannot_be_learned_are_refused(tmp_path, stars, words):
    data = world()
    rating = stars(len(data.interactions)).astype(np.float32)
    rated = Dataset(data.catalog, replace(data.interactions, rating=rating))
    with pytest.raises(ConfigurationError, match=words):
        train(small_recipe(tasks={"recommend": 2, "rating": 2}), tmp_path / "m", dataset=rated)


@pytest.mark.parametrize("repair", ["masking", "counterfactuals"])
def test_repairs_of_attributes_that_the_data_do_not_know_are_refused(tmp_path, repair):
    data = world()
    unknown = tuple({"gender": "unknown"} for _ in data.interactions.user_ids)
    silent = Dataset(data.catalog, replace(data.interactions, attributes=unknown))
    recipe = small_recipe()
    changes = (
        {"data": recipe.data.model_copy(update={"attribute_masking": 0.5})}
        if repair == "masking"
        else {"objectives": {"language_model": 1.0, "counterfactual_consistency": 1.0}}
    )
    with pytest.raises(ConfigurationError, match="have no user attributes"):
        train(recipe.model_copy(update=changes), tmp_path / "model", dataset=silent)


def test_row_beyond_the_context_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"Raise model\.context"):
        train(small_recipe(model=small_model(context=32)), tmp_path / "model", dataset=world())


PRIVATE = "privacy: {mechanism: dp_sgd"
ADVERSARY = """model: {base: x}
objectives: {language_model: 1.0, adversarial_prompt: 1.0}
adversary: {attribute: gender}"""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("prompts: title_lists", "prompts title_lists does not match model.indexing item"),
        ("model: {indexing: titles}", "prompts item_tokens does not match"),
        ("prompts: titles\nmodel: {indexing: titles}", "use title_lists for task recommend"),
        ("model: {architecture: bert, indexing: titles}", "tasks.recommend needs"),
        ("tasks: {match: 4}\nobjectives: {contrastive: 1.0}", "needs architecture bert"),
        ("tasks: {like: 4}\nobjectives: {choice: 1.0}", "tasks.like has no template"),
        ("tasks: {rating: 4}\nobjectives: {choice: 1.0}", "needs `like` as the only task"),
        ("tasks: {preference: 4}\nobjectives: {counterfactual_consistency: 1.0}",
         "has no counterfactual pairs"),
        ("objectives: {contrastive: 1.0}", "needs rows of another kind; add a task: match"),
        ("adapter: {method: soft_prompt}", "needs model.base"),
        ("model: {base: x, width: 8}", "model.width is not used together with"),
        ("validation: {every: 5}", "needs data.fit: all_but_validation"),
        ("privacy: {mechanism: dp_sgd}\nmodel: {dropout: 0.0, indexing: collaborative}",
         "uses private histories without noise"),
        ("privacy: {mechanism: dp_sgd}\nmodel: {dropout: 0.0}\ndata: {bucketing: true}",
         "data.bucketing is not used"),
        ("data: {reweighting: {}}", "data.reweighting needs model.base"),
        ("data: {reweighting: {}}\nmodel: {base: x}\nprompts: title_lists", "weights item tokens"),
        ("data: {reweighting: {}}\nmodel: {base: x}\nobjectives: {next_k_behaviors: 1.0}",
         "is used only by objectives.language_model"),
        ("privacy: {mechanism: dp_sgd}\nmodel: {dropout: 0.0}\ndata: {reweighting: {}}",
         "data.reweighting uses private histories"),
        ("objectives: {adversarial_prompt: 1.0}", "needs a section adversary"),
        (f"{ADVERSARY}\nadapter: full", "adapter must be soft_prompt or prefix"),
        (f"{ADVERSARY}\nadapter: {{method: lora}}", "adapter must be soft_prompt or prefix"),
        ("adversary: {attribute: gender}", "is used only by objectives.adversarial_prompt"),
        (ADVERSARY, "steps must be above adversary.turns 5"),
        (f"{ADVERSARY}\noptimizer: {{accumulation: 2}}",
         "couples examples, so optimizer.accumulation would change the loss"),
        (f"{ADVERSARY}\nprivacy: {{mechanism: dp_sgd}}",
         "objectives.adversarial_prompt couples examples, so it cannot be trained"),
        (f"{PRIVATE}}}\nmodel: {{architecture: t5, dropout: 0.0}}",
         "model.architecture must be llama when privacy is on; alternatively, train LoRA"),
        (f"{PRIVATE}}}\nmodel: {{base: x}}\nadapter: {{method: soft_prompt}}",
         "adapter must be full or {method: lora} when privacy is on"),
        (f"{PRIVATE}}}\nmodel: {{base: x}}\nadapter: {{method: prefix}}",
         "adapter must be full or {method: lora} when privacy is on"),
        (f"{PRIVATE}, gradient_path: fast}}\nmodel: {{dropout: 0.0}}",
         "privacy.gradient_path fast needs adapter {method: lora}; use auto"),
        (f"{PRIVATE}, gradient_path: ghost}}\nmodel: {{dropout: 0.0}}", "privacy.gradient_path"),
        (f"{PRIVATE}, accountant: gdp}}\nmodel: {{dropout: 0.0}}", "privacy.accountant"),
        (f"{PRIVATE}}}\nmodel: {{dropout: 0.0}}\noptimizer: {{checkpoint_activations: true}}",
         "hides per-example gradients from hooks; set it to false, or train LoRA with privacy"),
        (f"{PRIVATE}, records_per_unit: 4}}\nmodel: {{dropout: 0.0}}",
         "privacy.records_per_unit is used only by unit: user"),
        (f"{PRIVATE}, unit: user, physical_batch: 4}}\nmodel: {{dropout: 0.0}}",
         "privacy.records_per_unit exceeds privacy.physical_batch 4"),
        (f"{PRIVATE}}}\nmodel: {{dropout: 0.0}}\nobjectives: {{embedding_adversarial: 1.0}}\n"
         "perturbation: {steps: 2}", "perturbation.steps above 1 uses a random start"),
    ],
)  # fmt: skip
def test_recipe_whose_parts_do_not_fit_names_the_line(tmp_path, lines, words):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"version: 1\nname: x\nsteps: 5\n{lines}\n")
    with pytest.raises(ConfigurationError) as error:
        read_training_recipe(path)
    assert words in str(error.value)
    assert "recipe.yaml:" in str(error.value)


@pytest.mark.slow
def test_several_processes_refuse_privacy(tmp_path):
    environment = {**os.environ, "AUDITKIT_CACHE": str(write_cache(tmp_path / "cache"))}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port",
         "29613", "-m", "auditkit", "train", str(find_recipe("p5-mini-dp", kind="train")), "--out",
         "model", "--quiet"],
        cwd=tmp_path, env=environment, timeout=300, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "private training supports only one process" in done.stderr
