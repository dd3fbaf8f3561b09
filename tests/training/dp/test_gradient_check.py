"""The self-test catches broken loops, and says so when it cannot show anything."""

from __future__ import annotations

import pytest
import torch
from private_models import LORA, MODELS, gpt2, grouped, prepared, ragged_rows, with_lora

from auditkit.errors import AuditkitError
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.gradient_check import check_gradients, comparable
from auditkit.training.dp.ledger import Accounting
from auditkit.training.recipe import PrivacyRecipe

SILENT = Accounting(n_units=100, sample_rate=0.07, noise_multiplier=0.0, delta=1e-4)
UNITS = [[row] for row in ragged_rows(6)]


def private(case, **changes):
    settings = PrivacyRecipe(**{"mechanism": "dp_sgd", "physical_batch": 8, **changes})
    return PrivateGradients(case.model, case.losses, settings, SILENT)


def norm_of(tensors):
    return torch.cat([t.flatten() for t in tensors]).norm()


@pytest.mark.parametrize("path", ["fast", "hooks"])
def test_a_correct_loop_passes_with_an_error_of_rounding(path):
    found = private(prepared(LORA["rsLoRA"]), gradient_path=path).self_test(UNITS)
    assert found.additivity < 1e-5
    assert found.sensitivity <= 1 + 1e-5


def test_a_correct_loop_passes_for_users():
    gradients = private(prepared(LORA["rsLoRA"]), unit="user", records_per_unit=2)
    assert gradients.self_test(grouped(ragged_rows(12), [2] * 6)).additivity < 1e-5


def test_the_mean_loss_of_the_batch_is_caught():
    case = prepared(LORA["rsLoRA"])
    plain = case.losses

    def batch_mean(rows):  # all tokens of the batch in one mean, as model(labels=...).loss has it
        counts = torch.tensor([len(row.ids) - row.first_target for row in rows]).float()
        return plain(rows) * counts / counts.sum()

    case.losses = batch_mean
    with pytest.raises(AuditkitError, match="not additive"):
        private(case).self_test(UNITS)


def broken(case, combine):
    """A loop that combines the examples' gradients in its own way, against a plain loop."""
    gradients = private(case)

    def clipped_sum(units, *, clip):
        samples = gradients._per_unit(units)[1]
        return combine(samples, clip)

    return check_gradients(clipped_sum, gradients._plain, UNITS)


def factors(samples, clip):
    norms = torch.stack([s.flatten(1).norm(dim=1) for s in samples]).norm(dim=0)
    return (clip / (norms + 1e-6)).clamp(max=1)


def summed(samples, weights):
    return [torch.einsum("b,b...->...", weights, sample) for sample in samples]


def clip_the_batch(samples, clip):
    total = [sample.sum(dim=0) for sample in samples]
    return [t * min(1.0, clip / float(norm_of(total))) for t in total]


def clip_nothing(samples, clip):
    return [sample.sum(dim=0) for sample in samples]


def skip_a_parameter(samples, clip):
    found = summed(samples, factors(samples, clip))
    return [found[0] * 0, *found[1:]]


def leave_a_parameter_out_of_the_norm(samples, clip):
    return summed(samples, factors(samples[2:], clip))


def double(samples, clip):
    return [2 * t for t in summed(samples, factors(samples, clip))]


def right(samples, clip):
    return summed(samples, factors(samples, clip))


@pytest.mark.parametrize(
    "combine",
    [clip_the_batch, clip_nothing, skip_a_parameter, leave_a_parameter_out_of_the_norm, double],
)
def test_a_broken_loop_is_caught(combine):
    case = prepared(LORA["rsLoRA"])
    assert broken(case, right).additivity < 1e-5
    with pytest.raises(AuditkitError, match="not additive"):
        broken(case, combine)


def test_an_example_that_reads_its_neighbor_is_caught():
    case = prepared(LORA["rsLoRA"])
    plain = case.losses
    case.losses = lambda rows: plain(rows) * (1 + plain(rows).detach().roll(1))
    with pytest.raises(AuditkitError, match="not additive"):
        private(case).self_test(UNITS)


@pytest.mark.parametrize("factor", [0.0, float("nan")])
def test_gradients_that_show_nothing_do_not_pass(factor):
    case = prepared(LORA["rsLoRA"])
    plain = case.losses
    case.losses = lambda rows: factor * plain(rows)
    with pytest.raises(AuditkitError, match="0 or not finite"):
        private(case).self_test(UNITS)


def test_a_clipped_sum_that_is_not_a_number_does_not_pass():
    case = prepared(LORA["rsLoRA"])
    with pytest.raises(AuditkitError, match="not additive"):
        broken(case, lambda samples, clip: [torch.nan * sample.sum(dim=0) for sample in samples])


def test_the_second_factor_of_lora_is_moved_and_restored():
    torch.manual_seed(0)
    model = LORA["rsLoRA"]().train()
    zeros = [p for p in model.parameters() if p.requires_grad and not p.any()]
    before = {name: p.clone() for name, p in model.named_parameters()}
    with comparable(model):
        assert zeros
        assert all(0.01 < float(p.std()) < 0.03 for p in zeros)
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())


def test_dropout_is_off_during_the_self_test_and_on_again_afterwards():
    def dropping():
        model = gpt2()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.5
        return with_lora(model, targets=["c_attn"], fan_in_fan_out=True, lora_dropout=0.4)

    case = prepared(dropping)
    gradients = private(case)
    assert gradients.self_test(UNITS).additivity < 1e-5
    found = {m.p for m in case.model.modules() if isinstance(m, torch.nn.Dropout)}
    assert found == {0.5, 0.4}


@pytest.mark.parametrize("name", list(MODELS))
def test_every_supported_model_passes_its_self_test(name):
    assert private(prepared(MODELS[name])).self_test(UNITS).additivity < 1e-5
