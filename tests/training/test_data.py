"""Training rows: no leakage, targets in place, batches that depend on seed and step alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small_world import N_ITEMS, world
from training_recipes import small_recipe

from auditkit.errors import InvalidArgument
from auditkit.recommenders.tokens import item_tokens
from auditkit.training.data import Row, TrainingRows, collate
from auditkit.training.loop import training_rows


def test_no_row_holds_a_held_out_item_or_a_held_out_user():
    data = world()
    recipe = small_recipe(fit="all_but_validation", holdout_users=20)
    rows = training_rows(recipe, data)
    ids = {token: item for item, token in item_tokens(rows.tokenizer).items()}
    trained = [user for user in range(len(data.interactions.user_ids)) if user not in rows.holdout]
    pairs = {
        (ids[a], ids[b])
        for row in rows.fixed_rows()
        for a, b in itertools.pairwise(row.ids[row.first_target :])
        if a in ids and b in ids
    }
    allowed = set()
    for user in trained:
        history = data.interactions.history(user, until="validation")
        names = [data.catalog.items[item].id for item in history]
        allowed |= set(itertools.pairwise(names))
    assert pairs
    assert pairs <= allowed


def test_every_item_of_a_history_row_is_a_target():
    rows = training_rows(small_recipe(), world())
    items = set(item_tokens(rows.tokenizer).values())
    for row in rows.fixed_rows():
        targets = row.ids[row.first_target :]
        assert (
            all(token in items for token in targets) or targets[-1] == rows.tokenizer.eos_token_id
        )


def test_batches_depend_on_seed_and_step_alone():
    rows = training_rows(small_recipe(), world())
    stream = rows.batches(histories=4, descriptions=2, first_step=0)
    first = [next(stream) for _ in range(40)]
    resumed = next(
        training_rows(small_recipe(), world()).batches(histories=4, descriptions=2, first_step=37)
    )
    assert resumed == first[37]
    other = next(
        training_rows(small_recipe(seed=1), world()).batches(
            histories=4, descriptions=2, first_step=37
        )
    )
    assert other != first[37]


def test_an_epoch_of_windows_covers_every_trained_history_once():
    rows = training_rows(small_recipe(window=5, holdout_users=0), world())
    covered = sum(len(part) for _, part in rows._windows(3))
    total = sum(len(items) for _, items in rows._histories)
    singles = total - covered  # windows of one item have nothing to predict from and are dropped
    assert 0 <= singles <= 2 * len(rows._histories)


def test_collate_pads_on_the_left_and_aligns_targets_at_the_end():
    batch = collate([Row((1, 5, 6, 7), 2), Row((1, 8), 1)], pad=0)
    assert batch.input_ids.tolist() == [[1, 5, 6, 7], [0, 0, 1, 8]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    assert batch.targets.tolist() == [[6, 7], [-100, 8]]


def test_a_row_without_a_target_is_refused():
    with pytest.raises(InvalidArgument, match="nothing to predict"):
        collate([Row((1, 2), 2)], pad=0)


def test_fixed_rows_are_cut_once_and_cover_every_catalog_item():
    data = world()
    rows = training_rows(small_recipe(window=4), data).fixed_rows()
    again = training_rows(small_recipe(window=4), data).fixed_rows()
    assert rows == again
    descriptions = [
        row
        for row in rows
        if row.ids[-1] == training_rows(small_recipe(), data).tokenizer.eos_token_id
    ]
    assert len(descriptions) == N_ITEMS
    assert all(isinstance(row.ids[0], (int, np.integer)) for row in rows)
    assert torch.tensor(rows[0].ids).dtype == torch.long


def test_removing_a_user_changes_no_other_fixed_row():
    data = world()
    all_rows = training_rows(small_recipe(holdout_users=0), data)
    without = TrainingRows(**{**all_rows.__dict__, "holdout": frozenset({3})})
    left = without.fixed_rows()
    own = len(all_rows.fixed_rows()) - len(left)
    assert own > 0
    remaining = iter(all_rows.fixed_rows())
    assert all(any(row == other for other in remaining) for row in left)  # in the same order
