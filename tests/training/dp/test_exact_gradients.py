"""Every supported trainable set: the clipped sum is that of a plain loop, and that of Opacus."""

from __future__ import annotations

import pytest
import torch
from opacus.grad_sample.utils import prepare_module
from opacus.optimizers import DPOptimizer
from private_models import (
    FULL,
    LORA,
    MODELS,
    grouped,
    median_norm,
    one_at_a_time,
    prepared,
    ragged_rows,
)

from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.recipe import PrivacyRecipe

SILENT = Accounting(n_units=100, sample_rate=0.07, noise_multiplier=0.0, delta=1e-4)


def settings(**changes):
    return PrivacyRecipe(**{"mechanism": "dp_sgd", "physical_batch": 4, **changes})


def largest(left, right):
    return max(float((a - b).abs().max()) for a, b in zip(left, right, strict=True))


def private(case, **changes):
    return PrivateGradients(case.model, case.losses, settings(**changes), SILENT)


def opacus(case, rows, *, clip):
    """The clipped sum of DPOptimizer without noise."""
    hooks = prepare_module(
        case.model, "hooks", wrap_model=False, loss_reduction="sum", strict=False
    )
    optimizer = DPOptimizer(
        torch.optim.SGD(case.parameters, lr=0.0),
        noise_multiplier=0.0,
        max_grad_norm=clip,
        expected_batch_size=1,
        loss_reduction="mean",
    )
    torch.autograd.backward(case.losses(rows).sum())
    optimizer.pre_step()
    found = [parameter.grad.clone() for parameter in case.parameters]
    hooks.cleanup()
    for parameter in case.parameters:
        parameter.grad = None
    return found


@pytest.mark.parametrize(
    ("name", "path"),
    [*((name, path) for name in LORA for path in ("fast", "hooks")), *((n, "hooks") for n in FULL)],
)
def test_the_clipped_sum_is_that_of_a_plain_loop_and_of_opacus(name, path):
    case, rows = prepared(MODELS[name]), ragged_rows()
    units = [[row] for row in rows]
    clip = median_norm(case, units)
    expected = one_at_a_time(case, units, clip=clip)
    assert min(float(gradient.abs().max()) for gradient in expected) > 1e-4  # every one is trained
    assert largest(opacus(case, rows, clip=clip), expected) < 1e-5
    gradients = private(case, gradient_path=path)
    assert largest(gradients.clipped_sum(units, clip=clip), expected) < 1e-5
    assert gradients.path == path
    gradients.close()
    assert largest(one_at_a_time(case, units, clip=clip), expected) < 1e-7  # the model is restored


@pytest.mark.parametrize(("path", "reentrant"), [("fast", False), ("fast", True), ("hooks", True)])
def test_checkpointed_activations_give_the_same_clipped_sum(path, reentrant):
    case, rows = prepared(LORA["LoRA, tied frozen embeddings"]), ragged_rows()
    units = [[row] for row in rows]
    clip = median_norm(case, units)
    expected = one_at_a_time(case, units, clip=clip)
    case.model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if reentrant:
        case.model.enable_input_require_grads()
    seen = []
    layer = case.model.get_decoder().layers[0]
    layer.register_forward_hook(lambda *_: seen.append(1))
    gradients = private(case, gradient_path=path)
    assert largest(gradients.clipped_sum(units[:4], clip=clip), expected) > 1e-3
    assert largest(gradients.clipped_sum(units, clip=clip), expected) < 1e-5
    assert gradients.self_test(units).additivity < 1e-5
    assert len(seen) > 3  # layers are recomputed


@pytest.mark.parametrize("path", ["fast", "hooks"])
@pytest.mark.parametrize("name", ["LoRA, tied frozen embeddings", "LoRA on q and v of T5"])
def test_a_user_is_averaged_and_then_clipped(name, path):
    case, units = prepared(MODELS[name]), grouped(ragged_rows(9), [1, 3, 2, 3])
    clip = median_norm(case, units)
    expected = one_at_a_time(case, units, clip=clip)
    gradients = private(case, unit="user", records_per_unit=3, gradient_path=path)
    assert largest(gradients.clipped_sum(units, clip=clip), expected) < 1e-5
    rows = [[row] for unit in units for row in unit]
    assert largest(gradients.clipped_sum(rows, clip=clip), expected) > 1e-3


def test_an_automatic_path_is_fast_for_lora_and_hooks_for_a_full_model():
    assert private(prepared(LORA["rsLoRA"])).path == "fast"
    assert private(prepared(FULL["full Llama, tied"])).path == "hooks"


def test_a_layer_that_is_used_twice_adds_its_gradients_before_the_norm():
    case, rows = prepared(LORA["LoRA, tied frozen embeddings"]), ragged_rows()
    once = case.losses

    def twice(chosen):  # both uses are in one graph
        return once(chosen) + 2 * once([row._replace(ids=row.ids[::-1]) for row in chosen])

    case.losses = twice
    units = [[row] for row in rows]
    clip = median_norm(case, units)
    expected = one_at_a_time(case, units, clip=clip)
    assert largest(private(case).clipped_sum(units, clip=clip), expected) < 1e-5


def test_one_example_whose_loss_is_not_finite_counts_as_zero():
    case, rows = prepared(LORA["LoRA, tied frozen embeddings"]), ragged_rows()
    plain, units = case.losses, [[row] for row in rows]
    expected = one_at_a_time(case, units[1:], clip=0.1)

    def broken(chosen):
        factors = [float("nan") if row == rows[0] else 1.0 for row in chosen]
        return plain(chosen) * torch.tensor(factors)

    case.losses = broken
    assert largest(private(case).clipped_sum(units, clip=0.1), expected) < 1e-5
    with pytest.raises(Exception, match="All 1 gradients"):
        private(case).clipped_sum(units[:1], clip=0.1)


def test_noise_has_the_standard_deviation_that_was_accounted_for():
    case = prepared(FULL["full Llama, tied"])
    accounting = Accounting(n_units=50, sample_rate=0.2, noise_multiplier=1.5, delta=1e-3)
    chosen = settings(clip_norm=0.4, gradient_path="hooks")
    gradients = PrivateGradients(case.model, case.losses, chosen, accounting)
    gradients.step([])
    values = torch.cat([p.grad.flatten() for p in case.parameters])
    expected = 1.5 * 0.4 / (0.2 * 50)
    tolerance = 5 / (2 * len(values)) ** 0.5  # five standard errors; a doubled scale is far outside
    assert float(values.std()) / expected == pytest.approx(1, abs=tolerance)
    assert abs(float(values.mean())) < 5 * expected / len(values) ** 0.5
