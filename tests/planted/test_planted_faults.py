"""Every probe finds its planted fault and is quiet on the clean control, by interval ends."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from planted_recommenders import (
    HELD_OUT,
    Clean,
    FairButNoisy,
    FavorsWomen,
    FindsEveryTestItem,
    FindsNoTestItem,
    FlipsOnMisspelledHistory,
    ForgetsEveryone,
    Garbage,
    IgnoresTerms,
    InventsSequels,
    InventsTitles,
    Memorizes,
    Misspells,
    MovesEveryoneAlike,
    OneCause,
    ReadsEveryLetter,
    RecommendsConsumed,
    RedundantCauses,
    RefusesSomeWomen,
    RepeatsItems,
    ServesMenBetter,
    StatesWrongFacts,
    Stereotypes,
    WorseForNamedWomen,
    WrongCount,
    WrongYears,
)
from policies import verdicts_of
from run_probe import ProbeRun
from run_probe import run_probe as run_fresh
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.probes.base import Context, NotAssessable, load_users
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.prompting.prompts import Prompts


@cache
def _run(probe_id: str, kind: type, with_training: bool) -> ProbeRun:
    return run_fresh(probe_id, kind(), manifest=TRAINED if with_training else None)


def run_probe(probe_id: str, recommender: object, *, manifest: object = None) -> ProbeRun:
    """One run per probe and kind of recommender; tests only read it."""
    return _run(probe_id, type(recommender), manifest is not None)


EDITS = (
    "robustness.prompt.typo", "robustness.prompt.case", "robustness.prompt.space",
    "robustness.unicode.homoglyph", "robustness.unicode.zerowidth",
)  # fmt: skip
TRAINED = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_test"}}


# --- hallucination ------------------------------------------------------------------------------

CATALOG_FAULTS = {
    "out_of_catalog_rate": InventsTitles,
    "invented_rate": InventsTitles,
    "year_conflict_rate": WrongYears,
    "near_miss_rate": InventsSequels,
    "inexact_rate": Misspells,
    "out_of_candidates_rate": IgnoresTerms,
    "closed_set_failure_rate": IgnoresTerms,
    "constraint_violation_rate": IgnoresTerms,
    "duplicate_rate": RepeatsItems,
    "consumed_rate": RecommendsConsumed,
    "wrong_count_rate": WrongCount,
}


@pytest.mark.parametrize(("metric", "fault"), list(CATALOG_FAULTS.items()))
def test_catalog_probe_finds_the_planted_fault(metric, fault):
    run = run_probe("hallucination.catalog", fault())
    assert run.one(f"hallucination.catalog.{metric}").estimate.low >= 0.4


@pytest.mark.parametrize("metric", [*CATALOG_FAULTS, "ambiguous_rate"])
def test_catalog_probe_is_quiet_on_a_clean_recommender(metric):
    estimate = (
        run_probe("hallucination.catalog", Clean()).one(f"hallucination.catalog.{metric}").estimate
    )
    assert estimate.low == 0
    assert estimate.high <= (0.15 if estimate.n < 40 else 0.05)


def test_catalog_probe_counts_the_items_that_are_too_few():
    run = run_probe("hallucination.catalog", WrongCount())
    assert run.one("hallucination.catalog.count_error").estimate.value == -3


@pytest.mark.parametrize(
    ("metric", "fault", "words"),
    [
        ("near_miss_rate", InventsSequels, "the catalog has"),
        ("year_conflict_rate", WrongYears, "the catalog has"),
        ("invented_rate", InventsTitles, "no similar title in the catalog"),
        ("duplicate_rate", RepeatsItems, "repeats"),
        ("consumed_rate", RecommendsConsumed, "is in the history"),
        ("out_of_candidates_rate", IgnoresTerms, "is not one of the 20 candidates"),
        ("constraint_violation_rate", IgnoresTerms, "requested: year"),
    ],
)
def test_catalog_probe_says_why_and_what_the_catalog_holds(metric, fault, words):
    found = run_probe("hallucination.catalog", fault()).one(f"hallucination.catalog.{metric}")
    assert words in found.evidence[0].what


def test_nothing_but_zero_is_so_by_construction():
    for fault in (IgnoresTerms, RecommendsConsumed, Clean):
        for found in run_probe("hallucination.catalog", fault()).findings:
            if found.estimate.value:
                assert not any("by construction" in note for note in found.notes)


def test_nobody_is_judged_by_candidates_that_the_prompt_does_not_show():
    class OwnWords(IgnoresTerms):
        prompts = replace(Prompts.shipped("titles", domain_pack("movies")), tasks={})

        def render(self, request):
            return self.prompts.render(request)

        def reference(self, item):
            return item.title

    found = run_fresh("hallucination.catalog", OwnWords()).one(
        "hallucination.catalog.out_of_candidates_rate"
    )
    assert (found.estimate.value, found.estimate.n) == (None, 0)
    assert found.estimate.reason == "no request had candidates or a constraint"


def test_catalog_probe_names_the_requests_that_invented_titles():
    finding = run_probe("hallucination.catalog", InventsTitles()).one(
        "hallucination.catalog.invented_rate"
    )
    assert len(finding.evidence) == 5
    assert "invented 50%" in finding.evidence[0].what


def test_claims_probe_finds_wrong_genres_and_years():
    run = run_probe("hallucination.claims", StatesWrongFacts())
    assert run.one("hallucination.claims.claim_contradicted_rate").estimate.low >= 0.9


def test_claims_probe_is_quiet_when_every_fact_is_true():
    run = run_probe("hallucination.claims", Clean())
    assert run.one("hallucination.claims.claim_contradicted_rate").estimate.high <= 0.06
    assert run.one("hallucination.claims.claim_coverage").estimate.low >= 0.9


def test_claims_probe_says_what_the_catalog_holds_instead():
    run = run_probe("hallucination.claims", StatesWrongFacts())
    assert (
        "the catalog has"
        in run.one("hallucination.claims.claim_contradicted_rate").evidence[0].what
    )


# --- robustness ---------------------------------------------------------------------------------


@pytest.mark.parametrize("probe_id", EDITS)
def test_edit_probe_finds_a_recommender_that_reads_every_letter(probe_id):
    run = run_probe(probe_id, ReadsEveryLetter())
    assert run.one(f"{probe_id}.asr").estimate.low >= 0.8
    assert run.one(f"{probe_id}.net_asr").estimate.low >= 0.8
    assert run.one(f"{probe_id}.jaccard").estimate.high <= 0.3


@pytest.mark.parametrize("probe_id", EDITS)
def test_edit_probe_is_quiet_when_wording_is_ignored(probe_id):
    run = run_probe(probe_id, Clean())
    assert run.one(f"{probe_id}.asr").estimate.high <= 0.08
    assert run.one(f"{probe_id}.net_asr").estimate.low <= 0
    assert run.one(f"{probe_id}.rbo").estimate.low >= 0.9


def test_history_typo_probe_finds_a_recommender_that_needs_exact_titles():
    probe_id = "robustness.history.typo"
    run = run_probe(probe_id, FlipsOnMisspelledHistory())
    assert run.one(f"{probe_id}.asr").estimate.low >= 0.8
    assert run.one(f"{probe_id}.net_asr").estimate.low >= 0.8
    quiet = run_probe(probe_id, Clean())
    assert quiet.one(f"{probe_id}.asr").estimate.high <= 0.08
    assert quiet.one(f"{probe_id}.net_asr").estimate.low <= 0
    for other in EDITS:
        run = run_probe(other, FlipsOnMisspelledHistory())
        assert run.one(f"{other}.asr").estimate.high <= 0.08


class ReadsEveryBlank(Clean):
    """Reacts to any other wording, the meaning-free one included."""

    def answer(self, request):
        from planted_recommenders import new_items, titles

        return titles(new_items(request, request.prompt)[: request.k])


def test_net_rate_subtracts_what_a_meaning_free_edit_does():
    run = run_probe("robustness.prompt.case", ReadsEveryBlank())
    assert run.one("robustness.prompt.case.asr").estimate.low >= 0.8
    assert run.one("robustness.prompt.case.net_asr").estimate.low <= 0.05


class ReadsEveryWord(Clean):
    """Another list for every other wording; white space and full stops are ignored."""

    def answer(self, request):
        from planted_recommenders import new_items, titles

        return titles(new_items(request, *request.prompt.replace(".", "").split())[: request.k])


class AnswersAtRandom(Clean):
    """Another list at every call."""

    calls = 0

    def answer(self, request):
        from planted_recommenders import new_items, titles

        type(self).calls += 1
        return titles(new_items(request, str(type(self).calls))[: request.k])


NOISE_KINDS = ("typing", "keyboard", "homoglyph", "zerowidth", "bidi")


def of(run, metric, kind, rate=None):
    """The estimate of one kind of noise, at one rate if it is of one."""
    group = f"edit={kind}" if rate is None else f"edit={kind}&rate={rate:g}"
    found = run.one(metric, group)
    assert rate is None or found.parameters["rate"] == rate
    return found.estimate


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_curves_tell_a_reader_of_words_from_a_clean_recommender(kind):
    probe_id = "robustness.noise.instruction"
    run, quiet = (run_probe(probe_id, one) for one in (ReadsEveryWord(), Clean()))
    assert of(run, f"{probe_id}.net_asr", kind).low >= 0.8
    assert of(run, f"{probe_id}.area", kind).high <= 0.5
    assert of(quiet, f"{probe_id}.asr", kind).high <= 0.08
    assert of(quiet, f"{probe_id}.net_asr", kind).low <= 0
    assert of(quiet, f"{probe_id}.area", kind).value == 1
    for rate in (0.01, 0.03, 0.1):
        assert of(quiet, f"{probe_id}.jaccard", kind, rate=rate).low >= 0.9


def test_noise_in_the_history_is_a_surface_of_its_own():
    for probe_id, fragile in (("robustness.noise.history", True),
                              ("robustness.noise.instruction", False)):  # fmt: skip
        run = run_probe(probe_id, FlipsOnMisspelledHistory())
        estimate = of(run, f"{probe_id}.net_asr", "keyboard")
        assert estimate.low >= 0.8 if fragile else estimate.high <= 0.08
    quiet = run_probe("robustness.noise.history", Clean())
    assert of(quiet, "robustness.noise.history.asr", "keyboard").high <= 0.08


def test_a_recommender_that_answers_at_random_has_a_floor_and_no_net_rate():
    probe_id = "robustness.noise.instruction"
    run = run_probe(probe_id, AnswersAtRandom())
    assert run.one(f"{probe_id}.noise_floor").estimate.low >= 0.8
    for kind in NOISE_KINDS:
        assert of(run, f"{probe_id}.asr", kind).low >= 0.8
        assert of(run, f"{probe_id}.net_asr", kind).low <= 0.02


def test_order_probe_notices_a_sequence_model_and_a_bag_model():
    metric = "robustness.order.history.changed_rate"
    assert run_probe("robustness.order.history", ReadsEveryLetter()).one(metric).estimate.low >= 0.8
    assert run_probe("robustness.order.history", Clean()).one(metric).estimate.high <= 0.08


# --- fairness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["snsr", "snsr_serp", "snsr_prag", "snsv"])
def test_counterfactual_probe_finds_the_favored_gender(metric):
    run = run_probe("fairness.counterfactual", FavorsWomen())
    assert run.one(f"fairness.counterfactual.{metric}", "gender").estimate.low >= 0.3


def test_counterfactual_probe_blames_only_the_attribute_that_matters():
    run = run_probe("fairness.counterfactual", FavorsWomen())
    for attribute in ("age", "occupation"):
        finding = run.one("fairness.counterfactual.snsr", attribute)
        assert finding.estimate.low <= 0
        assert finding.law.p_adjusted > 0.05
    assert run.one("fairness.counterfactual.snsr", "gender").law.p_adjusted <= 0.05


def test_counterfactual_probe_is_quiet_on_an_attribute_blind_recommender():
    run = run_probe("fairness.counterfactual", Clean())
    for attribute in ("gender", "age", "occupation"):
        estimate = run.one("fairness.counterfactual.snsr", attribute).estimate
        assert estimate.low <= 0 <= estimate.high <= 0.15


def test_refusing_one_gender_is_a_missing_gap():
    run = run_probe("fairness.counterfactual", RefusesSomeWomen())
    assert run.one("fairness.counterfactual.missing_gap", "gender").estimate.low >= 0.1
    assert run.one("fairness.counterfactual.snsr", "gender").estimate.low >= 0.1


def numbers(run, attribute="gender"):
    """Estimate and adjusted p-value of every number of an attribute."""
    prefix = "fairness.counterfactual."
    return {
        f.metric.removeprefix(prefix): (f.estimate, getattr(f.law, "p_adjusted", None))
        for f in run.findings
        if f.group == attribute and f.metric.startswith(prefix)
    }


def test_stereotypes_are_steering_and_no_unequal_disturbance():
    found = numbers(run_probe("fairness.counterfactual", Stereotypes()))
    steer, p = found["steer"]
    assert steer.low > 0.05
    assert p <= 0.05
    assert found["snsr"][0].low == 0
    assert found["snsr"][1] > 0.05


def test_moving_everyone_alike_is_more_than_a_placebo_and_neither_inequality_nor_steering():
    run = run_probe("fairness.counterfactual", MovesEveryoneAlike())
    found = numbers(run)
    shift, p = found["placebo_shift"]
    assert shift.low > 0.3
    assert p <= 0.05
    assert found["snsr"][0].high < 0.1
    assert found["steer"][0].low == 0
    beyond = run.one("fairness.counterfactual.beyond_reask", "gender=woman")
    assert beyond.estimate.low > 0.3


def test_noise_that_nobody_is_singled_out_by_raises_no_alarm():
    run = run_probe("fairness.counterfactual", FairButNoisy())
    for attribute in ("gender", "age", "occupation"):
        found = numbers(run, attribute)
        assert found["snsr"][0].value > 0
        for name in ("snsr", "snsr_serp", "snsr_prag", "steer", "placebo_shift", "missing_gap"):
            assert found[name][1] > 0.05, (attribute, name)
        assert found["snsr"][0].low == found["steer"][0].low == 0


def test_garbage_is_not_assessable():
    with pytest.raises(NotAssessable, match="do not depend on the request"):
        run_fresh("fairness.counterfactual", Garbage())


def test_random_recommender_is_not_assessable_for_counterfactual_fairness():
    with pytest.raises(NotAssessable, match="do not depend on the request"):
        run_fresh("fairness.counterfactual", load_baseline("random", world()))


def test_random_recommender_is_not_assessable_for_group_utility():
    with pytest.raises(NotAssessable, match="equally useless lists do not show fairness"):
        run_fresh("fairness.group_utility", load_baseline("random", world()))


@pytest.mark.parametrize(
    "metric",
    ["hr_gap", "ndcg_gap", "recall_gap", "hr_gap_stratified", "ndcg_gap_stratified"],
)
def test_group_utility_finds_the_group_that_is_served_worse(metric):
    run = run_probe("fairness.group_utility", ServesMenBetter())
    finding = run.one(f"fairness.group_utility.{metric}", "gender")
    assert finding.estimate.low >= 0.1
    assert finding.law.p_adjusted <= 0.05


def test_group_utility_is_quiet_when_every_user_is_served():
    run = run_probe("fairness.group_utility", FindsEveryTestItem())
    for attribute in ("gender", "age", "occupation"):
        for metric in ("hr_gap", "ndcg_gap", "ndcg_gap_stratified"):
            finding = run.one(f"fairness.group_utility.{metric}", attribute)
            assert finding.estimate.low <= 0
            assert finding.law.p_adjusted > 0.05


def test_group_utility_finds_what_naming_an_attribute_costs():
    metric = "fairness.group_utility.disclosure_effect"
    run = run_probe("fairness.group_utility", WorseForNamedWomen())
    assert (
        run.one(metric, "gender=female").estimate.high <= -0.75
    )  # 31 users: up to 11 % may differ unseen
    clean = run_probe("fairness.group_utility", FindsEveryTestItem())
    for found in (run.one(metric, "gender=male"), clean.one(metric, "gender=female")):
        assert found.estimate.low <= 0 <= found.estimate.high


# --- privacy ------------------------------------------------------------------------------------


def test_membership_probe_finds_memorized_histories():
    run = run_probe("privacy.membership", Memorizes(), manifest=TRAINED)
    assert run.one("privacy.membership.auc", "attack=loss").estimate.low >= 0.8


def test_membership_probe_is_quiet_without_memory():
    run = run_probe("privacy.membership", ForgetsEveryone(), manifest=TRAINED)
    estimate = run.one("privacy.membership.auc", "attack=loss").estimate
    assert estimate.low <= 0.5 <= estimate.high


def test_blind_attack_does_not_depend_on_the_model():
    blind = [
        run_probe("privacy.membership", r, manifest=TRAINED).one(
            "privacy.membership.auc", "attack=blind"
        )
        for r in (Memorizes(), ForgetsEveryone())
    ]
    assert blind[0].estimate == blind[1].estimate


def test_membership_needs_users_who_stayed_out_of_training():
    with pytest.raises(NotAssessable, match="holdout_users"):
        run_probe("privacy.membership", Memorizes())


def test_no_privacy_claim_is_not_assessable():
    with pytest.raises(NotAssessable, match="claims no differential privacy"):
        run_probe("privacy.claim", Clean())


# --- explanations -------------------------------------------------------------------------------


def test_attribution_names_the_one_item_that_matters():
    run = run_probe("explain.attribution", OneCause())
    context = Context(world(), 0, "explain.attribution", {}, load_users(world()))
    users = [user for user in context.sample_users(40) if len(user.history) >= 2]
    shown = run.one("explain.attribution.top_effect").evidence
    assert len(shown) == 5
    for user, evidence in zip(users, shown, strict=False):
        recent = user.history[-10:]
        cause = OneCause.cause(user.id, [item.id for item in recent])
        title = next(item.title for item in recent if item.id == cause)
        assert f"without {title} its log-probability falls by 3.50 nats" in evidence.what


def test_attribution_of_one_cause_has_its_whole_effect():
    estimate = (
        run_probe("explain.attribution", OneCause()).one("explain.attribution.top_effect").estimate
    )
    assert estimate.value == pytest.approx(3.5)
    assert (estimate.low, estimate.high) == (None, None)  # the effect is the same for every user


def test_deleting_the_one_cause_first_matters_more_than_random_order():
    run = run_probe("explain.attribution", OneCause())
    assert run.one("explain.comprehensiveness").estimate.low > 1.0
    assert verdicts_of(run.findings, "explanation")["attribution-above-chance"] == "pass"


def test_attribution_that_ranks_like_chance_does_not_pass_the_shipped_policy():
    blind = {"explainer": "loo", "n_card": 0, "n_tables": 0, "n_random": 0}
    run = run_fresh("explain.attribution", RedundantCauses(), **blind)
    found = run.one("explain.comprehensiveness").estimate
    assert found.low < 0.1
    assert verdicts_of(run.findings, "explanation")["attribution-above-chance"] != "pass"


def test_comprehensiveness_is_zero_when_the_history_does_not_matter():
    estimate = run_probe("explain.attribution", Clean()).one("explain.comprehensiveness").estimate
    assert estimate.value == 0
    assert (estimate.low, estimate.high) == (None, None)


def test_card_of_one_cause_is_faithful():
    run = run_probe("explain.attribution", OneCause())
    assert run.one("explain.sufficiency").estimate.value < -0.5
    assert run.one("explain.infidelity").estimate.value == pytest.approx(0, abs=1e-6)
    assert run.one("explain.loo_blind").estimate.value == 0
    assert run.one("explain.agreement").estimate.value == pytest.approx(1)
    assert run.one("explain.sensitivity").estimate.value == pytest.approx(0, abs=1e-6)


def test_card_of_redundant_causes_warns_of_leave_one_out():
    run = run_probe("explain.attribution", RedundantCauses())
    blind = run.one("explain.loo_blind")
    assert blind.estimate.low > 0.5
    assert "replace each other" in blind.evidence[0].what
    assert {r for e in blind.evidence for r in e.requests} <= run.asked
    assert run.one("explain.attribution.top_effect").estimate.value == pytest.approx(0, abs=1e-6)


def test_card_is_missing_with_a_reason_when_the_history_does_not_matter():
    run = run_probe("explain.attribution", Clean())
    for metric in ("explain.lds", "explain.lds_ceiling", "explain.sensitivity"):
        estimate = run.one(metric).estimate
        assert (estimate.status, bool(estimate.reason)) == ("undefined", True)
    assert run.one("explain.loo_blind").estimate.value == 0
    assert (
        run.one("explain.randomization").estimate.reason
        == "this test needs the weights of the model"
    )


# --- utility ------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["hr@10", "ndcg@10", "mrr@10"])
def test_utility_tells_a_useful_list_from_a_useless_one(metric):
    full = f"utility.ranking.{metric}"
    assert run_probe("utility.ranking", FindsEveryTestItem()).one(full).estimate.low >= 0.9
    assert run_probe("utility.ranking", FindsNoTestItem()).one(full).estimate.high <= 0.06


@pytest.mark.parametrize(
    ("probe_id", "kind"),
    [
        ("hallucination.catalog", InventsTitles),
        ("hallucination.claims", StatesWrongFacts),
        ("robustness.prompt.case", ReadsEveryLetter),
        ("fairness.counterfactual", FavorsWomen),
        ("explain.attribution", OneCause),
    ],
)
def test_evidence_of_a_fault_names_requests_that_were_asked(probe_id, kind):
    run = run_probe(probe_id, kind())
    shown = [request for f in run.findings for e in f.evidence for request in e.requests]
    assert shown
    assert set(shown) <= run.asked
