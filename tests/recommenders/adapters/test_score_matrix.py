"""Score matrices of classic recommenders."""

from __future__ import annotations

import numpy as np
import pytest
from small_world import world

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.score_matrix import ScoreMatrix
from auditkit.recommenders.loading.load import load_recommender
from auditkit.types import Item, Request

SCORES = np.array([[0.1, 0.9, 0.5, 0.5], [4, 3, 2, -np.inf]])


def save(path, **arrays):
    whole = {"scores": SCORES, "user_ids": [1, 2], "item_ids": ["a", "b", "c", "d"]}
    np.savez(path, **{**whole, **arrays})
    return path


@pytest.fixture
def matrix(tmp_path):
    return ScoreMatrix(save(tmp_path / "s.npz"))


def best(matrix, **fields):
    request = Request(id="r", **{"user_id": "1", "k": 3, **fields})
    return [item.item_id for item in matrix.recommend([request])[0].items]


def test_items_come_best_first_and_ties_in_the_order_of_the_file(matrix):
    assert best(matrix) == ["b", "c", "d"]


def test_history_is_left_out_and_candidates_are_the_only_choice(matrix):
    assert best(matrix, history=(Item("b", "B"),)) == ["c", "d", "a"]
    assert best(matrix, candidates=(Item("a", "A"), Item("z", "Z"))) == ["a"]


def test_minus_infinity_is_never_recommended(matrix):
    assert best(matrix, user_id="2", k=9) == ["a", "b", "c"]


def test_user_without_a_row_gets_no_answer(matrix):
    assert matrix.recommend([Request(user_id="9")])[0].status == "no_answer"


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"user_ids": [1, 2, 3]}, r"shape \(2, 4\) for 3 users and 4 items"),
        ({"user_ids": [1, 1]}, "user '1' twice"),
        ({"item_ids": ["a", "b", "c", "a"]}, "item 'a' twice"),
        ({"scores": np.full((2, 4), np.nan)}, "NaN or plus infinity"),
        ({"scores": np.full((2, 4), "x")}, "not numeric"),
        ({"item_ids": np.array([{}, "b", "c", "d"], dtype=object)}, "cannot be read"),
    ],
)
def test_archive_that_does_not_fit_is_refused(tmp_path, arrays, words):
    with pytest.raises(TargetUnavailable, match=words):
        ScoreMatrix(save(tmp_path / "s.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(TargetUnavailable, match="cannot be read"):
        ScoreMatrix(tmp_path / "s.npz")


def test_target_string_loads_it_as_a_verified_file(tmp_path):
    path = save(tmp_path / "s.npz")
    loaded = load_recommender(f"scores:{path}", dataset=world())
    assert (loaded.kind, loaded.verified) == ("scores", True)
    other = load_recommender(f"scores:{save(path, user_ids=[3, 4])}", dataset=world())
    assert other.fingerprint != loaded.fingerprint
