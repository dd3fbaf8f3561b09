from __future__ import annotations

import pytest

from auditkit.reporting.parameters import count, number, pair

NONE_AT_ALL = [None, "1", True, 1e9, -1e300, float("nan"), [1]]


@pytest.mark.parametrize("value", NONE_AT_ALL)
def test_what_no_probe_writes_is_no_number(value):
    assert number({"p": value}, "p") is None
    assert pair([0.5, value]) == (None, None)
    assert pair(value) == (None, None)


@pytest.mark.parametrize("value", [*NONE_AT_ALL, 0, -3, 2.5])
def test_what_counts_nothing_is_zero(value):
    assert count({"n": value}, "n") == 0


def test_numbers_are_as_they_are_written():
    assert number({"p": 0.25}, "p") == 0.25
    assert number({}, "p") is None
    assert count({"n": 3}, "n") == 3
    assert pair([0, 0.5]) == (0, 0.5)
