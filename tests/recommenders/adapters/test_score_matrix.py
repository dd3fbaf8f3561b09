"""Score matrices of classic recommenders."""

from __future__ import annotations

import numpy as np
import pytest
from small_world import world

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.score_matrix import load_scores
from auditkit.recommenders.loading.load import load_recommender
from auditkit.types import Item, Request

SCORES = np.array([[0.1, 0.9, 0.5, 0.5], [4, 3, 2, -np.inf]])


def save(path, **arrays):
    whole = {"scores": SCORES, "user_ids": [1, 2], "item_ids": ["a", "b", "c", "d"]}
    np.savez(path, **{**whole, **arrays})
    return path


@pytest.fixture
def matrix(tmp_path):
    return load_scores(save(tmp_path / "s.npz"))


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
        load_scores(save(tmp_path / "s.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(TargetUnavailable, match="cannot be read"):
        load_scores(tmp_path / "s.npz")


def test_target_string_loads_it_as_a_verified_file(tmp_path):
    path = save(tmp_path / "s.npz")
    loaded = load_recommender(f"scores:{path}", dataset=world())
    assert (loaded.kind, loaded.verified) == ("scores", True)
    other = load_recommender(f"scores:{save(path, user_ids=[3, 4])}", dataset=world())
    assert other.fingerprint != loaded.fingerprint


ITEMS = [f"i{n}" for n in range(9)]


def with_rows(path, *rows):
    users = np.arange(1, len(rows) + 1)
    return save(path / "s.npz", scores=np.array(rows), user_ids=users, item_ids=ITEMS)


MIXED = [0.3, 0.1, 0.9, 0.2, 0.7, 0.4, 0.6, 0.5, 0.8]


def test_scores_of_every_user_are_quietly_accepted(tmp_path):
    matrix = load_scores(with_rows(tmp_path, MIXED, MIXED[::-1]))
    assert matrix.notes(["1", "2"]) == ()


def test_user_with_equal_scores_gets_no_list_and_is_reported(tmp_path):
    """implicit gives a user without history the factors 0, and ranks the items by their columns."""
    matrix = load_scores(with_rows(tmp_path, MIXED, [0.0] * 9))
    (note,) = matrix.notes(["1", "2"])
    assert note.startswith("1 of 2 users have equal scores for every item, such as '2'")
    assert matrix.recommend([Request(user_id="2")])[0].status == "no_answer"
    assert best(matrix) == ["i2", "i8", "i4"]


@pytest.mark.parametrize("padding", [-1e9, -3.4028235e38, -np.finfo(float).max])
def test_padding_is_never_recommended_and_is_reported(tmp_path, padding):
    matrix = load_scores(with_rows(tmp_path, [*MIXED[:3], *[padding] * 6]))
    assert matrix.notes(["1"])[0].startswith("6 scores at or below -1e+08 are padding")
    assert best(matrix, k=9) == ["i2", "i0", "i1"]


def test_minus_infinity_is_not_reported_as_padding(tmp_path):
    assert load_scores(with_rows(tmp_path, [*MIXED[:3], *[-np.inf] * 6])).notes(["1"]) == ()


def test_row_with_padding_and_equal_scores_is_equal(tmp_path):
    matrix = load_scores(with_rows(tmp_path, [*[0.0] * 3, *[-1e9] * 6]))
    assert len(matrix.notes(["1"])) == 2
    assert matrix.recommend([Request(user_id="1")])[0].status == "no_answer"


def test_nan_is_refused_with_its_number(tmp_path):
    """LensKit writes NaN for items that it cannot score."""
    with pytest.raises(TargetUnavailable, match=r"contains 6 scores .* NaN .* user '1' and item"):
        load_scores(with_rows(tmp_path, [*MIXED[:3], *[np.nan] * 6]))


@pytest.mark.parametrize("scores", [np.arange(9, 0, -1), np.array([3.0, 3, 3, 2, 2, 2, 1, 1, 0])])
def test_items_in_the_order_of_the_file_are_reported(tmp_path, scores):
    matrix = load_scores(with_rows(tmp_path, MIXED, scores))
    (note,) = matrix.notes(["1", "2"])
    assert note.startswith("1 of 2 users have scores that rank the items in the order of the file")
    assert best(matrix, user_id="2") == ["i0", "i1", "i2"]


def test_users_without_a_row_are_reported_when_the_target_is_loaded(tmp_path):
    data = world()
    first = data.interactions.user_ids[0]
    path = save(tmp_path / "s.npz", user_ids=[first, "nobody"])
    (note,) = load_recommender(f"scores:{path}", dataset=data).notes
    n = len(data.interactions.user_ids)
    assert note.startswith(f"{n - 1} of {n} users of the data set have no row in the file")
