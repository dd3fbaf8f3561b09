from __future__ import annotations

import sys

import numpy as np
import pytest

from auditkit.errors import InvalidArgument, MissingDependency
from auditkit.metrics.groups import GroupRow, group_table


def test_means_gap_and_ratio_by_hand():
    values = [1.0] * 30 + [0.5] * 20
    table = group_table(values, ["b"] * 30 + ["a"] * 20)
    assert table.rows == (GroupRow("a", 20, 0.5), GroupRow("b", 30, 1.0))
    assert (table.overall, table.gap, table.ratio) == pytest.approx((0.8, 0.5, 0.5))


def test_small_groups_have_no_mean_and_leave_the_gap():
    table = group_table([1.0] * 20 + [0.5] * 20 + [0.0] * 19, ["a"] * 20 + ["b"] * 20 + ["c"] * 19)
    assert table.rows[2] == GroupRow("c", 19, None)
    assert table.gap == 0.5


def test_missing_users_are_counted_and_do_not_empty_their_group():
    values = [1.0] * 20 + [None] + [0.5] * 20
    table = group_table(values, ["a"] * 21 + ["b"] * 20)
    assert (table.n_missing, table.gap) == (1, 0.5)


def test_unknown_values_count_in_the_overall_mean_only():
    table = group_table(
        [1.0] * 20 + [0.5] * 20 + [0.0] * 40, ["a"] * 20 + ["b"] * 20 + ["unknown", ""] * 20
    )
    assert [row.group for row in table.rows] == ["a", "b"]
    assert table.overall == pytest.approx(30 / 80)


def test_without_a_positive_mean_there_is_no_ratio():
    table = group_table([0.0] * 40, ["a", "b"] * 20)
    assert (table.gap, table.ratio) == (0.0, None)


def test_nobody_scored_is_an_empty_table():
    table = group_table([None, None], ["a", "b"])
    assert (table.rows, table.overall, table.n_missing) == ((), None, 2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1])
def test_a_value_that_is_no_utility_is_an_error(bad):
    with pytest.raises(InvalidArgument):
        group_table([bad], ["a"])


def test_group_means_equal_numpy():
    rng = np.random.default_rng(0)
    values, groups = rng.random(300), rng.choice(["x", "y", "z"], 300)
    for row in group_table(values.tolist(), groups.tolist()).rows:
        assert row.mean == pytest.approx(values[groups == row.group].mean())


def test_without_fairlearn_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(MissingDependency, match=r"auditkit\[fair\]"):
        group_table([1.0], ["a"])
