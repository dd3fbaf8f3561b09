from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import hr_at_k, mean_rank, ndcg_at_k
from auditkit.recommenders.adapters.classic_scorers import (
    ease,
    item_knn,
    item_knn_recent,
    popularity,
    transition_counts,
)

X = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], dtype=float))


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
    score = transition_counts([[0, 1, 2]], 4)
    assert score([0]).tolist() == [0, 1, 0.5, 0]
    assert score([0, 1]).tolist() == [0, 0.5, 1.25, 0]
    assert score([]).tolist() == [0, 0, 0, 0]


def test_an_item_that_training_never_saw_scores_zero():
    histories = [[0, 1], [1, 2]]
    for scorer in (popularity(X), item_knn(X), transition_counts(histories, 4)):
        assert scorer([0, 1])[3] == 0


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
        histories = [rows.history(user, until="validation") for user in users]
        score = transition_counts(histories, len(rows.item_ids))
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
