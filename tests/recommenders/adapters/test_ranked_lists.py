"""A `scores:` file with the best items of every user instead of scores for all items."""

from __future__ import annotations

import numpy as np
import pytest

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.score_matrix import load_scores
from auditkit.types import Item, Request

ARRAYS = {
    "items": [[2, 0, 3], [1, 3, -1], [0, 1, 2]],
    "scores": [[0.9, 0.5, 0.7], [0.4, 0.3, 0.0], [0.2, 0.2, 0.2]],
    "user_ids": ["u", "v", "w"],
    "item_ids": ["a", "b", "c", "d"],
}


def save(folder, **changed):
    path = folder / "lists.npz"
    np.savez(path, **{**ARRAYS, **changed})
    return path


def listed(recommender, user, **fields):
    (response,) = recommender.recommend([Request(id="r", user_id=user, **fields)])
    return [item.item_id for item in response.items] or response.status


def test_items_are_ranked_by_score(tmp_path):
    recommender = load_scores(save(tmp_path))
    assert listed(recommender, "u", k=2) == ["c", "d"]
    assert listed(recommender, "v", k=9) == ["b", "d"]


def test_history_and_items_outside_the_candidates_are_left_out(tmp_path):
    recommender = load_scores(save(tmp_path))
    assert listed(recommender, "u", history=(Item("c", "C"),)) == ["d", "a"]
    assert listed(recommender, "u", candidates=(Item("a", "A"), Item("b", "B"))) == ["a"]
    assert listed(recommender, "u", candidates=(Item("b", "B"),)) == "no_answer"


def test_users_without_a_list_or_with_equal_scores_get_none_and_are_counted(tmp_path):
    recommender = load_scores(save(tmp_path))
    assert listed(recommender, "w") == listed(recommender, "x") == "no_answer"
    notes = " ".join(recommender.notes(["u", "x"]))
    assert "1 of 3 users have equal scores for every item, such as 'w'" in notes
    assert "1 of 2 users of the data set have no row in the file" in notes
    assert "lists of up to 3 items" in notes


def test_padding_is_not_recommended_and_is_counted(tmp_path):
    scores = [[0.9, -1e9, 0.7], [0.4, -np.inf, 0.0], [3, 2, 1]]
    recommender = load_scores(save(tmp_path, scores=scores))
    assert listed(recommender, "u", k=9) == ["c", "d"]
    assert listed(recommender, "v", k=9) == ["b"]
    assert recommender.notes(["u"])[1].startswith("1 scores at or below -1e+08 are padding")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"items": [[0, 1], [0, 1], [0, 1]]}, r"lists of shape \(3, 2\) and scores"),
        ({"items": [[0, 1, 4]] * 3}, "not positions in `item_ids`. Give integers from 0 to 3"),
        ({"items": [[0.0, 1.0, 2.0]] * 3}, "not positions in `item_ids`"),
        ({"items": [[0, 1, 1]] * 3}, "lists item 'b' twice for user 'u'"),
        ({"scores": [[1, 2, np.nan]] * 3}, "user 'u' and item 'd'"),
        ({"user_ids": ["u", "u", "v"]}, "contains user 'u' twice"),
    ],
)
def test_invalid_lists_are_refused(tmp_path, changed, words):
    with pytest.raises(TargetUnavailable, match=words):
        load_scores(save(tmp_path, **changed))
