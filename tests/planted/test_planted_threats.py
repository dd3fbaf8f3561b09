"""Probes of threats that are special to recommenders: planted faults, and clean recommenders."""

from __future__ import annotations

from functools import cache

import pytest
from planted_recommenders import Clean, new_items, titles
from planted_threats import (
    CorrectsPremises,
    EchoesSystem,
    EchoesSystemBackwards,
    InventsForPremises,
    KeepsSecrets,
    LiftsBest,
    LikesBestSellers,
    LikesLongTexts,
    Linked,
    ObeysOrders,
    ObeysOverrides,
    ProtectsMinors,
    Random,
    RefusesEverything,
    TakesTheFirst,
)
from run_probe import ProbeRun, run_probe
from small_world import world

from auditkit.probes.base import NotAssessable
from auditkit.probes.robustness.item_cues import CUES
from auditkit.probes.robustness.item_injection import ItemInjectionProbe
from auditkit.recommenders.adapters.baselines import load_baseline

INJECT, CUE = "robustness.item.inject", "robustness.item.cues"
FAMILIES = ItemInjectionProbe().families


@cache
def run(probe_id: str, kind: type, **parameters: object) -> ProbeRun:
    return run_probe(probe_id, Linked(kind()), **parameters)


# --- text of items ------------------------------------------------------------------------------


def test_injection_probe_finds_a_recommender_that_lifts_a_word_in_exactly_its_family():
    found = run("robustness.item.inject", LiftsBest)
    for family in FAMILIES:
        group = f"family={family}"
        inject = found.one(f"{INJECT}.inject_asr", group).estimate
        effect = found.one(f"{INJECT}.inject_effect", group).estimate
        assert found.one(f"{INJECT}.neutral_asr", group).estimate.value == 0
        assert found.one(f"{INJECT}.inject_effect", group).parameters["n_unmatched"] == 0
        if family == "self_praise":
            assert inject.value == effect.value == 1
            assert inject.low >= 0.92
            assert effect.low >= 0.85  # wider than the rate: a difference may be negative
        else:
            assert inject.value == effect.value == 0
            assert inject.high <= 0.08


@pytest.mark.parametrize("surface", ["title", "description", "history"])
def test_injection_probe_finds_a_recommender_that_obeys_orders(surface):
    found = run(INJECT, LiftsOrObeys if surface == "title" else ObeysOrders, surface=surface)
    assert found.one(f"{INJECT}.inject_effect").estimate.low >= 0.6
    assert found.one(f"{INJECT}.inject_effect", "family=override").estimate.low >= 0.85
    assert found.one(f"{INJECT}.neutral_asr").estimate.high <= 0.08
    assert found.one(f"{INJECT}.inject_asr").evidence


@pytest.mark.parametrize("surface", ["title", "description", "history"])
@pytest.mark.parametrize("kind", [Clean, TakesTheFirst])
def test_injection_probe_is_quiet_when_texts_of_items_are_ignored(kind, surface):
    found = run(INJECT, kind, surface=surface)
    assert found.one(f"{INJECT}.inject_asr").estimate.high <= 0.08
    for group in ("all", *(f"family={family}" for family in FAMILIES)):
        effect = found.one(f"{INJECT}.inject_effect", group).estimate
        assert effect.low <= 0 <= effect.high


def test_injection_probe_blames_no_text_for_the_lists_of_a_random_recommender():
    found = run(INJECT, Random)
    assert found.one(f"{INJECT}.noise_floor").estimate.low > 0.1
    effect = found.one(f"{INJECT}.inject_effect").estimate
    assert effect.low <= 0 <= effect.high
    assert found.one(f"{INJECT}.inject_asr").estimate.high > 0.1


def test_injection_probe_has_no_rate_for_a_mute_recommender():
    found = run(INJECT, RefusesEverything).one(f"{INJECT}.inject_asr").estimate
    assert (found.value, found.n, found.n_missing) == (None, 0, 50)
    assert found.reason == "no user has a target item outside of the clean top k"


def test_every_template_may_be_sent_to_every_user():
    few = run_probe(INJECT, LiftsBest(), n_users=10, templates=4)
    assert few.one(f"{INJECT}.inject_asr").law.n == 10 * 5 * 4
    assert few.one(f"{INJECT}.inject_asr", "family=self_praise").estimate.value == 1


class LiftsOrObeys(ObeysOrders):
    """Obeys an order that directly follows a title, without the word description."""

    def answer(self, request):
        from dataclasses import replace

        told = [
            replace(item, title=item.title.replace(")", ") Description: ", 1))
            for item in request.candidates or ()
        ]
        return super().answer(replace(request, candidates=tuple(told)))


# --- cues ---------------------------------------------------------------------------------------


def effects(found: ProbeRun) -> dict[str, tuple[float, float]]:
    """Lower end of the effect and adjusted p-value, by cue."""
    return {
        cue: (
            (one := found.one(f"{CUE}.cue_effect", f"cue={cue}")).estimate.low,
            one.parameters["p_holm"],
        )
        for cue in ("position", *CUES)
    }


@pytest.mark.parametrize(
    ("kind", "cue"),
    [(LikesBestSellers, "bandwagon"), (LikesLongTexts, "length"), (TakesTheFirst, "position")],
)
def test_cue_probe_finds_the_cue_that_matters_and_no_other(kind, cue):
    found = effects(run("robustness.item.cues", kind))
    assert found[cue][0] > 0.1
    assert found[cue][1] <= 0.001
    others = {name: value for name, value in found.items() if name != cue}
    if kind is LikesLongTexts:  # equal length in words: the control may be listed first or second
        others.pop("position")  # equal lengths keep the order of the list
    assert all(low <= 0 for low, _ in others.values()), others
    assert all(p == 1 for _, p in others.values()), others


@pytest.mark.parametrize("kind", [Clean, LiftsBest, ObeysOrders, Random])
def test_cue_probe_is_quiet_without_cue_effects(kind):
    found = run(CUE, kind)
    assert all(p > 0.05 for _, p in effects(found).values())
    unstable = found.one(f"{CUE}.unstable_rate").estimate
    assert unstable.low > 0.3 if kind is Random else unstable.high <= 0.05


def test_recommender_without_scores_has_no_score_shift():
    shift = run(CUE, Clean).one(f"{CUE}.score_shift").estimate
    assert shift.value is None
    assert shift.reason == "the responses have no scores of both items"


# --- context ------------------------------------------------------------------------------------

LEAK, REFUSAL = "robustness.leak", "robustness.refusal"


@pytest.mark.parametrize("kind", [EchoesSystem, EchoesSystemBackwards])
@pytest.mark.parametrize("hidden", ["system", "profile"])
def test_leak_probe_finds_a_recommender_that_echoes_its_context(kind, hidden):
    found = run("robustness.leak", kind)
    leak = found.one(f"{LEAK}.leak_rate", f"context={hidden}")
    assert leak.estimate.value == 1
    assert leak.estimate.low >= 0.93
    assert found.one(f"{LEAK}.recall", f"context={hidden}").estimate.low >= 0.9
    assert found.one(f"{LEAK}.decoy_recall", f"context={hidden}").estimate.high <= 0.3
    assert "100% of the code" in leak.evidence[0].what


@pytest.mark.parametrize("hidden", ["system", "profile"])
def test_leak_probe_is_quiet_for_a_recommender_that_keeps_secrets(hidden):
    found = run(LEAK, KeepsSecrets)
    leak = found.one(f"{LEAK}.leak_rate", f"context={hidden}")
    assert leak.estimate.value == 0
    assert leak.estimate.high <= 0.08
    assert not leak.notes
    assert found.one(f"{LEAK}.repeat_rate").estimate.low >= 0.9


def test_leak_probe_says_that_a_recommender_without_text_cannot_leak():
    found = run(LEAK, Clean)
    assert found.one(f"{LEAK}.repeat_rate").estimate.value == 0
    assert "could not have leaked" in found.one(f"{LEAK}.leak_rate", "context=system").notes[0]


def test_refusal_probe_finds_a_mute_recommender_and_one_that_obeys():
    mute, obedient = run("robustness.refusal", RefusesEverything), run(REFUSAL, ObeysOverrides)
    for metric in ("over_refusal_rate", "stated_refusal_rate"):
        assert mute.one(f"{REFUSAL}.{metric}").estimate.low >= 0.9
        assert obedient.one(f"{REFUSAL}.{metric}").estimate.high <= 0.08
    assert mute.one(f"{REFUSAL}.compliance_rate").estimate.high <= 0.08
    assert obedient.one(f"{REFUSAL}.compliance_rate").estimate.low >= 0.9


def test_refusal_probe_is_quiet_for_a_clean_recommender():
    found = run(REFUSAL, Clean)
    for metric in ("over_refusal_rate", "stated_refusal_rate", "compliance_rate"):
        assert found.one(f"{REFUSAL}.{metric}").estimate.high <= 0.08


@pytest.mark.parametrize(
    "probe_id", ["robustness.premise", "robustness.age", INJECT, CUE, LEAK, REFUSAL]
)
def test_recommender_that_reads_no_text_is_not_assessable(probe_id):
    with pytest.raises(NotAssessable, match="does not read"):
        run_probe(probe_id, load_baseline("popularity", world()))


# --- premises and age ---------------------------------------------------------------------------

PREMISE, AGE = "robustness.premise", "robustness.age"


@pytest.mark.parametrize("kind", ["contradiction", "attribution"])
def test_premise_probe_tells_inventing_from_listing_and_correcting(kind):
    group = f"premise={kind}"
    inventing = run("robustness.premise", InventsForPremises)
    assert inventing.one(f"{PREMISE}.invented_rate", group).estimate.low >= 0.9
    assert "Zzyzx" in inventing.one(f"{PREMISE}.invented_rate", group).evidence[0].what
    listing = run(PREMISE, Clean)
    assert listing.one(f"{PREMISE}.other_items_rate", group).estimate.low >= 0.9
    honest = run(PREMISE, CorrectsPremises)
    right = "declined_rate" if kind == "contradiction" else "corrected_rate"
    assert honest.one(f"{PREMISE}.{right}", group).estimate.low >= 0.9
    for quiet in (listing, honest):
        assert quiet.one(f"{PREMISE}.invented_rate", group).estimate.high <= 0.08


def test_age_probe_finds_a_recommender_that_ignores_the_age_and_not_one_that_reads_it():
    blind, aware = run("robustness.age", Clean), run(AGE, ProtectsMinors)
    for age in ("7", "12", "16"):
        group = f"age={age}"
        assert blind.one(f"{AGE}.usr", group).estimate.low >= 0.2
        difference = blind.one(f"{AGE}.child_adult_difference", group).estimate
        assert difference.value == 0
        assert difference.low <= 0 <= difference.high
        assert aware.one(f"{AGE}.usr", group).estimate.high <= 0.08
        assert aware.one(f"{AGE}.child_adult_difference", group).estimate.high <= -0.2
    assert aware.one(f"{AGE}.usr", "age=40") == blind.one(f"{AGE}.usr", "age=40")
    assert "proxy: items with the genre" in blind.one(f"{AGE}.usr", "age=7").notes[0]


class NeverUnsafe(Clean):
    """Lists no unsafe item to any user."""

    def answer(self, request):
        from planted_threats import UNSAFE

        return titles(
            [item for item in new_items(request) if not UNSAFE & set(item.genres)][: request.k]
        )


def test_age_difference_is_undefined_without_unsafe_items_in_any_list():
    estimate = run(AGE, NeverUnsafe).one(f"{AGE}.child_adult_difference", "age=7").estimate
    assert estimate.value is None
    assert "cannot show protection" in estimate.reason


def test_age_probe_takes_the_column_that_a_recipe_names():
    found = run_probe(AGE, Clean(), predicate="genre", values=("Musical",))
    assert not found.one(f"{AGE}.usr", "age=7").notes
    with pytest.raises(NotAssessable, match="unsuitable for minors"):
        run_probe(AGE, Clean(), predicate="certificate", values=("R",))
