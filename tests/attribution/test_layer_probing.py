"""Probing classifiers: what is in the states is decoded, what is not is not, and p is a p-value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from threadpoolctl import threadpool_limits

from auditkit.attribution.layer_probing import balanced_accuracy, permutation_p, probe_layers
from auditkit.errors import InvalidArgument

FAST = {"draws": 99, "permutations": 49}


def labels(n):
    return np.array(["female", "male"])[np.arange(n) % 2]


def noise(n, width, seed):
    return np.random.default_rng(seed).normal(size=(n, width))


def test_a_planted_direction_is_decoded_from_its_layer_only():
    names = labels(80)
    planted = noise(80, 8, 1)
    planted[:, 3] += np.where(names == "male", 3.0, -3.0)
    found = probe_layers([noise(80, 8, 2), planted], names, rng=np.random.default_rng(0), **FAST)
    quiet, loud = found.layers
    assert loud.accuracy > 0.95
    assert np.quantile(loud.selectivity_draws, 0.025) > 0.2
    assert np.quantile(quiet.selectivity_draws, 0.025) < 0.1
    assert (found.chance, found.classes, found.p) == (0.5, ("female", "male"), 0.02)


def test_shuffled_labels_are_the_control_of_wide_states():
    # 80 users with 200 inputs: any labels can be fitted, and none can be predicted.
    found = probe_layers([noise(80, 200, 3)], labels(80), rng=np.random.default_rng(1), **FAST)
    (layer,) = found.layers
    assert layer.selectivity == pytest.approx(layer.accuracy - layer.control)
    assert abs(layer.control - 0.5) < 0.1
    assert np.quantile(layer.selectivity_draws, 0.025) <= 0
    assert found.p > 0.05


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=30),
    st.integers(0, 99),
)
def test_balanced_accuracy_is_that_of_scikit_learn_on_every_resample(pairs, seed):
    guess, y = np.array([*pairs, (0, 0), (0, 1), (0, 2)]).T
    weights = np.random.default_rng(seed).integers(0, 3, size=(4, len(y)))
    weights[:, -3:] = 1
    for found, own in zip(balanced_accuracy(guess, y, weights), weights, strict=True):
        chosen = np.repeat(np.arange(len(y)), own)
        assert found == pytest.approx(balanced_accuracy_score(y[chosen], guess[chosen]))


def test_a_constant_prediction_has_the_accuracy_of_chance():
    y = np.array([0, 0, 0, 0, 1, 2])
    assert balanced_accuracy(np.zeros(6), y, np.ones((1, 6))) == pytest.approx([1 / 3])


def test_p_is_smallest_for_a_decodable_label_and_the_layers_share_permutations():
    y = np.arange(60) % 2
    loud = noise(60, 4, 5)
    loud[:, 0] += 6 * y
    p = permutation_p([noise(60, 4, 6), loud], y, rng=np.random.default_rng(2), permutations=99)
    assert p == 0.01
    constant = np.zeros((60, 4))
    assert permutation_p([constant], y, rng=np.random.default_rng(2), permutations=99) > 0.05


def test_small_classes_and_single_values_have_no_result():
    rng = np.random.default_rng(0)
    assert probe_layers([noise(30, 4, 0)], ["a"] * 30, rng=rng) is None
    assert probe_layers([noise(30, 4, 0)], ["a"] * 25 + ["b"] * 5, rng=rng) is None
    for tables in ([], [noise(29, 4, 0)]):
        with pytest.raises(InvalidArgument, match="probe_layers got"):
            probe_layers(tables, ["a"] * 30, rng=rng)


@pytest.mark.slow
def test_selectivity_mostly_covers_zero_without_an_attribute():
    covered = []
    with threadpool_limits(1):
        for seed in range(60):
            rng = np.random.default_rng(seed)
            names = np.array(["a", "b", "c"])[rng.integers(0, 2 + seed % 2, size=160)]
            found = probe_layers([rng.normal(size=(160, 16))], names, rng=rng, draws=199)
            low, high = np.quantile(found.layers[0].selectivity_draws, (0.025, 0.975))
            covered.append(low <= 0 <= high)
    assert np.mean(covered) >= 0.85


@pytest.mark.slow
def test_p_is_not_small_by_chance_too_often_without_an_attribute():
    p_values = []
    for seed in range(2000):
        rng = np.random.default_rng(90_000 + seed)
        y = rng.permutation(np.arange(60) % (2 + seed % 2))
        p_values.append(permutation_p([rng.normal(size=(60, 8))], y, rng=rng, permutations=19))
    for level in (0.05, 0.1, 0.5, 0.9):
        reached = np.mean(np.array(p_values) <= level + 1e-9)
        assert level - 0.15 < reached < level + 0.025  # ties of accuracies make p larger
