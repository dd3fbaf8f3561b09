from __future__ import annotations

import numpy as np
import pytest
from dense_scorers import dense_item_knn, dense_transition_counts
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import hr_at_k, mean_rank, ndcg_at_k
from auditkit.recommenders.adapters import item_rows
from auditkit.recommenders.adapters.classic_scorers import (
    MOST_EASE_ITEMS,
    best_rows,
    ease,
    item_knn,
    item_knn_recent,
    popularity,
    transition_counts,
)

X = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], dtype=float))


def transitions(histories, n_items, **options):
    """Transition counts of separate histories."""
    items = np.concatenate([np.asarray(h, dtype=np.int32) for h in histories])
    offsets = np.concatenate(([0], np.cumsum([len(h) for h in histories])))
    return transition_counts(items, offsets, n_items=n_items, **options)


def test_popularity_counts_users():
    assert popularity(X)([0]).tolist() == [3, 2, 1, 0]


def test_item_knn_is_the_cosine_to_the_history_by_hand():
    assert item_knn(X)([0]) == pytest.approx([0, 2 / np.sqrt(6), 1 / np.sqrt(3), 0])


def test_item_knn_keeps_ties_at_the_last_neighbor():
    block = sparse.csr_array(np.array([[1, 1, 1]], dtype=float))
    assert item_knn(block, neighbors=1)([1, 2]).tolist() == [2, 1, 1]


def test_item_knn_needs_a_neighbor():
    with pytest.raises(InvalidArgument):
        item_knn(X, neighbors=0)


def test_recent_item_knn_reads_the_last_items_alone():
    assert item_knn_recent(X, recent=1)([1, 0]) == pytest.approx(item_knn(X, neighbors=4)([0]))
    with pytest.raises(InvalidArgument):
        item_knn_recent(X, recent=0)


def test_ease_solves_its_least_squares_problem_with_a_zero_diagonal():
    """Each column is the ridge regression of an item on the others."""
    dense, weight = X.toarray(), 0.5
    score = ease(X, regularization=weight)
    for target in range(3):
        others = [i for i in range(4) if i != target]
        part = dense[:, others]
        solved = np.linalg.solve(part.T @ part + weight * np.eye(3), part.T @ dense[:, target])
        for i, value in zip(others, solved, strict=True):
            assert score([i])[target] == pytest.approx(value, abs=1e-9)
        assert score([target])[target] == 0
    with pytest.raises(InvalidArgument):
        ease(X, regularization=0)


def test_transitions_weigh_distance_and_recency_by_hand():
    score = transitions([[0, 1, 2]], 4)
    assert score([0]).tolist() == [0, 1, 0.5, 0]
    assert score([0, 1]).tolist() == [0, 0.5, 1.25, 0]
    assert score([]).tolist() == [0, 0, 0, 0]


def test_an_item_that_training_never_saw_scores_zero():
    histories = [[0, 1], [1, 2]]
    for scorer in (popularity(X), item_knn(X), transitions(histories, 4)):
        assert scorer([0, 1])[3] == 0


HISTORIES = st.lists(st.lists(st.integers(0, 8), max_size=9), min_size=1, max_size=12)


def binary(histories, n_items=9):
    """Binary users x items matrix."""
    table = np.zeros((len(histories), n_items), dtype=np.int32)
    for row, history in enumerate(histories):
        table[row, history] = 1
    return sparse.csr_array(table)


@given(histories=HISTORIES, neighbors=st.integers(1, 9), block=st.sampled_from([1, 7, 1 << 20]))
def test_item_knn_equals_the_dense_matrix_to_the_last_bit(histories, neighbors, block):
    train = binary(histories)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(item_rows, "_BLOCK", block)
        sparse_score = item_knn(train, neighbors=neighbors)
    dense_score = dense_item_knn(train, neighbors=neighbors)
    for history in histories:
        assert sparse_score(history).tolist() == dense_score(history).tolist()


@given(histories=HISTORIES, recent=st.integers(1, 4))
def test_recent_item_knn_equals_the_dense_matrix_to_the_last_bit(histories, recent):
    train = binary(histories)
    score, dense_score = item_knn_recent(train, recent=recent), dense_item_knn(train, neighbors=9)
    for history in histories:
        assert score(history).tolist() == dense_score(history[-recent:]).tolist()


@given(histories=HISTORIES, reach=st.integers(1, 6), recent=st.integers(1, 6))
def test_transitions_equal_the_dense_matrix_to_the_last_bit(histories, reach, recent):
    score = transitions(histories, 9, reach=reach, recent=recent)
    dense_score = dense_transition_counts(histories, 9, reach=reach, recent=recent)
    for history in histories:
        assert score(history).tolist() == dense_score(history).tolist()


def test_item_knn_equals_the_dense_matrix_on_ml100k(ml100k):
    train = ml100k.interactions.matrix(until="test")
    score, dense_score = item_knn(train), dense_item_knn(train)
    for user in range(0, 943, 10):
        history = ml100k.interactions.history(user, until="test")
        assert score(history).tolist() == dense_score(history).tolist()


@given(
    scores=st.lists(st.integers(-2, 2), min_size=1, max_size=12),
    k=st.integers(1, 13),
    left_out=st.sets(st.integers(0, 11)),
)
def test_best_rows_are_those_of_a_stable_sort(scores, k, left_out):
    values = np.array(scores, dtype=float)
    without = [row for row in left_out if row < len(values)]
    order = [row for row in np.argsort(-values, kind="stable") if row not in left_out]
    assert best_rows(values, k=k, without=without).tolist() == order[:k]


def test_ease_refuses_a_catalog_that_its_dense_matrix_cannot_hold():
    large = sparse.csr_array((3, MOST_EASE_ITEMS + 1))
    with pytest.raises(InvalidArgument, match="up to 5,000 items; this catalog has 5,001"):
        ease(large)


@pytest.mark.parametrize("name", ["item_knn", "item_knn_recent", "transitions"])
def test_half_a_million_items_need_no_square_of_memory(name):
    histories = np.arange(600_000, dtype=np.int32).reshape(-1, 6)
    offsets = np.arange(0, 600_001, 6)
    train = sparse.csr_array((np.ones(600_000), histories.ravel(), offsets))
    fitted = {
        "item_knn": lambda: item_knn(train),
        "item_knn_recent": lambda: item_knn_recent(train),
        "transitions": lambda: transition_counts(histories.ravel(), offsets, n_items=600_000),
    }[name]()
    assert np.flatnonzero(fitted(histories[7, :2])).min() >= 42
    assert np.flatnonzero(fitted(histories[7, :2])).max() == 47


@pytest.mark.parametrize(
    ("name", "hr", "ndcg"),
    [
        ("popularity", 0.0785, 0.0390),
        ("item_knn", 0.1294, 0.0622),
        ("item_knn_recent", 0.1697, 0.088),
        ("ease", 0.1442, 0.0694),
        ("transitions", 0.1824, 0.0991),
    ],
)
def test_ml100k_figures_are_reproduced(ml100k, name, hr, ndcg):
    rows = ml100k.interactions
    users = range(len(rows.user_ids))
    if name == "transitions":
        score = transition_counts(*rows.histories(until="validation"), n_items=len(rows.item_ids))
    else:
        fit = {
            "popularity": popularity,
            "item_knn": item_knn,
            "item_knn_recent": item_knn_recent,
            "ease": ease,
        }[name]
        score = fit(rows.matrix(until="test"))
    targets = rows.item_index[rows.split().test]
    known = [rows.history(user, until="test") for user in users]
    ranks = [
        mean_rank(score(history), target, masked=history)
        for history, target in zip(known, targets, strict=True)
    ]
    assert hr_at_k(ranks, k=10).mean() == pytest.approx(hr, abs=0.002)
    assert ndcg_at_k(ranks, k=10).mean() == pytest.approx(ndcg, abs=0.002)
