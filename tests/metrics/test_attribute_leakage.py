from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from auditkit.errors import InvalidArgument, MissingDependency
from auditkit.metrics.attribute_leakage import attack_auc, macro_auc, out_of_fold_scores


def rng(seed=0):
    return np.random.default_rng(seed)


def once(n):
    return np.ones((1, n))


def test_auc_of_two_classes_by_hand():
    # Of the pairs (negative, positive) one is won, one tied, two lost.
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.95, 0.05]])
    assert macro_auc(scores, [0, 0, 1, 1], once(4))[0] == pytest.approx(1.5 / 4)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_auc_equals_scikit_learns_with_ties(rows):
    scores, labels = np.array([s for s, _ in rows], dtype=float), [int(label) for _, label in rows]
    ours = macro_auc(np.stack((-scores, scores), axis=1), labels, once(len(rows)))[0]
    assert ours == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auc_of_three_classes_is_the_mean_of_each_against_the_others():
    generator = rng(1)
    scores, codes = generator.dirichlet(np.ones(3), 90), generator.integers(0, 3, 90)
    expected = roc_auc_score(codes, scores, multi_class="ovr", average="macro")
    assert macro_auc(scores, codes, once(90))[0] == pytest.approx(expected)


def test_weights_count_users_as_often_as_repeating_them_would():
    generator = rng(2)
    scores, codes = generator.random((12, 2)).round(1), np.array([0, 1] * 6)
    times = generator.integers(0, 3, 12)
    again = np.repeat(np.arange(12), times)
    weighted = macro_auc(scores, codes, times[None].astype(float))
    assert weighted == pytest.approx(macro_auc(scores[again], codes[again], once(len(again))))


def test_a_class_that_a_resample_lost_does_not_count():
    scores, codes = np.array([[0.2, 0.8], [0.9, 0.1]]), [1, 0]
    assert macro_auc(scores, codes, [[1.0, 1.0], [2.0, 0.0]]).tolist() == [1.0, 0.5]


def test_attackers_find_a_planted_leak():
    generator = rng(3)
    labels = np.repeat(["a", "b"], 60)
    inputs = generator.normal(size=(120, 8))
    inputs[60:, 3] += 3
    found = attack_auc(inputs, labels, rng=generator, draws=200)
    assert found.auc == max(found.by_attacker.values()) >= 0.95
    assert np.quantile(found.draws[found.attacker], 0.025) >= 0.9
    assert found.classes == ("a", "b")


def test_only_the_network_finds_an_exclusive_or():
    generator = rng(4)
    inputs = generator.normal(size=(400, 2))
    labels = np.where(inputs[:, 0] * inputs[:, 1] > 0, "same", "other")
    found = attack_auc(inputs, labels, rng=generator, draws=9)
    assert found.attacker == "mlp"
    assert found.by_attacker["logistic"] < 0.65 < 0.9 < found.auc


def test_attackers_guess_on_average_where_nothing_leaks():
    reached = []
    for seed in range(6):
        generator = rng(seed)
        inputs, labels = generator.normal(size=(120, 6)), generator.permutation(["a", "b"] * 60)
        found = attack_auc(inputs, labels, rng=generator, draws=9)
        reached += found.by_attacker.values()
    assert np.mean(reached) == pytest.approx(0.5, abs=0.05)


def test_nobody_is_scored_by_an_attacker_that_saw_them():
    """One's own label as input helps nobody else: each value occurs once."""
    codes = np.tile([0, 1], 40)
    scores = out_of_fold_scores(np.eye(80), codes, attacker="logistic", seed=0)
    assert macro_auc(scores, codes, once(80))[0] < 0.7
    assert scores.sum(axis=1) == pytest.approx(np.ones(80))


def test_attack_is_deterministic_under_a_seed():
    inputs, labels = rng(7).normal(size=(60, 4)), np.tile(["a", "b"], 30)
    one, two = (attack_auc(inputs, labels, rng=rng(8), draws=20) for _ in range(2))
    assert one.by_attacker == two.by_attacker
    assert one.draws["mlp"].tolist() == two.draws["mlp"].tolist()


@pytest.mark.parametrize("sizes", [(19, 60), (60,)])
def test_too_few_users_of_a_value_are_missing(sizes):
    labels = np.repeat(["a", "b"][: len(sizes)], sizes)
    assert attack_auc(np.zeros((len(labels), 2)), labels, rng=rng()) is None


@pytest.mark.parametrize("inputs", [[[1.0]], [[np.nan], [1.0]], [1.0, 2.0], [[], []]])
def test_inputs_that_are_no_table_are_an_error(inputs):
    with pytest.raises(InvalidArgument):
        attack_auc(inputs, ["a", "b"], rng=rng())


def test_without_scikit_learn_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingDependency, match=r"auditkit\[fair\]"):
        out_of_fold_scores(np.zeros((10, 1)), [0, 1] * 5, attacker="logistic", seed=0)


def test_scikit_learn_is_loaded_only_for_an_attack():
    code = "import auditkit.probes.fairness.attribute_leakage, sys; print('sklearn' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.strip() == b"False"
