"""Probes of explanations find planted causes and are quiet without them."""

from __future__ import annotations

import pytest
from planted_reasons import NeedsAny, SameForEveryHistory, ScoredCause, causes
from run_probe import run_probe

from auditkit.probes.base import NotAssessable
from auditkit.recommenders.adapters.score_matrix import ScoreMatrix

SIZE, REGARDLESS = "explain.removal_size", "explain.regardless"


# --- removal sets


@pytest.mark.parametrize("n_causes", [1, 2, 3])
def test_the_smallest_removal_is_as_large_as_the_number_of_redundant_causes(n_causes):
    run = run_probe("explain.removal", NeedsAny(n_causes), n_users=6, cap=200)
    found = run.one(SIZE)
    assert found.estimate.value == n_causes
    assert found.parameters["status"] == {"proven": 6}
    assert found.parameters["users_by_size"] == {str(n_causes): 6, "none": 0}
    assert run.one(REGARDLESS).estimate.high < 0.5


def test_evidence_names_the_removed_cause_and_the_new_top_item():
    run = run_probe("explain.removal", NeedsAny(1), n_users=15)
    for (user_id, _, _), shown in zip(run.one(SIZE).units, run.one(SIZE).evidence, strict=False):
        cause = causes(user_id)[0].display_title
        assert (
            f"without {cause} it falls to place" in shown.what or "no longer listed" in shown.what
        )
        assert "proven; 1 of this size" in shown.what
        assert set(shown.requests) <= run.asked


def test_a_large_set_of_redundant_causes_is_found_greedily_within_the_limit():
    run = run_probe("explain.removal", NeedsAny(6), n_users=8)
    found = run.one(SIZE)
    assert set(found.parameters["status"]) <= {"greedy", "proven"}
    assert (
        found.parameters["status"]["greedy"] > 3
    )  # histories of ten items; of eight, all is tried
    assert found.estimate.value >= 6


def test_removal_probe_finds_what_is_recommended_regardless_of_history():
    run = run_probe("explain.removal", SameForEveryHistory(), cap=10)
    found = run.one(REGARDLESS)
    assert found.estimate.low > 0.9
    assert "by popularity" in found.evidence[0].what
    assert run.one(SIZE).estimate.value is None


def test_removal_probe_works_with_scores():
    run = run_probe("explain.removal", ScoredCause())
    found = run.one(SIZE)
    assert found.parameters["by"] == "scores"
    assert (found.estimate.value, found.estimate.n_missing) == (1, 0)
    assert run.one(REGARDLESS).estimate.value == 0
    assert "falls to place 4" in found.evidence[0].what


def test_stored_scores_are_not_explained_by_the_history_of_a_request():
    class Stored(NeedsAny):
        reads_history = ScoreMatrix.reads_history

    with pytest.raises(NotAssessable, match="stored results"):
        run_probe("explain.removal", Stored())


def test_scores_are_asked_for_only_where_there_are_some():
    with pytest.raises(NotAssessable, match="by: lists"):
        run_probe("explain.removal", NeedsAny(), by="scores")
