"""Paired differences of metrics: sign, interval, words, and when there is none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from paired_runs import HITS, RATE, USERS, result_of

from auditkit.comparison.metric_changes import disjoint, metric_changes
from auditkit.types import Estimate


def _row(before, after, metric=RATE, **options):
    return next(r for r in metric_changes(before, after, **options) if r.metric == metric)


def test_the_difference_is_candidate_minus_baseline_with_the_interval_of_agresti_and_min():
    before, after = result_of(invented=USERS[:4]), result_of(invented=USERS[2:26])
    row = _row(before, after)
    assert row.difference == pytest.approx(24 / 40 - 4 / 40)
    only_new, only_old, n = 22, 2, 42
    centre = (only_new - only_old) / n
    error = math.sqrt(only_new + only_old + 1 - (only_new - only_old) ** 2 / n) / n
    assert row.low == pytest.approx(centre - 1.959964 * error, abs=1e-6)
    assert row.high == pytest.approx(centre + 1.959964 * error, abs=1e-6)
    assert (row.word, row.n_pairs, row.headline) == ("worse", 40, True)


def test_exchanging_the_runs_exchanges_the_sign_and_the_word():
    a, b = result_of(invented=USERS[:4]), result_of(invented=USERS[2:26])
    there, back = _row(a, b), _row(b, a)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert (there.word, back.word) == ("worse", "better")


def test_a_metric_of_which_higher_is_better_gets_worse_by_falling():
    a = result_of(invented=(), hits=USERS[:30])
    row = _row(a, result_of(invented=(), hits=USERS[:5]), HITS)
    assert row.word == "worse"
    assert row.difference == pytest.approx(-25 / 40)
    assert row.low < row.difference < row.high < 0


def test_equal_runs_have_no_clear_change_and_an_interval_with_width():
    same = result_of(invented=USERS[:4])
    row = _row(same, same)
    assert row.difference == 0
    assert row.low < 0 < row.high
    assert row.word == "no clear change"


def test_units_that_are_not_binary_are_resampled():
    def counted(shift):
        result = result_of(invented=())
        units = tuple((user, 3.0 + i % 3 + shift, 10.0) for i, user in enumerate(USERS))
        rate = replace(result.findings[0], units=units)
        return replace(result, findings=(rate, *result.findings[1:]))

    row = _row(counted(0), counted(1))
    assert row.difference == pytest.approx(0.1)
    assert row.low == pytest.approx(0.1)  # every unit moves by the same amount
    assert _row(counted(1), counted(1)).high == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 8}, "not comparable, because the conditions of the runs differ: seed"),
        ({"catalog": {"name": "films", "sha256": "88" * 32}}, "catalog sha256"),
        ({"environment": {"auditkit": "0.2.0"}}, "version of auditkit"),
        (
            {"recipe": {"data": "films", "probes": {"hallucination.catalog": {"n_users": 9}}}},
            "conditions of this metric differ: recipe of hallucination.catalog",
        ),
    ],
)
def test_other_conditions_give_no_difference_unless_it_is_asked_for(changes, said):
    before, after = result_of(invented=USERS[:4]), result_of(invented=USERS[2:26], **changes)
    row = _row(before, after)
    assert row.difference is None
    assert row.word == "not compared"
    assert said in row.reason
    assert _row(before, after, allow_incomparable=True).difference == pytest.approx(0.5)


def test_a_metric_without_pairs_says_why():
    full = result_of(invented=USERS[:4])
    bare = replace(full, findings=tuple(replace(f, units=()) for f in full.findings))
    assert _row(full, bare).reason == (
        "the runs have no recorded units of this metric; the intervals overlap"
    )
    few = replace(
        full, findings=tuple(replace(f, units=f.units[:10]) for f in full.findings)
    )  # fmt: skip
    assert _row(few, few).reason == "too_few: 10 pairs, but 30 are needed"
    gone = replace(full, findings=full.findings[1:])
    assert _row(gone, full).reason == "only in the candidate"
    assert _row(full, gone).reason == "only in the baseline"


@pytest.mark.parametrize(
    ("ends", "apart"), [((0.3, 0.4), True), ((0.2, 0.4), False), ((None, None), False)]
)
def test_intervals_are_disjoint_if_they_share_no_point(ends, apart):
    def measured(low, high):
        return Estimate(value=0.2, low=low, high=high, n=9, unit="fraction", direction="lower")

    assert disjoint(measured(0.1, 0.2), measured(*ends)) is apart
    assert disjoint(measured(*ends), measured(0.1, 0.2)) is apart
