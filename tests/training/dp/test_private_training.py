"""Private training from a recipe to its claim: units, adapters, seeds and what is written where."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from peft import PeftModel
from private_models import LORA, llama, prepared, ragged_rows
from small_folder import save
from small_world import world
from training_recipes import rows_of, small_model, small_recipe

from auditkit.errors import AuditkitError, ConfigurationError, InvalidArgument
from auditkit.recommenders.adapters.folder_checks import sample_outputs
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import Accounting, calibrate
from auditkit.training.dp.units import UnitSampler, packed
from auditkit.training.loop import train
from auditkit.training.private_training import privacy_units
from auditkit.training.recipe import LoraRecipe, PrivacyRecipe


@cache
def _calibrated(fields, n_units, steps):
    return calibrate(dp(**dict(fields)), n_units=n_units, steps=steps)


def once_calibrated(settings, *, n_units, steps):
    """Some seconds for each run of the same target; calibration itself is tested elsewhere."""
    fields = ("epsilon", "delta", "expected_batch")
    return _calibrated(tuple((f, getattr(settings, f)) for f in fields), n_units, steps)


@pytest.fixture(autouse=True)
def calibrated_once(monkeypatch):
    monkeypatch.setattr("auditkit.training.private_training.calibrate", once_calibrated)


def dp(**changes):
    fields = {"mechanism": "dp_sgd", "expected_batch": 8, "physical_batch": 8, **changes}
    return PrivacyRecipe(**fields)


def by_user(**changes):
    return dp(unit="user", records_per_unit=2, **changes)


def adapted(base, **changes):
    """LoRA on a base with public weights."""
    fields = {"steps": 3, "adapter": LoraRecipe(method="lora", r=2), "window": 4, **changes}
    return small_recipe(model={"base": str(base)}, privacy=fields.pop("privacy", dp()), **fields)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save(tmp_path_factory.mktemp("base"))


def users_of(rows):
    """User of every fixed row."""
    return {row: user for user, own in rows.fixed_rows_by_user().items() for row in own}


def test_no_users_rows_land_in_two_units_and_every_unit_has_one_user():
    rows = rows_of(small_recipe(dropout=0.0, window=4), world())
    owner, units = users_of(rows), privacy_units(rows, by_user())
    assert max(map(len, units)) > 2
    assert [len({owner[row] for row in unit}) for unit in units] == [1] * len(units)
    assert max(Counter(owner[unit[0]] for unit in units).values()) == 1
    assert len(units) == 80 - 10  # the training users
    assert sorted(row for unit in units for row in unit) == sorted(owner)


def test_units_of_examples_are_the_fixed_rows():
    rows = rows_of(small_recipe(dropout=0.0), world())
    assert privacy_units(rows, dp()) == [[row] for row in rows.fixed_rows()]


def test_a_user_contributes_at_most_k_records_without_replacement():
    sampler = UnitSampler(sample_rate=0.5, records_per_unit=3, seed=None)
    drawn = [sampler.records(range(7)) for _ in range(200)]
    assert all(len(set(records)) == 3 for records in drawn)
    assert set(np.concatenate(drawn)) == set(range(7))
    assert sampler.records([4, 5]) == [4, 5]


def test_units_are_drawn_independently_at_the_sampling_rate():
    sampler = UnitSampler(sample_rate=0.2, records_per_unit=1, seed=0)
    sizes = [len(sampler.indices(50)) for _ in range(2000)]
    assert np.mean(sizes) == pytest.approx(10, abs=5 * (8 / 2000) ** 0.5)
    assert np.var(sizes) == pytest.approx(8, rel=0.2)  # binomial, so not a batch of fixed size
    assert UnitSampler(sample_rate=1e-9, records_per_unit=1, seed=0).indices(50) == []


def test_physical_batches_hold_whole_units_in_their_order():
    units = [[0], [1, 2], [3, 4, 5], [6], [7], [8, 9]]
    batches = list(packed(units, 3))
    assert batches == [[[0], [1, 2]], [[3, 4, 5]], [[6], [7]], [[8, 9]]]
    for wrong in ([[1, 2, 3, 4]], [[]]):
        with pytest.raises(InvalidArgument, match="never split"):
            list(packed(wrong, 3))


def test_lora_on_a_public_base_trains_privately_and_the_folder_is_the_model(base, tmp_path):
    folder = train(adapted(base), tmp_path / "model", dataset=world())
    claim = RecommenderManifest.read(folder).privacy
    assert (claim.claim, claim.gradient_path, claim.unit) == ("dp", "fast", "example")
    assert claim.records_per_unit == 1
    assert claim.delta == pytest.approx(1 / (10 * claim.n_units))
    assert 0 < claim.epsilon <= 8.0
    assert claim.self_test["additivity"] < 1e-4
    assert {"torch", "opacus", "peft", "transformers"} == set(claim.libraries)
    assert any("base model" in limit for limit in claim.not_covered)
    assert any("held-out users" in limit for limit in claim.not_covered)
    moved, untrained = (sample_outputs(load_folder(f).model) for f in (folder, base))
    assert float((moved - untrained).abs().max()) > 1e-4


def test_private_steps_move_every_tensor_and_the_reloaded_adapter_has_the_same_logits(tmp_path):
    case = prepared(LORA["rsLoRA"])
    before = [parameter.detach().clone() for parameter in case.parameters]
    accounting = Accounting(n_units=20, sample_rate=0.3, noise_multiplier=0.5, delta=1e-3)
    gradients = PrivateGradients(case.model, case.losses, dp(), accounting)
    optimizer = torch.optim.AdamW(case.parameters, lr=1e-2)
    for rows in ([], ragged_rows(6), ragged_rows(3, seed=1)):
        gradients.step([[row] for row in rows])
        optimizer.step()
    gradients.close()
    assert not [p for p, old in zip(case.parameters, before, strict=True) if torch.equal(p, old)]
    case.model.save_pretrained(tmp_path / "adapter")
    torch.manual_seed(0)
    again = PeftModel.from_pretrained(llama(), tmp_path / "adapter").eval()
    ids = torch.arange(3, 12)[None]
    found = again(ids).logits
    assert float((found - case.model.eval()(ids).logits).abs().max()) < 1e-5
    with again.disable_adapter():
        assert float((found - again(ids).logits).abs().max()) > 1e-4


def test_users_as_units_are_counted_in_the_claim(base, tmp_path):
    recipe = adapted(base, privacy=by_user(delta=1e-3))
    folder = train(recipe, tmp_path / "model", dataset=world())
    claim = RecommenderManifest.read(folder).privacy
    assert (claim.unit, claim.n_units, claim.records_per_unit) == ("user", 70, 2)
    assert claim.sample_rate == pytest.approx(8 / 70)
    assert claim.delta == 1e-3
    assert not any("unit is one row" in limit for limit in claim.not_covered)


def test_checkpointed_activations_train_lora_privately(base, tmp_path):
    recipe = adapted(base)
    options = {"checkpoint_activations": True}
    optimizer = recipe.optimizer.model_copy(update=options)
    train(recipe.model_copy(update={"optimizer": optimizer}), tmp_path / "m", dataset=world())


def test_a_base_that_users_trained_is_refused(tmp_path):
    own = train(small_recipe(steps=1), tmp_path / "own", dataset=world())
    with pytest.raises(ConfigurationError, match=r"trained on users' interactions.*public weights"):
        train(adapted(own), tmp_path / "model", dataset=world())
    with pytest.raises(ConfigurationError, match="p5-mini is trained on users' interactions"):
        train(adapted("p5-mini"), tmp_path / "model", dataset=world())


def test_a_test_seed_repeats_a_run_and_claims_nothing(base, tmp_path):
    folders = [
        train(adapted(base, privacy=dp(test_seed=3)), tmp_path / name, dataset=world())
        for name in "ab"
    ]
    left, right = (sample_outputs(load_folder(folder).model) for folder in folders)
    assert torch.equal(left, right)
    claim = RecommenderManifest.read(folders[0]).privacy
    assert (claim.claim, claim.noise_source) == ("none", "test seed")
    assert "test_seed" in claim.reason


def test_two_runs_without_a_test_seed_differ_although_the_recipe_has_a_seed(base, tmp_path):
    folders = [train(adapted(base), tmp_path / name, dataset=world()) for name in "ab"]
    left, right = (sample_outputs(load_folder(folder).model) for folder in folders)
    assert not torch.equal(left, right)


def test_diagnostics_are_beside_the_model_folder_and_never_in_it(base, tmp_path):
    recipe = adapted(base, privacy=dp(diagnostics=True, clip_norm=1e-3))
    folder = train(recipe, tmp_path / "model", dataset=world())
    path = tmp_path / "model-private-diagnostics" / "steps.jsonl"
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(steps) == 3
    assert path.parent.stat().st_mode & 0o077 == 0
    for step in (step for step in steps if step["units"]):
        assert step["loss"] > 0
        assert step["norm"] > 0
        assert step["clipped"] == 1.0
    claim = RecommenderManifest.read(folder).privacy
    assert any("diagnostics of this run" in limit for limit in claim.not_covered)


PRIVATE_WORDS = ("loss", 'norm"', "clipped", "examples", "tokens_per", '"tokens"', 'units"')


def test_a_private_model_folder_holds_no_loss_norm_or_batch_size(base, tmp_path):
    found = []

    def look(report):
        assert report.loss is None
        found.extend(tmp_path.joinpath("model").rglob("*"))

    folder = train(
        adapted(base, checkpoint_every=1), tmp_path / "model", dataset=world(), on_step=look
    )
    assert not (folder / "log.jsonl").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    assert any(p.name == "state.json" for p in found)  # a checkpoint was seen
    ledger = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert all(set(entry) == {"q", "sigma"} for entry in ledger[1:])
    record = json.loads((folder / "manifest.json").read_text())["volatile"]
    assert not [word for word in PRIVATE_WORDS if word.strip('"') in record]


def test_checkpoints_of_a_private_run_count_no_tokens(base, tmp_path):
    class Killed(Exception):
        pass

    def kill(report):
        if report.step == 2:
            raise Killed

    with pytest.raises(Killed):
        train(adapted(base, checkpoint_every=1), tmp_path / "m", dataset=world(), on_step=kill)
    states = sorted((tmp_path / "m" / "checkpoints").glob("step-*/state.json"))
    assert states
    assert all(json.loads(path.read_text())["tokens"] == 0 for path in states)


def test_a_row_beyond_the_context_is_refused_before_the_first_step(tmp_path):
    steps = []
    recipe = small_recipe(model=small_model(context=40, dropout=0.0), privacy=dp(), steps=2)
    with pytest.raises(ConfigurationError, match=r"Raise model\.context"):
        train(recipe, tmp_path / "m", dataset=world(), on_step=steps.append)
    assert steps == []


def test_a_delta_of_one_over_n_is_refused():
    with pytest.raises(InvalidArgument, match=r"A delta of 0.01 is not below 1 / 100"):
        calibrate(dp(delta=0.01), n_units=100, steps=1)


def test_a_failed_self_test_stops_the_run_before_the_first_step(base, tmp_path, monkeypatch):
    from auditkit.training import objectives

    plain = objectives.OBJECTIVES["language_model"]
    coupled = objectives.Objective(
        lambda model, batch: plain.losses(model, batch) / len(batch.targets), per_example=True
    )
    changed = {**objectives.OBJECTIVES, "language_model": coupled}
    monkeypatch.setattr("auditkit.training.weighted_objectives.OBJECTIVES", changed)
    steps = []
    with pytest.raises(AuditkitError, match="not additive"):
        train(adapted(base), tmp_path / "m", dataset=world(), on_step=steps.append)
    assert steps == []
    assert not (tmp_path / "m" / "recommender.yaml").exists()
