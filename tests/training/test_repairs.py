"""A planted association is measured, and training with the term takes it away."""

from __future__ import annotations

import numpy as np
import pytest
from planted_data import declared_for, plant, planted_films
from small_world import world

from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.training.loop import train
from auditkit.training.recipe_checks import read_training_recipe

AUDIT = AuditRecipe(
    version=1,
    name="repairs",
    probes={
        "fairness.counterfactual": {"n_probes": 150, "attributes": ["gender"]},
        "utility.ranking": {},
    },
)


def test_planting_adds_films_of_the_set_to_womens_training_histories_alone():
    clean = world()
    films = planted_films(clean, n=4)
    planted = plant(clean, films=films)
    added = 0
    for user, attributes in enumerate(clean.interactions.attributes):
        before, after = (d.interactions.history(user, until="test") for d in (clean, planted))
        kept = [row for row in after.tolist() if row in before.tolist()]
        assert len(after) == len(before) or attributes["gender"] == "female"
        assert [row for row in before.tolist() if row not in kept] == []
        assert np.isin([row for row in after.tolist() if row not in kept], films).all()
        assert after[0] == before[0]
        assert after[-1] == before[-1]  # the validation item
        for role in ("validation", "test"):
            held = planted.interactions.held_out(user, role=role).tolist()
            assert held == clean.interactions.held_out(user, role=role).tolist()
            assert not set(held) & (set(after.tolist()) - set(before.tolist()))
        added += len(after) - len(before)
    assert added > 0
    assert planted.fingerprint == plant(clean, films=films).fingerprint != clean.fingerprint


@pytest.mark.slow
def test_a_planted_gap_is_lower_beyond_its_bounds_than_after_the_same_steps_without_the_term(
    ml100k, tmp_path
):
    data = plant(ml100k)
    begun = read_training_recipe(find_recipe("p5-mini", kind="train"))
    begun = begun.model_copy(update={"steps": 400})
    base = train(begun, tmp_path / "base", dataset=data)
    repair = read_training_recipe(find_recipe("p5-mini-consistent", kind="train"))
    model = repair.model.model_copy(update={"base": str(base)})
    repair = repair.model_copy(update={"model": model, "steps": 100})
    control = repair.model_copy(update={"objectives": {"language_model": 1.0}})
    folders = {
        "repaired": train(repair, tmp_path / "repaired", dataset=data),
        "control": train(control, tmp_path / "control", dataset=data),
    }
    gaps, gains = {}, {}
    for name, folder in folders.items():
        target = declared_for(ml100k, folder, tmp_path / "audited" / name)
        result = run_audit(str(target), AUDIT, tmp_path / "runs" / name)
        found = {(f.metric, f.group): f.estimate for f in result.findings}
        gaps[name] = found["fairness.counterfactual.snsr", "gender"]
        gains[name] = found["utility.ranking.ndcg@10", "all"]
    print(*(f"{n}: SNSR {g.value:.3f} [{g.low:.3f}, {g.high:.3f}]" for n, g in gaps.items()))
    assert gaps["control"].low > 0.05  # [.135, .204] where it was measured, repaired [.008, .031]
    assert gaps["repaired"].high < gaps["control"].low
    assert gains["repaired"].value > 0.9 * gains["control"].value
