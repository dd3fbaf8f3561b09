"""Probes of single items, of mitigations and of a judge find their planted faults."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from planted_raters import Contrary, Foresees, Knows, SureOfEverything, rated
from planted_recommenders import (
    HELD_OUT,
    Clean,
    FindsNoTestItem,
    InventsTitles,
    StatesWrongFacts,
    chance,
)
from protocol_server import serving
from run_probe import ProbeRun, run_probe

from auditkit.registry import probes

TRAINED = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_validation"}}


@cache
def of_ratings(probe_id: str, kind: type) -> ProbeRun:
    return run_probe(probe_id, kind(), dataset=rated())


def test_every_probe_that_ships_has_a_planted_fault_and_a_clean_control():
    planted = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py"))
    missing = [probe_id for probe_id in probes() if f'"{probe_id}"' not in planted]
    assert missing == []


def test_validation_utility_tells_a_useful_list_from_a_useless_one():
    useful = run_probe("utility.validation", Foresees(), manifest=TRAINED)
    useless = run_probe("utility.validation", FindsNoTestItem(), manifest=TRAINED)
    assert useful.one("utility.validation.hr@10").estimate.low >= 0.9
    assert useless.one("utility.validation.hr@10").estimate.high <= 0.4


def test_likes_probe_finds_answers_that_say_the_contrary():
    metric = "utility.likes.auc"
    assert of_ratings("utility.likes", Contrary).one(metric).estimate.high < 0.5
    assert of_ratings("utility.likes", Knows).one(metric).estimate.low > 0.9


def test_ratings_probe_finds_a_rater_that_is_far_off():
    for metric in ("utility.ratings.rmse", "utility.ratings.mae"):
        wrong = of_ratings("utility.ratings", Contrary).one(metric).estimate
        right = of_ratings("utility.ratings", Knows).one(metric).estimate
        assert wrong.low > right.high + 0.5
        assert right.value < 0.1
        assert right.high < 4 * (1 - 0.025 ** (1 / right.n)) + 0.1


def test_likelihood_probe_finds_a_model_that_expects_other_items():
    metric = "utility.likelihood.nats_per_item"
    surprised = run_probe("utility.likelihood", Surprised()).one(metric).estimate
    sure = run_probe("utility.likelihood", SureOfEverything()).one(metric).estimate
    assert surprised.value > sure.value + 5


class Surprised(SureOfEverything):
    def log_probability(self, prompt: str, continuation: str) -> float:
        return super().log_probability(prompt, continuation) - 6.0


class InventsAnew(InventsTitles):
    """Makes up other titles in every sample."""

    def answer(self, request):
        return [f"{t} {request.seed}" if "Zzyzx" in t else t for t in super().answer(request)]


class InventsTheSame(InventsTitles):
    """Leaves out titles by chance, whether they exist or not, and never makes up others."""

    def answer(self, request):
        listed = super().answer(request)
        if not request.temperature:
            return listed
        return [t for t in listed if chance(request.seed, t) < 0.6] or listed[:1]


def test_mitigation_probe_sees_the_fault_and_what_grounding_removes():
    metric = "hallucination.mitigation.out_of_catalog_rate"
    inventing = run_probe("hallucination.mitigation", InventsTitles())
    assert inventing.one(metric, "variant=free").estimate.low >= 0.4
    assert inventing.one(metric, "variant=grounding").estimate.value == 0
    clean = run_probe("hallucination.mitigation", Clean())
    assert clean.one(metric, "variant=free").estimate.high <= 0.1


def test_agreement_of_samples_sees_inventions_only_where_samples_disagree():
    metric, group = "hallucination.mitigation.confidence_auc", "error=refused&confidence=agreement"
    runs = [
        run_probe("hallucination.mitigation", kind(), variants=("free", "agreement"))
        for kind in (InventsAnew, InventsTheSame)
    ]
    unsure, consistent = (run.one(metric, group).estimate for run in runs)
    assert unsure.low >= 0.9
    assert consistent.low <= 0.5 <= consistent.high


def judged(recommender: object, verdict: str) -> ProbeRun:
    with serving(text=verdict) as (base, _):
        return run_probe(
            "hallucination.judge", recommender, judge=f"openai:{base}#judge", n_users=2
        )


def test_judge_probe_finds_a_judge_that_approves_of_wrong_facts():
    metric = "hallucination.judge.graph_agreement"
    assert judged(StatesWrongFacts(), "supported").one(metric).estimate.high < 0.6
    assert judged(Clean(), "supported").one(metric).estimate.value == 1
