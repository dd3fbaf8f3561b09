"""Every objective of single examples is exact and additive under per-example gradients."""

from __future__ import annotations

import pytest
import torch
from private_models import FULL, LORA, median_norm, one_at_a_time, prepared, ragged_rows

from auditkit.errors import AuditkitError
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import Accounting
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import PrivacyRecipe
from auditkit.training.rows.batches import Row

SILENT = Accounting(n_units=100, sample_rate=0.07, noise_multiplier=0.0, delta=1e-4)
# The others read rows that private training does not have, see `recipe_checks`.
PRIVATE = [
    name
    for name, objective in OBJECTIVES.items()
    if objective.per_example and objective.kind is Row and name != "choice"
]
MODELS = {
    "fast": LORA["LoRA, tied frozen embeddings"],
    "hooks": FULL["full Llama, tied"],
    "fast on T5": LORA["LoRA on q and v of T5"],
}


def rows_with_counterfactuals():
    """Every row but one has a counterfactual with another prompt of another length."""
    rows = ragged_rows(7)
    changed = [row._replace(counterfactual=(5, 9, *row.ids[1:])) for row in rows[:-1]]
    return [*changed, rows[-1]]


def private(case):
    settings = PrivacyRecipe(mechanism="dp_sgd", physical_batch=4)
    return PrivateGradients(case.model, case.losses, settings, SILENT)


def test_the_list_of_private_objectives_is_complete():
    assert set(PRIVATE) >= {
        "language_model", "counterfactual_consistency", "embedding_adversarial",
    }  # fmt: skip


@pytest.mark.parametrize("path", list(MODELS))
@pytest.mark.parametrize("name", PRIVATE)
def test_an_objective_is_exact_and_additive(name, path):
    # A consistency of 0 gives no gradient to the row without a counterfactual.
    chosen = (name,) if name != "counterfactual_consistency" else ("language_model", name)
    case, rows = prepared(MODELS[path], chosen), rows_with_counterfactuals()
    units = [[row] for row in rows]
    clip = median_norm(case, units)
    expected = one_at_a_time(case, units, clip=clip)
    gradients = private(case)
    assert gradients.path == path.split()[0]
    found = gradients.clipped_sum(units, clip=clip)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert gradients.self_test(units).additivity < 1e-4


@pytest.mark.parametrize("path", ["fast", "hooks"])
def test_the_gradients_that_find_an_adversarial_direction_are_not_recorded(path):
    """The perturbation alone would double what is recorded, if it were."""
    case = prepared(MODELS[path], ("embedding_adversarial",), scale=1e-9)
    plain = prepared(MODELS[path])
    units = [[row] for row in ragged_rows(3)]
    for ours, theirs in zip(
        private(case).clipped_sum(units, clip=10.0),
        private(plain).clipped_sum(units, clip=10.0),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_a_consistency_without_counterfactuals_has_gradients_of_zero():
    case = prepared(MODELS["fast"], ("counterfactual_consistency",))
    found = private(case).clipped_sum([[row] for row in ragged_rows(3)], clip=1.0)
    assert all(not bool(total.any()) for total in found)


def test_a_perturbation_that_starts_at_random_fails_the_self_test():
    case = prepared(MODELS["fast"], ("embedding_adversarial",), scale=50.0, steps=2)
    with pytest.raises(AuditkitError, match="not additive"):
        private(case).self_test([[row] for row in ragged_rows(6)])
