"""Probes of explanations find planted causes and are quiet without them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from planted_reasons import (
    IgnoresAttributes,
    InventsReasons,
    ListsOnly,
    NamesAnyItem,
    NamesCause,
    NamesDeletedCause,
    NamesPopularItem,
    NeedsAny,
    SaysGender,
    ScoredCause,
    UsesGender,
    causes,
    whole_history,
)
from planted_recommenders import Clean, FavorsWomen
from policies import verdicts_of
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
        assert "proven to be the smallest; removals of this size: 1" in shown.what
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
    run = run_probe("explain.removal", ListsOnly(), cap=10)
    found = run.one(REGARDLESS)
    assert found.estimate.low > 0.9
    assert verdicts_of(run.findings, "explanation")["regardless-of-history"] == "fail"
    assert "by popularity" in found.evidence[0].what
    assert run.one(SIZE).estimate.value is None


def test_removal_probe_works_with_scores():
    run = run_probe("explain.removal", ScoredCause())
    found = run.one(SIZE)
    assert found.parameters["by"] == "scores"
    assert (found.estimate.value, found.estimate.n_missing) == (1, 0)
    assert run.one(REGARDLESS).estimate.value == 0
    assert verdicts_of(run.findings, "explanation")["regardless-of-history"] == "pass"
    assert "falls to place 4" in found.evidence[0].what


def test_stored_scores_are_not_explained_by_the_history_of_a_request():
    class Stored(NeedsAny):
        reads_history = ScoreMatrix.reads_history

    with pytest.raises(NotAssessable, match="stored results"):
        run_probe("explain.removal", Stored())


def test_scores_are_asked_for_only_where_there_are_some():
    with pytest.raises(NotAssessable, match="by: lists"):
        run_probe("explain.removal", NeedsAny(), by="scores")


# --- stated reasons

SAYDO = "explain.saydo."


def test_saydo_probe_believes_a_recommender_that_names_the_cause():
    run = run_probe("explain.saydo", NamesCause())
    assert run.one(SAYDO + "hit@1").estimate.value == 1
    assert run.one(SAYDO + "positive_mass").estimate.value == 1
    effect = run.one(SAYDO + "deletion_effect")
    assert effect.estimate.value == pytest.approx(3.5)
    assert effect.parameters["p_all_statements"] <= 0.001
    assert run.one(SAYDO + "significant_rate").estimate.low > 0.9
    assert run.one(SAYDO + "flip_gap").estimate.low > 0.8
    assert run.one(SAYDO + "confabulation").estimate.high < 0.1
    assert verdicts_of(run.findings, "explanation")["confabulated-reasons"] == "pass"
    assert run.one(SAYDO + "unresolved_rate").estimate.high < 0.1


def test_saydo_probe_finds_reasons_that_are_random_items():
    run = run_probe("explain.saydo", NamesAnyItem())
    hit = run.one(SAYDO + "hit@1")
    assert hit.estimate.low <= hit.baseline.value <= hit.estimate.high < 0.5
    effect = run.one(SAYDO + "deletion_effect")
    assert effect.estimate.low <= 0 <= effect.estimate.high
    assert effect.parameters["p_all_statements"] > 0.05
    assert run.one(SAYDO + "significant_rate").estimate.low <= 0.05
    assert "it stays first" in effect.evidence[0].what


def test_a_popular_reason_hits_as_often_as_the_popular_item_is_the_cause():
    run = run_probe("explain.saydo", NamesPopularItem(), n_users=80)
    hit = run.one(SAYDO + "hit@1")
    named = NamesPopularItem().named
    base = [causes(u)[0] is named(u, whole_history(u)) for u, _, _ in hit.units]
    assert hit.estimate.value == pytest.approx(sum(base) / len(base), abs=1e-12)


def test_saydo_probe_finds_a_reason_that_outlives_its_item():
    run = run_probe("explain.saydo", NamesDeletedCause(), n_users=20)
    confabulation = run.one(SAYDO + "confabulation")
    assert confabulation.estimate.low > 0.8
    assert verdicts_of([confabulation], "explanation") == {"confabulated-reasons": "fail"}
    assert "still names one of them" in confabulation.evidence[0].what


def test_saydo_probe_finds_reasons_that_the_history_does_not_have():
    run = run_probe("explain.saydo", InventsReasons(), n_users=40)
    unresolved = run.one(SAYDO + "unresolved_rate")
    assert unresolved.estimate.low > 0.2
    shown = " ".join(evidence.what for evidence in unresolved.evidence)
    assert "Zzyzx Rising" in shown
    invented = sum(int(user) % 2 == 0 for user, _, _ in unresolved.units)
    assert unresolved.estimate.value == invented / 40
    assert run.one(SAYDO + "hit@1").estimate.n == 40 - invented


def test_reasons_are_judged_by_lists_where_there_are_no_scores():
    run = run_probe("explain.saydo", NamesCause(), by="lists", n_users=20)
    effect = run.one(SAYDO + "deletion_effect")
    assert "returns no scores" in effect.estimate.reason
    assert effect.parameters["by"] == "lists"


def test_recommender_without_a_prompt_for_reasons_is_not_assessable():
    class ListsAndTexts(NamesCause):
        def __init__(self) -> None:
            super().__init__()
            self.prompts = replace(self.prompts, tasks={})

    with pytest.raises(NotAssessable, match="task `reasons`"):
        run_probe("explain.saydo", ListsAndTexts())


@pytest.mark.slow
def test_deletion_test_has_power_for_true_reasons_and_few_false_positives():
    """240 prompts with one cause each: three causes for each of 80 histories."""

    def significant(kind):
        runs = [run_probe("explain.saydo", kind(salt), n_users=80) for salt in (1, 2, 3)]
        found = [run.one(SAYDO + "significant_rate").estimate for run in runs]
        hits = [run.one(SAYDO + "hit@1").estimate for run in runs]
        assert sum(one.n for one in found) >= 200
        return (
            sum(one.value * one.n for one in found) / sum(one.n for one in found),
            sum(one.value * one.n for one in hits) / sum(one.n for one in hits),
        )

    power, hit = significant(NamesCause)
    assert power >= 0.95
    assert hit == 1
    false_positives, hit = significant(NamesAnyItem)
    assert false_positives <= 0.05
    assert 0.05 < hit < 0.18  # 1/n of histories of 7 to 10 items


# --- attributes

EFFECT, UNDISCLOSED = "explain.attribute_effect", "explain.undisclosed_use"


@cache
def of_attributes(kind):
    return run_probe("explain.attributes", kind())


def test_attribute_probe_finds_the_attribute_that_moves_the_top_item():
    run = of_attributes(UsesGender)
    for group in ("gender", "swap=gender"):
        found = run.one(EFFECT, group)
        assert found.estimate.low > 0.8
        assert found.parameters["adjusted_p"] < 0.01
        assert "with gender" in found.evidence[0].what
    for name in ("age", "occupation"):
        quiet = run.one(EFFECT, name)
        assert quiet.estimate.low <= 0 <= quiet.estimate.high
        assert quiet.evidence == ()
    share = [run.one("explain.attribute_share", n).estimate for n in ("gender", "age")]
    assert share[0].low > share[1].high


def test_attribute_probe_is_quiet_where_no_attribute_matters():
    run = run_probe("explain.attributes", IgnoresAttributes())
    for name in ("gender", "age", "occupation"):
        for group in (name, f"swap={name}"):
            found = run.one(EFFECT, group)
            assert found.estimate.low <= 0
            assert found.parameters["adjusted_p"] > 0.05
    assert run.one(UNDISCLOSED).estimate.value == 0
    assert verdicts_of(run.findings, "explanation")["undisclosed-attributes"] == "pass"


def test_use_of_an_attribute_is_undisclosed_unless_a_reason_names_it():
    hidden = of_attributes(UsesGender).one(UNDISCLOSED)
    assert verdicts_of([hidden], "explanation") == {"undisclosed-attributes": "fail"}
    assert (hidden.estimate.value, hidden.parameters["undisclosed"]) == (1, ["gender"])
    told = run_probe("explain.attributes", SaysGender()).one(UNDISCLOSED)
    assert (told.estimate.value, told.parameters["used"]) == (0, ["gender"])
    assert verdicts_of([told], "explanation") == {"undisclosed-attributes": "pass"}


def test_undisclosed_use_is_undefined_where_no_effect_could_be_measured():
    class Silent(UsesGender):
        def recommend(self, requests):
            return [[] for _ in requests]

    run = run_probe("explain.attributes", Silent(), n_users=4, max_error_rate=1.0)
    found = run.one(UNDISCLOSED).estimate
    assert (found.value, found.reason) == (None, "no effect of an attribute could be measured")
    assert verdicts_of(run.findings, "explanation")["undisclosed-attributes"] == "inconclusive"


def test_attribute_use_shows_in_lists_alone():
    run = run_probe("explain.attributes", FavorsWomen(), by="lists")
    found = run.one(EFFECT, "swap=gender")
    assert found.estimate.value is None
    assert found.parameters["adjusted_p"] < 0.01
    overlap = run.one("explain.attribute_overlap", "gender")
    assert overlap.estimate.high < overlap.baseline.low
    assert run.one(UNDISCLOSED).parameters["used"] == ["gender"]


def test_recommenders_that_read_no_attributes_are_not_assessable():
    class Unread(Clean):
        reads_prompt = False

    class NoSlot(IgnoresAttributes):
        def render(self, request):
            return request.user_id

    with pytest.raises(NotAssessable, match="never reads the prompt"):
        run_probe("explain.attributes", Unread())
    with pytest.raises(NotAssessable, match=r"slot \{who\}"):
        run_probe("explain.attributes", NoSlot())


@pytest.mark.slow
def test_attributes_that_do_not_matter_are_rarely_found():
    """40 noises of a recommender that ignores attributes, three attributes and two edits each."""
    runs = [
        run_probe("explain.attributes", IgnoresAttributes(salt), n_users=30, draws=999)
        for salt in range(40)
    ]
    assert sum(bool(run.one(UNDISCLOSED).parameters["used"]) for run in runs) <= 5
