"""A model that memorized the held-out items is told from one that is merely good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_recommenders import Clean, FindsEveryTestItem
from run_probe import run_probe
from small_world import world

from auditkit.catalog.dataset import Dataset
from auditkit.probes.utility.suspicion import MARGIN, excess_over_baselines, held_out_in_training
from auditkit.recommenders.adapters.baselines import load_baseline

EXCESS = "utility.ranking.excess_over_baseline"
DECLARED = {"training": {"data_sha256": world().fingerprint, "fit": "all_but_test"}}


def excess_of(recommender, **options):
    return run_probe("utility.ranking", recommender, **options).one(EXCESS)


def test_a_recommender_that_memorized_the_held_out_items_is_suspicious():
    found = excess_of(FindsEveryTestItem())
    assert found.estimate.low > 0
    assert found.parameters["ratio"] > MARGIN
    assert "could not be checked" in found.notes[0]


@pytest.mark.parametrize("name", ["popularity", "ease", "item-knn"])
def test_a_trained_recommender_is_not_suspicious(name):
    found = excess_of(load_baseline(name, world()))
    assert found.estimate.high < 0
    assert found.parameters["ratio"] <= 1


def test_a_recommender_without_a_hit_is_not_suspicious():
    assert excess_of(Clean()).estimate.low <= 0


def test_declared_training_is_told_from_what_could_not_be_checked():
    found = excess_of(FindsEveryTestItem(), manifest=DECLARED)
    assert found.estimate.low > 0
    assert "a declaration, not a measurement" in found.notes[0]


def test_held_out_items_that_the_data_repeat_are_counted():
    rows = world().interactions
    tests = rows.split().test
    again = rows.item_index.copy()
    for row in tests[:3]:
        again[row] = again[rows.offsets[rows.user_index[row]]]
    leaking = Dataset(world().catalog, replace(rows, item_index=again))
    run = run_probe("utility.ranking", FindsEveryTestItem(), dataset=leaking)
    share = run.one("utility.ranking.held_out_in_training").estimate
    already = held_out_in_training(rows)[0]
    assert (share.value, share.n) == (pytest.approx((already + 3) / len(tests)), len(tests))
    assert "are in the same user's training rows" in run.one(EXCESS).notes[0]


def test_the_excess_is_the_paired_mean_against_the_best_baseline():
    ours = np.array([1.0, 0.5, 0.0, 1.0, 0.5, 0.25])
    others = {"a": np.zeros(6), "b": np.array([0.5, 0.0, 0.0, 0.0, 0.5, 0.0])}
    found = excess_over_baselines(ours, others, rng=np.random.default_rng(0))
    assert found.best == "b"
    assert found.ratio == pytest.approx(3.25)
    assert found.measured.estimate.value == pytest.approx(np.mean(ours - 2 * others["b"]))


def test_baselines_without_a_hit_leave_the_ratio_undefined_but_not_the_excess():
    found = excess_over_baselines(np.ones(40), {"a": np.zeros(40)}, rng=np.random.default_rng(0))
    assert found.ratio is None
    assert found.measured.estimate.low > 0


def test_without_a_baseline_nothing_is_claimed():
    found = excess_over_baselines(np.ones(40), {}, rng=np.random.default_rng(0))
    assert found.measured.estimate.value is None
    assert found.measured.estimate.reason == "no baseline could be fitted"


def gains(rng, n, hit_rate):
    """NDCG@10 of n lists with one held-out item each, found at a random rank."""
    found = rng.random(n) < hit_rate
    return found / np.log2(rng.integers(1, 11, n) + 1)


@pytest.mark.parametrize(("ratio", "least", "most"), [(2.0, 0, 0.1), (6.0, 0.9, 1)])
def test_clean_models_up_to_the_margin_are_rarely_called_suspicious(ratio, least, most):
    # One baseline is far ahead of the other, so choosing the best one does not help the model.
    rng, fired, runs = np.random.default_rng(7), 0, 40
    for _ in range(runs):
        baselines = {"ahead": gains(rng, 250, 0.10), "behind": gains(rng, 250, 0.05)}
        found = excess_over_baselines(gains(rng, 250, 0.10 * ratio), baselines, rng=rng)
        fired += found.measured.estimate.low > 0
    assert least * runs <= fired <= most * runs
