"""Runs in the order of time, and what changed between neighbors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paired_runs import HITS, POLICY, RATE, USERS, result_of, write_listed, write_pair

from auditkit.comparison.history import Move, read_history


@pytest.fixture
def folder(tmp_path):
    write_pair(tmp_path)  # v1 on June 1, v2 on June 2
    return tmp_path


def _add(folder, name, invented, finished, **changes):
    result = result_of(invented=invented, hits=USERS[:20], **changes)
    return write_listed(folder / name, result, invented=invented, finished=finished)


def test_runs_are_ordered_by_the_end_of_their_audit_and_not_by_name(folder):
    _add(folder, "a-later", USERS[:1], "2026-06-03T00:00:00Z")
    _add(folder, "z-earlier", USERS[:1], "2026-05-01T00:00:00Z")
    _add(folder, "b-unknown", USERS[:2], "")
    history = read_history(folder)
    names = [run.name for run in history.runs]
    assert names == ["z-earlier", "v1", "v2", "a-later", "b-unknown"]
    assert len(history.steps) == 4


def test_a_metric_moves_if_its_intervals_do_not_overlap(folder):
    (step,) = read_history(folder).steps
    assert step.moved == (Move("hallucination", "worse"),)  # hits fall from 20 to 10: not enough
    assert step.verdicts == (("all", "pass", "fail"), ("hallucination", "pass", "fail"))
    assert step.other_target
    assert not step.other_policy
    assert not step.quiet


def test_runs_under_other_conditions_are_not_compared(folder):
    _add(folder, "v3", (), "2026-06-03T00:00:00Z", seed=8)
    step = read_history(folder).steps[-1]
    assert step.obstacles == ("seed",)
    assert step.moved == ()


def test_tracks_follow_one_metric_and_a_run_without_it_has_no_point(folder):
    bare = result_of(invented=(), findings=())
    write_listed(folder / "v3", bare, invented=(), finished="2026-06-03T00:00:00Z")
    tracks = {track.dimension: track for track in read_history(folder).tracks}
    assert (tracks["utility"].metric, tracks["hallucination"].metric) == (HITS, RATE)
    points = tracks["hallucination"].points
    assert [p.finding.estimate.value if p.finding else None for p in points] == [0.1, 0.6, None]
    assert [p.verdict for p in points] == ["pass", "fail", "none"]
    assert {p.verdict for p in tracks["utility"].points} == {"none"}


def test_a_verdict_by_another_policy_is_marked(folder):
    result = result_of(invented=USERS[:4], hits=USERS[:20])
    write_listed(
        folder / "v3", result, invented=USERS[:4], finished="2026-06-03T00:00:00Z",
        policy=POLICY.replace("0.3", "0.9"),
    )  # fmt: skip
    step = read_history(folder).steps[-1]
    assert step.other_policy
    assert step.verdicts[0] == ("all", "fail", "pass")


def test_an_altered_run_is_named_and_enters_no_number(folder):
    path = folder / "v2" / "result.json"
    path.write_text(path.read_text().replace('"value": 0.6', '"value": 0.2', 1))
    history = read_history(folder)
    assert [run.name for run in history.runs] == ["v1"]
    (fault,) = history.faults
    assert fault.path == folder / "v2"
    assert "was altered or damaged" in fault.message
    assert [p.finding.estimate.value for t in history.tracks for p in t.points] == [0.5, 0.1]


def test_a_metric_that_was_measured_in_another_way_is_named_and_not_compared(folder):
    def with_parameters(name, day, recipe=None, **parameters):
        result = result_of(invented=(), hits=USERS[:20], **({"recipe": recipe} if recipe else {}))
        first = replace(result.findings[0], parameters=parameters)
        result = replace(result, findings=(first, *result.findings[1:]))
        write_listed(folder / name, result, invented=(), finished=f"2026-06-0{day}T00:00:00Z")

    with_parameters("v3", 3, sigma=0.1)  # measured, so both are compared
    assert read_history(folder).steps[-1].moved == (Move("hallucination", "better"),)
    recipe = {"name": "nightly", "data": "films", "probes": {"hallucination.catalog": {}}}
    (folder / "v3" / "manifest.json").unlink()
    with_parameters("v4", 4, recipe)
    (move,) = read_history(folder).steps[-1].moved
    assert (move.word, move.note) == ("not compared", "other recipe of hallucination.catalog")
