from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from auditkit.errors import InvalidArgument
from auditkit.metrics.baselines import item_knn, popularity, transition_counts
from auditkit.metrics.ranking import hr_at_k, mean_rank, ndcg_at_k

X = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], dtype=float))


def test_popularity_counts_users():
    assert popularity(X)([0]).tolist() == [3, 2, 1, 0]


def test_item_knn_is_the_cosine_to_the_history_by_hand():
    assert item_knn(X)([0]) == pytest.approx([0, 2 / np.sqrt(6), 1 / np.sqrt(3), 0])


def test_item_knn_keeps_ties_at_the_last_neighbour():
    block = sparse.csr_array(np.array([[1, 1, 1]], dtype=float))
    assert item_knn(block, neighbours=1)([1, 2]).tolist() == [2, 1, 1]


def test_item_knn_needs_a_neighbour():
    with pytest.raises(InvalidArgument):
        item_knn(X, neighbours=0)


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
    [("popularity", 0.0785, 0.0390), ("item_knn", 0.1294, 0.0622), ("transitions", 0.1824, 0.0991)],
)
def test_ml100k_figures_are_reproduced(ml100k, name, hr, ndcg):
    rows = ml100k.interactions
    users = range(len(rows.user_ids))
    if name == "transitions":
        histories = [rows.history(user, until="validation") for user in users]
        score = transition_counts(histories, len(rows.item_ids))
    else:
        score = {"popularity": popularity, "item_knn": item_knn}[name](rows.matrix(until="test"))
    targets = rows.item_index[rows.split().test]
    known = [rows.history(user, until="test") for user in users]
    ranks = [
        mean_rank(score(history), target, masked=history)
        for history, target in zip(known, targets, strict=True)
    ]
    assert hr_at_k(ranks, k=10).mean() == pytest.approx(hr, abs=0.002)
    assert ndcg_at_k(ranks, k=10).mean() == pytest.approx(ndcg, abs=0.002)
