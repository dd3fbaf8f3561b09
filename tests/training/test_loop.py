"""The loop: deterministic, resumable bit for bit, and its folder loads as a recommender."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from small_world import world
from training_recipes import small_recipe

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.loop import train
from auditkit.training.model_folder import is_trained
from auditkit.types import Item, Request


class Killed(Exception):
    """Stands for a kill between two steps."""


def weights(folder):
    return {
        name: tensor.numpy().tobytes()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }


def kill_at(step):
    def on_step(report):
        if report.step == step:
            raise Killed

    return on_step


def test_two_runs_with_one_seed_give_the_same_weights(tmp_path):
    left = train(small_recipe(), tmp_path / "a", dataset=world())
    right = train(small_recipe(), tmp_path / "b", dataset=world())
    assert weights(left) == weights(right)


def test_another_seed_gives_other_weights(tmp_path):
    left = train(small_recipe(steps=2), tmp_path / "a", dataset=world())
    right = train(small_recipe(steps=2, seed=1), tmp_path / "b", dataset=world())
    assert weights(left) != weights(right)


@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, step):
    whole = train(small_recipe(), tmp_path / "whole", dataset=world())
    with pytest.raises(Killed):
        train(small_recipe(), tmp_path / "killed", dataset=world(), on_step=kill_at(step))
    resumed = train(small_recipe(), tmp_path / "killed", dataset=world())
    assert weights(resumed) == weights(whole)


def test_training_leaves_the_number_of_threads_as_it_was(tmp_path):
    """An audit in the same process would otherwise round in another way than one of its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(small_recipe(steps=1), tmp_path / "a", dataset=world())
        assert torch.get_num_threads() == 2
        with pytest.raises(Killed):
            train(small_recipe(), tmp_path / "b", dataset=world(), on_step=kill_at(1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    with pytest.raises(Killed):
        train(small_recipe(), tmp_path, dataset=world(), on_step=kill_at(9))
    with pytest.raises(ConfigurationError, match="hash of the recipe"):
        train(small_recipe(window=6), tmp_path, dataset=world())


def test_a_finished_model_of_another_recipe_is_kept(tmp_path):
    before = weights(train(small_recipe(steps=1), tmp_path, dataset=world()))
    with pytest.raises(ConfigurationError, match="hash of the recipe"):
        train(small_recipe(steps=2), tmp_path, dataset=world())
    assert weights(tmp_path) == before


def test_a_finished_model_of_other_data_is_kept(tmp_path):
    before = weights(train(small_recipe(steps=1), tmp_path, dataset=world()))
    data = world()
    other = replace(data, interactions=replace(data.interactions, tie_seed=1))
    assert not is_trained(tmp_path, small_recipe(steps=1), other)
    with pytest.raises(ConfigurationError, match="hash of the data"):
        train(small_recipe(steps=1), tmp_path, dataset=other)
    assert weights(tmp_path) == before


def test_a_torn_checkpoint_is_not_mistaken_for_a_whole_one(tmp_path):
    with pytest.raises(Killed):
        train(small_recipe(), tmp_path, dataset=world(), on_step=kill_at(6))
    (tmp_path / "checkpoints" / ".writing-1").mkdir()
    (tmp_path / "checkpoints" / ".writing-1" / "weights.safetensors").write_bytes(b"torn")
    resumed = train(small_recipe(), tmp_path, dataset=world())
    assert weights(resumed) == weights(train(small_recipe(), tmp_path / "whole", dataset=world()))


def test_the_finished_folder_is_a_recommender_and_known_as_finished(tmp_path):
    folder = train(small_recipe(), tmp_path, dataset=world())
    assert is_trained(folder, small_recipe(), world())
    assert not is_trained(folder, small_recipe(seed=3), world())
    recommender = load_folder(folder)
    catalog = world().catalog
    history = tuple(Item(item.id, item.display_title) for item in catalog.items[:4])
    request = Request(id="r", history=history, k=5)
    (response,) = recommender.recommend(
        [Request(**{**request.__dict__, "prompt": recommender.render(request)})]
    )
    assert len(response.items) == 5
    assert not {item.item_id for item in response.items} & {item.id for item in history}
    assert not (folder / "checkpoints").exists()


def test_the_manifest_declares_holdout_users_seed_and_data(tmp_path):
    folder = train(small_recipe(steps=1), tmp_path, dataset=world())
    manifest = load_folder(folder).manifest
    assert manifest.training is not None
    assert len(manifest.training.holdout_users) == 10
    assert manifest.training.data_sha256 == world().fingerprint
    assert json.loads((folder / "manifest.json").read_text())["data_sha256"] == world().fingerprint


def test_losses_go_down(tmp_path):
    folder = train(small_recipe(steps=60, dropout=0.0), tmp_path, dataset=world())
    losses = [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_holding_out_every_user_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="leaves none"):
        train(small_recipe(holdout_users=80), tmp_path, dataset=world())
