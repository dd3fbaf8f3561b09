from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.interactions import Interactions
from auditkit.errors import CatalogError


def build(users, items, times, *, n_users=3, n_items=5, tie_seed=0):
    return Interactions.from_rows(
        users,
        items,
        timestamp=times,
        rating=np.ones(len(users)),
        user_ids=[f"u{i}" for i in range(n_users)],
        item_ids=[f"i{i}" for i in range(n_items)],
        attributes=[{}] * n_users,
        tie_seed=tie_seed,
    )


def test_history_is_oldest_first_and_ends_before_the_held_out_item():
    rows = build([0, 0, 0, 0], [3, 1, 0, 2], [40, 20, 10, 30])
    assert rows.history(0, until="test").tolist() == [0, 1, 2]
    assert rows.history(0, until="validation").tolist() == [0, 1]


def test_users_with_one_or_two_interactions_are_counted():
    rows = build([0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 2], [1, 1, 2, 1, 2, 3])
    split = rows.split()
    assert rows.item_index[split.test].tolist() == [2, 2]
    assert rows.item_index[split.validation].tolist() == [1]
    assert (split.users_without_test, split.users_without_validation) == (1, 2)
    assert rows.history(0, until="test").tolist() == [0]
    assert rows.history(1, until="validation").tolist() == [1]


def test_exact_duplicates_go_and_repeats_at_another_time_stay():
    rows = build([0, 0, 0], [1, 1, 1], [5, 5, 6])
    assert (len(rows), rows.n_duplicates) == (2, 1)


def test_ties_are_broken_by_the_seed_in_file_order():
    users, items, times = [0] * 5, [0, 1, 2, 3, 4], [7] * 5
    for seed in range(5):
        expected = np.argsort(np.random.default_rng(seed).random(5), kind="stable")
        assert build(users, items, times, tie_seed=seed).item_index.tolist() == expected.tolist()


def test_tied_last_share_counts_users_whose_last_two_items_share_a_second():
    rows = build([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [1, 1, 1, 2, 1])
    assert rows.tied_last_share == 0.5


def test_matrix_is_binary_and_holds_no_held_out_item():
    rows = build([0, 0, 0, 1, 1, 1], [1, 1, 2, 0, 3, 4], [1, 2, 3, 1, 2, 3])
    assert rows.matrix(until="test").toarray()[:2].tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 1, 0]]


def test_an_index_out_of_range_is_an_error():
    with pytest.raises(CatalogError, match="item index"):
        build([0], [9], [1])


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3)), max_size=30),
    seed=st.integers(0, 9),
)
def test_split_is_a_partition_with_each_users_test_row_last(rows, seed):
    columns = np.array(rows, dtype=int).reshape(-1, 3).T
    made = build(*columns, tie_seed=seed)
    split = made.split()
    together = np.sort(np.concatenate([split.train, split.validation, split.test]))
    assert together.tolist() == list(range(len(made)))
    assert np.all(np.diff(made.user_index) >= 0)
    for row in split.test:
        user = made.user_index[row]
        assert made.timestamp[row] == made.timestamp[made.user_index == user].max()


def test_ml100k_has_the_published_size_and_ties(ml100k):
    rows = ml100k.interactions
    assert (len(rows), len(rows.user_ids), len(rows.item_ids)) == (100_000, 943, 1682)
    assert rows.tied_last_share == pytest.approx(0.44, abs=0.005)
    assert rows.n_duplicates == 0
    assert sum(user["gender"] == "male" for user in rows.attributes) == 670
    assert {user["age"] for user in rows.attributes} == {"under 25", "25 to 39", "40 and over"}
