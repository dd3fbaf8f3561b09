from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog import interactions
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
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2)), max_size=30),
    block=st.sampled_from([1, 5, 1 << 22]),
)
def test_order_and_duplicates_do_not_depend_on_the_blocks(rows, block):
    columns = np.array(rows, dtype=int).reshape(-1, 3).T
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(interactions, "_BLOCK", block)
        made = build(*columns)
    draw = np.random.default_rng(0).random(len(rows))
    first = {row: place for place, row in reversed(list(enumerate(rows)))}
    places = sorted(first.values(), key=lambda at: (rows[at][0], rows[at][2], draw[at]))
    assert made.n_duplicates == len(rows) - len(places)
    found = zip(made.user_index, made.item_index, made.timestamp, strict=True)
    assert [tuple(map(int, row)) for row in found] == [rows[at] for at in places]


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


def test_several_items_of_a_temporal_split_are_held_out_oldest_first():
    rows = build([0] * 5 + [1], [0, 1, 2, 3, 1, 4], [1, 4, 5, 8, 9, 9])
    rows = replace(rows, cuts=(4, 8))
    assert rows.held_out(0, role="test").tolist() == [3, 1]
    assert rows.held_out(0, role="validation").tolist() == [1, 2]
    assert rows.held_out(1, role="test").tolist() == []  # nothing is known about this user before
    assert rows.item_index[rows.split().test].tolist() == [3]


TABLE = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=25
)
CUTS = st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)).map(
    lambda pair: (min(pair), max(pair) + 1)
)


@given(table=TABLE, cuts=CUTS)
def test_without_its_test_rows_a_user_is_tested_on_the_validation_items(table, cuts):
    rows = replace(build(*zip(*table, strict=True)), cuts=cuts)
    earlier = rows.without_test()
    for user in range(3):
        history = rows.history(user, until="validation").tolist()
        assert earlier.history(user, until="test").tolist() == history
        target = rows.held_out(user, role="validation").tolist()
        assert earlier.held_out(user, role="test").tolist() == target
    assert (earlier.matrix(until="test") != rows.matrix(until="validation")).nnz == 0


@given(table=TABLE, cuts=CUTS)
def test_history_and_held_out_items_share_no_row(table, cuts):
    rows = replace(build(*zip(*table, strict=True)), cuts=cuts)
    for user in range(3):
        known, own = len(rows.history(user, until="test")), np.diff(rows.offsets)[user]
        tested = len(rows.held_out(user, role="test"))
        assert known + tested == own if known else tested == 0
        assert tested <= 1 or cuts is not None
