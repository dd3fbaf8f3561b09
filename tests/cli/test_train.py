"""`auditkit train`: plan, train, evaluate, keep what is finished."""

from __future__ import annotations

import json

import pytest
from small_world import world, write_cache

from auditkit.cli import main

RECIPE = """version: 1
name: tiny
steps: 6
data: {holdout_users: 5, window: 8}
model: {width: 16, layers: 1, heads: 2, mlp: 32, text_vocabulary: 300}
optimizer: {warmup_steps: 2}
"""
PRIVATE = "privacy: {mechanism: dp_sgd, epsilon: 8.0, expected_batch: 8, physical_batch: 8}\n"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


def run(*words):
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_training_ends_with_the_utility_table_beside_the_baselines(recipe, tmp_path, capsys):
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet") == 0
    printed = capsys.readouterr()
    for name in ("utility.ranking.hr@10", "baseline=popularity", "baseline=transitions"):
        assert name in printed.out
    assert "seed 0" in printed.err
    assert (tmp_path / "model" / "recommender.yaml").is_file()


def test_json_output_is_the_audit_result(recipe, tmp_path, capsys):
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert {finding["metric"] for finding in result["findings"]} >= {"utility.ranking.ndcg@10"}


SPLIT = """version: 1
name: later
interactions: {file: events.csv}
items: {file: items.csv}
split: {validation_from: FROM, test_from: 8}
"""


def split_in_time(folder, validation_from):
    """The small world with the n-th interaction of every user at second n."""
    rows = world().interactions
    columns = (rows.user_index, rows.item_index, rows.timestamp % 1000)
    events = [f"{u},{rows.item_ids[i]},{at}" for u, i, at in zip(*columns, strict=True)]
    items = [f"{item.id},{item.title}" for item in world().catalog.items]
    (folder / "events.csv").write_text("\n".join(["user,item,timestamp", *events]))
    (folder / "items.csv").write_text("\n".join(["id,title", *items]))
    (folder / "later.yaml").write_text(SPLIT.replace("FROM", str(validation_from)))
    return folder / "later.yaml"


@pytest.mark.parametrize("in_time", [False, True])
def test_model_fitted_without_validation_items_is_measured_on_them(
    recipe, tmp_path, capsys, in_time
):
    held_out = "data: {fit: all_but_validation, holdout_users: 5,"
    if in_time:
        held_out += f" dataset: {split_in_time(tmp_path, 5)},"
    text = RECIPE.replace("data: {holdout_users: 5,", held_out)
    recipe.write_text(text + "validation: {every: 6, users: 943}\n")
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet", "--json") == 0
    printed = capsys.readouterr()
    found = {
        (finding["metric"], finding["group"]): finding["estimate"]
        for finding in json.loads(printed.out)["findings"]
    }
    assert ("utility.validation.hr@10", "baseline=transitions") in found
    assert (("utility.validation.recall@10", "all") in found) == in_time
    shown = found["utility.validation.ndcg@10", "all"]
    log = (tmp_path / "model" / "log.jsonl").read_text().splitlines()
    stopped_on = json.loads(log[-1])["ndcg@10"]
    assert shown["value"] == pytest.approx(stopped_on)
    assert (shown["n"], shown["n_missing"]) == (80, 0)
    assert shown["low"] < shown["value"] < shown["high"]
    assert "choose settings by the utility.validation findings" in printed.err


def test_early_stopping_without_any_validation_item_is_refused(recipe, tmp_path, capsys):
    data = f"data: {{dataset: {split_in_time(tmp_path, 0)}, fit: all_but_validation,"
    text = RECIPE.replace("data: {", data + " ")
    recipe.write_text(text + "validation: {every: 6, users: 943}\n")
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet") == 2
    assert "no user has a history followed by a validation item" in capsys.readouterr().err


def test_model_fitted_on_validation_items_is_not_measured_on_them(recipe, tmp_path, capsys):
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet") == 0
    printed = capsys.readouterr()
    assert "utility.validation" not in printed.out + printed.err


def test_a_finished_model_is_kept(recipe, tmp_path, capsys):
    run("train", recipe, "--out", tmp_path / "model", "--quiet")
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet") == 0
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert "already" in capsys.readouterr().err


def test_another_recipe_does_not_overwrite_a_finished_model(recipe, tmp_path, capsys):
    run("train", recipe, "--out", tmp_path / "model", "--quiet")
    recipe.write_text(RECIPE.replace("steps: 6", "steps: 7"))
    assert run("train", recipe, "--out", tmp_path / "model", "--quiet") == 2
    assert "--out" in capsys.readouterr().err


def test_a_dry_run_prints_the_plan_and_for_a_private_recipe_what_it_costs(recipe, tmp_path, capsys):
    assert run("train", recipe, "--out", tmp_path / "model", "--dry-run") == 0
    assert "no privacy" in capsys.readouterr().out
    recipe.write_text(RECIPE.replace("width: 16", "dropout: 0.0, width: 16") + PRIVATE)
    assert run("train", recipe, "--out", tmp_path / "model", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "noise multiplier" in printed
    assert "epsilon 8.0 at delta" in printed
    assert "rows as units, sampling rate" in printed
    assert "gradient path hooks" in printed
    assert "MB for the gradients of 8 rows" in printed
    by_user = PRIVATE.replace("dp_sgd", "dp_sgd, unit: user, records_per_unit: 4")
    recipe.write_text(RECIPE.replace("width: 16", "dropout: 0.0, width: 16") + by_user)
    assert run("train", recipe, "--out", tmp_path / "model", "--dry-run") == 0
    assert "users with at most 4 rows a step as units" in capsys.readouterr().out
    assert not (tmp_path / "model").exists()


def test_an_unknown_recipe_is_a_clear_error(tmp_path, capsys):
    assert run("train", "p5-mni", "--out", tmp_path / "model") == 2
    assert "p5-mini" in capsys.readouterr().err
