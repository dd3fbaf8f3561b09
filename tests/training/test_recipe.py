"""Training recipes: every fault at once, with file and line."""

from __future__ import annotations

import pytest

from auditkit.errors import ConfigurationError
from auditkit.shipped_recipes import shipped_recipes
from auditkit.training import objectives
from auditkit.training.objectives import OBJECTIVES, Objective
from auditkit.training.recipe_checks import read_training_recipe

PRIVATE = "version: 1\nname: x\nsteps: 5\nmodel: {dropout: 0.0}\nprivacy: {mechanism: dp_sgd}\n"
TRAINING = [path for name, path in shipped_recipes().items() if name.startswith("train/")]


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_shipped_training_recipe_loads(path):
    assert read_training_recipe(path).name == path.stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nname: x\nsteps: 0\n", "recipe.yaml:3"),
        ("version: 1\nname: x\nsteps: 5\nlearning_rate: 1\n", "recipe.yaml:4"),
        ("version: 1\nname: x\nsteps: 5\ndata: {windw: 5}\n", "window"),
        ("version: 1\nname: x\nsteps: 5\nobjectives: {langage_model: 1.0}\n", "language_model"),
        ("version: 1\nname: x\nsteps: 5\nmodel: {width: 63}\n", "not divisible"),
        ("version: 1\nname: x\nsteps: 5\nprivacy: {mechanism: dp_sgd, epsilon: -1.0}\n", "epsilon"),
        (PRIVATE + "tasks: {recommend: 4}\n", "recipe.yaml:6: tasks is not used"),
        (PRIVATE + "optimizer: {clip_norm: 2.0}\n", "optimizer.clip_norm is not used"),
        (PRIVATE.replace("0.0", "0.1"), "model.dropout must be 0"),
    ],
)
def test_a_wrong_recipe_names_the_line_and_the_remedy(tmp_path, text, expected):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=expected):
        read_training_recipe(path)


def test_privacy_refuses_an_objective_that_couples_examples_by_name(tmp_path, monkeypatch):
    coupled = Objective(OBJECTIVES["language_model"].losses, per_example=False)
    monkeypatch.setattr(objectives, "OBJECTIVES", {**OBJECTIVES, "contrastive": coupled})
    path = tmp_path / "recipe.yaml"
    path.write_text(PRIVATE + "objectives: {contrastive: 1.0}\n")
    with pytest.raises(ConfigurationError, match=r"recipe.yaml:6: objectives.contrastive couples"):
        read_training_recipe(path)
