"""Recommenders that only count."""

from __future__ import annotations

import numpy as np
import pytest
from small_world import world

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.baselines import BASELINES, load_baseline
from auditkit.types import Item, Request

ITEMS = tuple(Item(item.id, item.display_title) for item in world().catalog.items)
EVERY = pytest.mark.parametrize("name", sorted(set(BASELINES) - {"bm25"}))  # reads text


def answer(name, **fields):
    return load_baseline(name, world()).recommend([Request(id="r", seed=7, **fields)])[0]


@EVERY
def test_baseline_leaves_out_the_history(name):
    ids = [item.item_id for item in answer(name, history=ITEMS[:50], k=60).items]
    assert sorted(ids) == sorted(item.id for item in ITEMS[50:])


@EVERY
def test_baseline_ranks_candidates_only(name):
    response = answer(name, candidates=ITEMS[5:9], history=ITEMS[5:6], k=10)
    assert {item.item_id for item in response.items} == {item.id for item in ITEMS[6:9]}


@EVERY
def test_baseline_lists_best_first(name):
    scores = [item.score for item in answer(name, history=ITEMS[:3]).items]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 10


@EVERY
def test_baseline_answers_an_empty_history_and_foreign_items(name):
    assert len(answer(name, history=(Item("999", "Unknown"),)).items) == 10
    assert len(answer(name).items) == 10


@EVERY
def test_baseline_without_candidates_left_gives_no_answer(name):
    assert answer(name, candidates=ITEMS[:1], history=ITEMS[:1]).status == "no_answer"


@EVERY
def test_baseline_does_not_depend_on_the_batch(name):
    baseline = load_baseline(name, world())
    asked = [Request(id=str(i), seed=i, history=ITEMS[i : i + 4]) for i in range(6)]
    assert baseline.recommend(asked) == [baseline.recommend([request])[0] for request in asked]


def test_popularity_ranks_by_the_number_of_users_before_the_test_item():
    interactions = world().interactions
    counts = np.zeros(len(ITEMS))
    for user in range(len(interactions.user_ids)):
        counts[interactions.history(user, until="test")] += 1
    listed = [world().catalog.index[item.item_id] for item in answer("popularity", k=60).items]
    assert [counts[row] for row in listed] == sorted(counts, reverse=True)


def test_random_depends_on_the_request_seed_alone():
    baseline = load_baseline("random", world())
    lists = [
        tuple(i.item_id for i in baseline.recommend([Request(id="r", seed=s)])[0].items)
        for s in (1, 1, 2)
    ]
    assert lists[0] == lists[1] != lists[2]


def test_baselines_differ_in_their_fingerprint():
    assert len({load_baseline(name, world()).fingerprint() for name in BASELINES}) == len(BASELINES)


def test_unknown_baseline_is_refused_with_the_nearest_name():
    with pytest.raises(TargetUnavailable, match="Did you mean 'popularity'"):
        load_baseline("popularty", world())
