"""Newly failing and newly fixed units and cases."""

from __future__ import annotations

from dataclasses import replace

from paired_runs import INVENTED, RATE, USERS, request_of, result_of, write_pair

from auditkit.comparison.diff import diff_runs
from auditkit.comparison.failures import failure_changes


def test_units_are_counted_exactly_and_each_direction_has_one_example(tmp_path):
    diff = diff_runs(*write_pair(tmp_path))
    row = next(row for row in diff.failures if row.metric == RATE)
    assert (row.n_units, row.newly_failing, row.newly_fixed) == (40, 22, 2)
    assert row.failing.unit in USERS[4:26]
    (pair,) = row.failing.pairs
    assert (INVENTED, False) in pair.candidate.items
    assert (INVENTED, False) not in pair.baseline.items
    assert row.fixed.unit in USERS[:2]
    (pair,) = row.fixed.pairs
    assert (INVENTED, False) in pair.baseline.items


def test_for_a_metric_of_which_higher_is_better_a_zero_fails(tmp_path):
    diff = diff_runs(*write_pair(tmp_path))
    row = next(row for row in diff.failures if row.metric == "utility.ranking.hr@10")
    assert (row.newly_failing, row.newly_fixed) == (10, 0)


def test_a_cited_case_is_new_only_if_the_other_run_shows_that_it_did_not_fail():
    records = {request_of(user): {"unit": user, "probe": "p", "status": "ok"} for user in USERS}
    old = result_of(invented=USERS[:4], shown=2)  # its list of cases is not complete
    new = result_of(invented=USERS[2:6], shown=4)
    (row,) = failure_changes(old, new, (records, records))
    assert (row.cases_new, row.cases_open) == (2, 0)  # the units tell of all four

    without = [replace(r, findings=(replace(r.findings[0], units=()),)) for r in (old, new)]
    assert failure_changes(*without, (records, records)) != ()
    (row,) = failure_changes(*without, (records, records))
    assert (row.cases_new, row.cases_fixed, row.cases_open) == (0, 2, 4)


def test_a_request_that_the_other_run_did_not_ask_is_neither_new_nor_fixed():
    records = {request_of(user): {"unit": user, "probe": "p", "status": "ok"} for user in USERS}
    old, new = result_of(invented=()), result_of(invented=USERS[:1])
    bare = [replace(r, findings=(replace(r.findings[0], units=()),)) for r in (old, new)]
    assert failure_changes(*bare, (records, records))[0].cases_new == 1
    del records[request_of(USERS[0])]
    assert failure_changes(*bare, (records, records)) == ()


def test_responses_to_equal_requests_are_counted_by_status(tmp_path):
    found = diff_runs(*write_pair(tmp_path)).answers
    assert found.shared == 40
    assert found.transitions == (("ok", "no_answer", 2),)
    assert found.examples == (request_of(USERS[38]),)
    assert (found.newly_failed, found.newly_answered) == (2, 0)
    assert found.equal == 40 - 24 - 2  # 22 new and 2 fixed inventions, and 2 without an answer


def test_a_case_that_was_not_scored_in_the_other_run_is_open():
    records = {request_of(user): {"unit": user, "probe": "p", "status": "ok"} for user in USERS}
    silent = {
        **records,
        request_of(USERS[0]): {**records[request_of(USERS[0])], "status": "refusal"},
    }
    old, new = result_of(invented=USERS[:2]), result_of(invented=())
    bare = [replace(r, findings=(replace(r.findings[0], units=()),)) for r in (old, new)]
    (row,) = failure_changes(*bare, (records, silent))
    assert (row.cases_fixed, row.cases_open) == (1, 1)
    partly = replace(new.findings[0], units=new.findings[0].units[1:])
    (row,) = failure_changes(
        replace(old, findings=old.findings[:1]),
        replace(new, findings=(partly,)),
        (records, records),
    )
    assert (row.newly_fixed, row.cases_fixed, row.cases_open) == (1, 1, 1)


def test_nothing_is_fixed_in_a_metric_that_became_undefined():
    records = {request_of(user): {"unit": user, "probe": "p", "status": "ok"} for user in USERS}
    old, new = result_of(invented=USERS[:2]), result_of(invented=())
    gone = replace(
        new.findings[0],
        estimate=replace(
            new.findings[0].estimate, value=None, low=None, high=None, n=0,
            status="undefined", reason="nothing was scored",
        ),
        units=(),
    )  # fmt: skip
    assert failure_changes(old, replace(new, findings=(gone,)), (records, records)) == ()
