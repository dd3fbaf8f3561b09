"""DP-SGD: equal to Opacus' optimizer, additive, never seeded, charged for every step."""

from __future__ import annotations

import os
from functools import cache

import pytest
import torch
from opacus.accountants import PRVAccountant
from opacus.grad_sample.utils import prepare_module
from opacus.optimizers import DPOptimizer
from small_world import world
from training_recipes import rows_of, small_recipe

from auditkit.errors import AuditkitError, ConfigurationError, InvalidArgument
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import Accounting, Ledger, calibrate
from auditkit.training.loop import train
from auditkit.training.model import build_model
from auditkit.training.objectives import language_model
from auditkit.training.recipe import PrivacyRecipe
from auditkit.training.rows.batches import collate

DP = PrivacyRecipe(
    mechanism="dp_sgd", epsilon=8.0, clip_norm=0.5, expected_batch=8, physical_batch=3
)


# Some seconds for each run of the same recipe; what it finds is tested below, uncached.
once_calibrated = cache(calibrate)


@pytest.fixture(autouse=True)
def calibrated_once(monkeypatch):
    monkeypatch.setattr("auditkit.training.private_training.calibrate", once_calibrated)


@pytest.fixture
def private():
    recipe = small_recipe(dropout=0.0)
    rows = rows_of(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0)
    model.train()
    pad = rows.tokenizer.pad_token_id
    units = [[row] for row in rows.fixed_rows()]

    def losses(chosen):
        return language_model(model, collate(chosen, pad=pad))

    silent = Accounting(
        n_units=len(units), sample_rate=8 / len(units), noise_multiplier=0.0, delta=1e-4
    )
    gradients = PrivateGradients(model, losses, DP, silent)
    yield model, losses, gradients, units
    gradients.close()


def test_the_clipped_sum_equals_the_sum_of_clipped_plain_gradients(private):
    _model, _losses, gradients, units = private
    rows = units[:7]
    total = gradients.clipped_sum(rows, clip=0.5)
    expected = [torch.zeros_like(p) for p in gradients.parameters]
    for row in rows:
        plain = gradients._plain(row)
        norm = torch.stack([g.norm() for g in plain]).norm()
        for sum_, g in zip(expected, plain, strict=True):
            sum_ += g * min(1.0, 0.5 / (float(norm) + 1e-6))
    for ours, theirs in zip(total, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_one_step_without_noise_equals_the_dp_optimizer_of_opacus(private):
    model, losses, gradients, units = private
    rows = units[:8]
    gradients.step(rows)
    ours = [p.grad.clone() for p in gradients.parameters]
    gradients.close()
    hooks = prepare_module(model, "hooks", wrap_model=False, loss_reduction="sum", strict=False)
    for parameter in model.parameters():
        parameter.grad = parameter.grad_sample = None
    oracle = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.0),
        noise_multiplier=0.0,
        max_grad_norm=0.5,
        expected_batch_size=8,
        loss_reduction="mean",
    )
    torch.autograd.backward(losses([row for (row,) in rows]).sum())
    oracle.pre_step()
    for own, parameter in zip(ours, gradients.parameters, strict=True):
        torch.testing.assert_close(own, parameter.grad, rtol=1e-4, atol=1e-6)
    hooks.cleanup()


def test_no_single_row_moves_the_clipped_sum_by_more_than_the_clip_norm(private):
    _, _, gradients, units = private
    rows = units[:6]
    whole = gradients.clipped_sum(rows, clip=0.1)
    for i in range(len(rows)):
        rest = gradients.clipped_sum([*rows[:i], *rows[i + 1 :]], clip=0.1)
        moved = torch.stack([(a - b).norm() for a, b in zip(whole, rest, strict=True)]).norm()
        assert float(moved) <= 0.1 * (1 + 1e-4)


def test_the_self_test_passes_the_right_loss_and_refuses_a_batch_mean(private):
    _, losses, gradients, units = private
    rows = [units[0], units[3], units[-1], units[-5]]
    assert gradients.self_test(rows).additivity < 1e-4

    def coupled(chosen):
        return losses(chosen).mean().expand(len(chosen)) * torch.arange(1, len(chosen) + 1)

    gradients._losses = coupled
    with pytest.raises(AuditkitError, match="not additive"):
        gradients.self_test(rows)


def test_an_empty_sample_still_gives_a_noisy_gradient(private):
    _model, _losses, _, units = private
    noisy = Accounting(n_units=len(units), sample_rate=0.1, noise_multiplier=1.0, delta=1e-4)
    gradients = PrivateGradients.__new__(PrivateGradients)
    gradients.__dict__.update(private[2].__dict__, accounting=noisy)
    gradients.step([])
    spread = torch.cat([p.grad.flatten() for p in gradients.parameters]).std()
    assert float(spread) == pytest.approx(0.5 / (0.1 * len(units)), rel=0.1)


def test_sampling_and_noise_are_never_seeded(private):
    _, _, gradients, units = private
    model, losses = private[0], private[1]
    gradients.close()
    torch.manual_seed(0)
    first = PrivateGradients(model, losses, DP, gradients.accounting)
    samples = [first.sample() for _ in range(20)]
    first.close()
    torch.manual_seed(0)
    second = PrivateGradients(model, losses, DP, gradients.accounting)
    assert [second.sample() for _ in range(20)] != samples
    assert first._noise.initial_seed() != second._noise.initial_seed()
    assert all(0 <= i < len(units) for sample in samples for i in sample)
    second.close()


def test_calibration_meets_the_target_and_rounds_noise_up():
    accounting = calibrate(DP, n_units=200, steps=50)
    accountant = PRVAccountant()
    for _ in range(50):
        accountant.step(
            noise_multiplier=accounting.noise_multiplier, sample_rate=accounting.sample_rate
        )
    assert accounting.delta == pytest.approx(1 / 2000)
    assert 7.8 < accountant.get_epsilon(delta=accounting.delta) <= 8.0


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(InvalidArgument, match="exceeds"):
        calibrate(DP, n_units=4, steps=10)


def test_the_ledger_counts_lost_steps_too(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.spent(1e-4).epsilon == 0
    for _ in range(5):
        ledger.charge(noise_multiplier=1.0, sample_rate=0.05)
    five = Ledger(tmp_path / "ledger.jsonl").spent(1e-4)
    ledger.charge(noise_multiplier=1.0, sample_rate=0.05)
    six = ledger.spent(1e-4)
    assert (five.steps, six.steps) == (5, 6)
    assert six.accountant == "prv"
    assert six.epsilon > five.epsilon > 0
    assert six.epsilon_rdp >= six.epsilon


def test_steps_that_prv_cannot_compute_are_claimed_by_rdp(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for _ in range(3):
        ledger.charge(noise_multiplier=0.05, sample_rate=0.5)
    spent = ledger.spent(1e-5)
    assert spent.accountant == "rdp"
    assert spent.epsilon == spent.epsilon_rdp > 100


def test_a_private_run_ends_with_a_claim_within_its_target(tmp_path):
    recipe = small_recipe(dropout=0.0, privacy=DP, steps=6)
    folder = train(recipe, tmp_path, dataset=world())
    claim = RecommenderManifest.read(folder).privacy
    assert claim is not None
    assert 0 < claim.epsilon <= 8.0 < claim.epsilon_rdp * 2
    assert claim.steps == 6
    assert claim.unit == "example"
    assert claim.n_units == len(rows_of(recipe, world()).fixed_rows())
    assert claim.self_test["additivity"] < 1e-4
    assert claim.self_test["sensitivity"] <= 1 + 1e-4
    assert not (folder / "log.jsonl").exists()


class Killed(Exception):
    """Stands for a kill between two steps."""


def killed_after(step, folder, **changed):
    def on_step(report):
        if report.step == step:
            raise Killed

    recipe = small_recipe(dropout=0.0, privacy=DP, steps=8, **changed)
    with pytest.raises(Killed):
        train(recipe, folder, dataset=world(), on_step=on_step)
    return recipe


@pytest.mark.parametrize(("step", "charged"), [(3, 11), pytest.param(5, 9, marks=pytest.mark.slow)])
def test_every_step_before_a_kill_is_charged(tmp_path, step, charged):
    recipe = killed_after(step, tmp_path)  # a checkpoint is written after step 4
    train(recipe, tmp_path, dataset=world())
    assert RecommenderManifest.read(tmp_path).privacy.steps == charged


def test_the_ledger_of_another_run_is_not_charged_to_this_one(tmp_path):
    killed_after(3, tmp_path, seed=1)
    train(small_recipe(dropout=0.0, privacy=DP, steps=8), tmp_path, dataset=world())
    assert RecommenderManifest.read(tmp_path).privacy.steps == 8


def test_a_checkpoint_without_its_ledger_is_refused(tmp_path):
    recipe = killed_after(5, tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(ConfigurationError, match="steps but the checkpoint is at step"):
        train(recipe, tmp_path, dataset=world())


def test_a_line_torn_by_a_kill_is_cut_off(tmp_path):
    recipe = killed_after(5, tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as stream:
        stream.write('{"q":0.')
    train(recipe, tmp_path, dataset=world())
    assert RecommenderManifest.read(tmp_path).privacy.steps == 9


def test_a_charge_is_on_disk_before_it_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    Ledger(tmp_path / "ledger.jsonl").charge(noise_multiplier=1.0, sample_rate=0.05)
    assert synced == [(tmp_path / "ledger.jsonl").stat().st_size]


def test_the_self_test_sees_no_training_row(tmp_path, monkeypatch):
    seen = []
    own = PrivateGradients.self_test

    def recorded(gradients, units):
        seen.extend(row for unit in units for row in unit)
        return own(gradients, units)

    monkeypatch.setattr(PrivateGradients, "self_test", recorded)
    recipe = small_recipe(dropout=0.0, privacy=DP, steps=1)
    train(recipe, tmp_path, dataset=world())
    assert len(seen) == 6
    assert len({len(row.ids) - row.first_target for row in seen}) > 1  # ragged labels
    assert not set(seen) & set(rows_of(recipe, world()).fixed_rows())
