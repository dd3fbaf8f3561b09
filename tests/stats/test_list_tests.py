from __future__ import annotations

import itertools

import numpy as np
import pytest

from auditkit.errors import InvalidArgument
from auditkit.stats.list_shift import list_shift_tests
from auditkit.stats.list_tests import between_values_test, item_exposure_test, repeat_request_test


def rng(seed=0):
    return np.random.default_rng(seed)


def spread_by_hand(lists):
    """T-item as it is written."""
    items = sorted({item for row in lists for one in row for item in one})
    n_values, total = len(lists[0]), 0.0
    for item in items:
        counts = [sum(item in row[a] for row in lists) for a in range(n_values)]
        mean = sum(counts) / n_values
        total += sum((c - mean) ** 2 for c in counts) / (mean + 0.5)
    return total


def drawn_lists(seed, n=6, n_values=3):
    generator = rng(seed)
    return [
        [
            [str(i) for i in generator.choice(8, generator.integers(0, 5), replace=False)]
            for _ in range(n_values)
        ]
        for _ in range(n)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_item_statistic_equals_its_formula(seed):
    lists = drawn_lists(seed)
    tested = item_exposure_test(lists, rng=rng(), draws=9)
    assert tested.statistic == pytest.approx(spread_by_hand(lists))


def test_item_test_sees_the_relabelings_of_the_table_tests():
    """With three values and one item the item statistic is a function of SNSV."""
    shown = rng(3).random((12, 3)) < 0.5
    lists = [[["a"] if one else [] for one in row] for row in shown]
    (table,) = list_shift_tests(shown.astype(float)[None], rng=rng(7), draws=300)
    items = item_exposure_test(lists, rng=rng(7), draws=300)
    assert np.corrcoef(table.snsv.null**2, items.null)[0, 1] == pytest.approx(1.0)


def test_item_p_equals_full_enumeration():
    lists = drawn_lists(1, n=4, n_values=2)
    every = [
        spread_by_hand([row[::side] for row, side in zip(lists, sides, strict=True)])
        for sides in itertools.product([1, -1], repeat=4)
    ]
    exact = np.mean([value >= spread_by_hand(lists) - 1e-12 for value in every])
    assert item_exposure_test(lists, rng=rng(), draws=20_000).p == pytest.approx(exact, abs=0.012)


def test_item_test_sees_what_is_shown_to_one_value_only():
    lists = [[["a", f"x{i}"], ["b", f"x{i}"]] for i in range(20)]
    assert item_exposure_test(lists, rng=rng(), draws=999).p == 0.001
    assert item_exposure_test([[["a"], ["a"]]] * 20, rng=rng(), draws=99).p == 1.0


def test_repeated_items_of_a_list_count_once():
    once = item_exposure_test([[["a"], ["b"]]] * 5, rng=rng(), draws=9)
    twice = item_exposure_test([[["a", "a"], ["b"]]] * 5, rng=rng(), draws=9)
    assert once.statistic == twice.statistic


@pytest.mark.parametrize("lists", [[], [[["a"]]], [[["a"], ["b"]], [["a"]]]])
def test_lists_that_cannot_be_compared_are_an_error(lists):
    with pytest.raises(InvalidArgument):
        item_exposure_test(lists, rng=rng())


def test_re_asking_p_equals_full_enumeration():
    table = rng(4).random((5, 3))

    def statistic(stated):
        gaps = []
        for row, which in zip(table, stated, strict=True):
            others = [row[c] for c in range(3) if c != which]
            gaps.append(row[which] - sum(others) / 2)
        return np.mean(gaps)

    observed = statistic([0] * 5)
    every = [statistic(choice) for choice in itertools.product(range(3), repeat=5)]
    exact = np.mean([value >= observed - 1e-12 for value in every])
    tested = repeat_request_test(table, rng=rng(), draws=20_000)
    assert tested.statistic == pytest.approx(observed)
    assert tested.p == pytest.approx(exact, abs=0.012)


def test_re_asking_is_one_sided():
    far = np.tile([0.9, 0.2, 0.2], (30, 1))
    near = np.tile([0.2, 0.9, 0.9], (30, 1))
    assert repeat_request_test(far, rng=rng(), draws=999).p == 0.001
    assert repeat_request_test(near, rng=rng(), draws=999).p > 0.99


def test_between_statistic_equals_its_definition():
    table = rng(2).random((4, 6, 6))
    table = (table + table.transpose(0, 2, 1)) / 2
    pairs = list(itertools.combinations(range(6), 2))
    same = [table[:, i, j].mean() for i, j in pairs if i // 2 == j // 2]
    different = [table[:, i, j].mean() for i, j in pairs if i // 2 != j // 2]
    tested = between_values_test(table, repeats=2, rng=rng(), draws=9)
    assert tested.statistic == pytest.approx(np.mean(same) - np.mean(different))


def test_between_test_sees_values_that_get_lists_of_their_own():
    own = np.kron(np.eye(3), np.ones((2, 2)))
    assert between_values_test(np.tile(own, (20, 1, 1)), repeats=2, rng=rng(), draws=999).p == 0.001
    alike = np.ones((20, 6, 6))
    assert between_values_test(alike, repeats=2, rng=rng(), draws=99).p == 1.0


@pytest.mark.parametrize(("n_lists", "repeats"), [(4, 1), (5, 2), (2, 2)])
def test_between_test_needs_repeats_of_several_values(n_lists, repeats):
    with pytest.raises(InvalidArgument):
        between_values_test(np.ones((3, n_lists, n_lists)), repeats=repeats, rng=rng())


@pytest.mark.parametrize("shape", [(3, 2), (0, 3), (3,)])
def test_re_asking_needs_three_similarities_per_probe(shape):
    with pytest.raises(InvalidArgument):
        repeat_request_test(np.ones(shape), rng=rng())
