"""Weights of targets by item group: the formula, where they act, and what cannot be weighed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_world import world
from training_recipes import rows_of, small_recipe

from auditkit.recommenders.wrappers.item_groups import group_items
from auditkit.training.loop import train
from auditkit.training.model import build_model
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import DataRecipe, ModelRecipe, ReweightingRecipe
from auditkit.training.reweighting import group_weights, target_weights
from auditkit.training.rows.batches import collate
from auditkit.training.rows.history_sampling import training_histories
from auditkit.training.training_users import draw_holdout

SHARES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=2, max_size=6)


def test_group_weights_worked_by_hand():
    """GH .5 against GP .8 weighs .625, .3 against .1 three times, .1 against .1 once; a group that
    is never shown weighs 5 whatever its history, and a ratio is clipped."""
    found = group_weights([0.5, 0.3, 0.1, 0.1], [0.8, 0.1, 0.1, 0.0], gamma=1.0)
    assert found == pytest.approx([0.625, 3.0, 1.0, 5.0])
    assert group_weights([0.9, 0.01], [0.1, 0.9], gamma=1.0) == pytest.approx([5.0, 0.2])
    assert group_weights([0.4, 0.4, 0.2], [0.8, 0.2, 0], gamma=0) == pytest.approx([1, 1, 5])
    assert group_weights([0.5, 0.5], [0.8, 0.2], gamma=0.5) == pytest.approx([0.625**0.5, 2.5**0.5])


@given(history=SHARES, shown=SHARES, gamma=st.floats(0.1, 3))
def test_group_weights_stay_within_their_clip_and_favor_who_is_shown_too_little(
    history, shown, gamma
):
    n = min(len(history), len(shown))
    history, shown = history[:n], shown[:n]
    found = group_weights(history, shown, gamma=gamma)
    assert ((found >= 0.2) & (found <= 5)).all()
    for weight, chosen, given_ in zip(found, history, shown, strict=True):
        assert weight >= 1 or chosen < given_
        assert weight <= 1 or chosen > given_ or given_ == 0


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    return train(small_recipe(steps=3), folder, dataset=world())


def reweighted(base, **changes):
    options = {"groups": "popularity", "gamma": 1.0, **changes}
    data = DataRecipe(holdout_users=10, window=8, reweighting=ReweightingRecipe(**options))
    recipe = small_recipe(model=ModelRecipe(base=str(base)))
    return recipe.model_copy(update={"data": data})


def test_weights_are_those_of_the_groups_and_their_mean_over_targets_is_one(base):
    data, recipe = world(), reweighted(base)
    held = draw_holdout(recipe, n_users=len(data.interactions.user_ids))
    weights = target_weights(recipe, data, base, held)
    everybody = enumerate(training_histories(data, fit=recipe.data.fit))
    histories = [items for user, items in everybody if user not in held]
    assert np.concatenate([weights[own] for own in histories]).mean() == pytest.approx(1)
    groups = group_items(data, "popularity", histories)
    by_group = {}
    for item, weight in zip(data.catalog.items, weights, strict=True):
        by_group.setdefault(int(groups.membership[item.id].argmax()), set()).add(round(weight, 9))
    assert all(len(found) == 1 for found in by_group.values())
    assert len(set.union(*by_group.values())) > 1
    assert target_weights(small_recipe(), data, base, held) is None


def test_reweighting_trains_another_model_than_the_same_steps_without(base, tmp_path):
    with_weights = train(reweighted(base, groups="genre"), tmp_path / "a", dataset=world())
    plain = small_recipe(model=ModelRecipe(base=str(base)))
    without = train(plain, tmp_path / "b", dataset=world())
    left, right = (f / "model.safetensors" for f in (with_weights, without))
    assert left.read_bytes() != right.read_bytes()


def test_rows_carry_the_weights_of_their_target_items():
    tasks = {"recommend": 4, "direct": 2, "rating": 2}
    rows = rows_of(small_recipe(tasks=tasks), world())
    weights = np.linspace(0.5, 2.0, len(world().catalog.items))
    weighed = replace(rows, item_weights=weights)
    tokens = {token: item for item, (token,) in rows.tokens.items()}
    for row in next(weighed.batches(tasks, first_step=0)):
        targets = [tokens.get(token) for token in row.ids[row.first_target :]]
        if None in targets:  # an answer in words
            assert row.weights == ()
        else:
            expected = [weights[world().catalog.index[item]] for item in targets]
            assert row.weights == pytest.approx(expected)
    assert all(row.weights == () for row in next(rows.batches(tasks, first_step=0)))


def test_a_weight_multiplies_the_loss_of_its_own_target():
    recipe = small_recipe(dropout=0.0)
    rows = rows_of(recipe, world())
    model = build_model(recipe.model, rows.tokenizer, seed=0).double().eval()
    pad = rows.tokenizer.pad_token_id
    plain, other = (row for row in rows.fixed_rows()[:2])
    n = len(plain.ids) - plain.first_target
    losses = OBJECTIVES["language_model"].losses

    def of(weights):
        return losses(model, collate([plain._replace(weights=weights), other], pad=pad)).double()

    alone = of(())
    torch.testing.assert_close(of((1.0,) * n), alone, rtol=0, atol=1e-6)
    each = [of(tuple(float(i == j) for j in range(n)))[0] for i in range(n)]
    torch.testing.assert_close(sum(each), alone[0], rtol=0, atol=1e-5)
    weights = tuple(float(w) for w in np.linspace(0.2, 5, n))
    expected = sum(w * loss for w, loss in zip(weights, each, strict=True))
    found = of(weights)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found[1], alone[1], rtol=0, atol=0)
