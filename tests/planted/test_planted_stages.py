"""The stages probe names the stage at fault, and is quiet on a clean pipeline."""

from __future__ import annotations

from functools import cache

import pytest
from planted_stages import (
    AddsInvented,
    AddsReal,
    Demotes,
    Finds,
    Keeps,
    LeavesOut,
    ListsTooLate,
    NeverFinds,
    Promotes,
    RetrievesInvented,
    RetrievesNothing,
    chain,
    pipeline,
)
from run_probe import ProbeRun, run_probe

PROBE = "utility.stages"
FAULTS = ("lost_rate", "out_of_catalog_rate")
OF_RANKING = ("left_out_rate", "below_k_rate", "left_candidates_rate", "out_of_candidates_rate")


@cache
def run(retriever: type, ranker: type) -> ProbeRun:
    return run_probe(PROBE, pipeline(retriever(), ranker()))


def estimate(found: ProbeRun, metric: str, stage: str):
    return found.one(f"{PROBE}.{metric}", f"stage={stage}").estimate


def quiet(found: ProbeRun, *metrics: str, stage: str) -> bool:
    return all(estimate(found, metric, stage).low == 0 for metric in metrics)


@pytest.mark.parametrize("ranker", [Keeps, Promotes])
def test_a_clean_pipeline_has_no_fault_in_any_stage(ranker):
    clean = run(Finds, ranker)
    assert quiet(clean, *FAULTS, stage="retrieval")
    assert quiet(clean, *FAULTS, *OF_RANKING, stage="ranking")
    assert estimate(clean, "candidate_recall", "retrieval").value == 1
    assert estimate(clean, "ndcg_change", "ranking").high >= 0
    assert not any(f.evidence for f in clean.findings)


def test_a_retriever_that_never_finds_the_items_is_at_fault():
    found = run(NeverFinds, Keeps)
    assert estimate(found, "candidate_recall", "retrieval").high <= 0.1
    assert estimate(found, "lost_rate", "retrieval").low >= 0.9
    assert quiet(found, *FAULTS, *OF_RANKING, stage="ranking")
    (first, *_) = found.one(f"{PROBE}.lost_rate", "stage=retrieval").evidence
    assert "is not among the 20 candidates of retrieval" in first.what


def test_a_ranker_that_leaves_the_items_out_is_at_fault():
    found = run(Finds, LeavesOut)
    assert quiet(found, *FAULTS, stage="retrieval")
    assert estimate(found, "lost_rate", "ranking").low >= 0.9
    assert estimate(found, "left_out_rate", "ranking").low >= 0.9
    assert quiet(found, "below_k_rate", stage="ranking")
    (first, *_) = found.one(f"{PROBE}.lost_rate", "stage=ranking").evidence
    assert "of retrieval, but ranking left it out" in first.what


def test_a_ranker_that_lists_the_items_below_k_is_at_fault():
    found = run(Finds, ListsTooLate)
    assert estimate(found, "below_k_rate", "ranking").low >= 0.9
    assert quiet(found, "left_out_rate", stage="ranking")
    (first, *_) = found.one(f"{PROBE}.below_k_rate", "stage=ranking").evidence
    assert "ranking lists it at position 11, below 10" in first.what


def test_a_ranker_that_demotes_the_items_spoils_the_order():
    found = run(Finds, Demotes)
    assert estimate(found, "ndcg_change", "ranking").high <= -0.3
    assert quiet(found, *FAULTS, *OF_RANKING, stage="ranking")
    (first, *_) = found.one(f"{PROBE}.ndcg_change", "stage=ranking").evidence
    assert "NDCG@10 1.00 in the order of retrieval, 0.29 after ranking" in first.what


def test_a_ranker_that_promotes_the_items_improves_the_order():
    assert estimate(run(Finds, Promotes), "ndcg_change", "ranking").low >= 0.2


def test_invented_items_of_the_ranker_are_its_fault():
    found = run(Finds, AddsInvented)
    for metric in ("left_candidates_rate", "out_of_catalog_rate"):
        assert estimate(found, metric, "ranking").value == 0.5
        assert estimate(found, metric, "ranking").low >= 0.4
        assert found.one(f"{PROBE}.{metric}", "stage=ranking").parameters["n_added"] == 5 * 80
    assert quiet(found, "out_of_candidates_rate", stage="ranking")
    assert quiet(found, *FAULTS, stage="retrieval")
    (first, *_) = found.one(f"{PROBE}.out_of_catalog_rate", "stage=ranking").evidence
    assert "of ranking is not one of the 20 candidates and not in the catalog" in first.what


def test_real_items_outside_the_candidates_are_no_inventions():
    found = run(Finds, AddsReal)
    assert estimate(found, "out_of_candidates_rate", "ranking").low >= 0.4
    assert estimate(found, "left_candidates_rate", "ranking").value == 0.5
    assert quiet(found, "out_of_catalog_rate", stage="ranking")


def test_invented_candidates_are_the_fault_of_the_retriever():
    found = run(RetrievesInvented, Keeps)
    assert estimate(found, "out_of_catalog_rate", "retrieval").low >= 0.15
    assert quiet(found, *FAULTS, *OF_RANKING, stage="ranking")


def test_rates_of_the_stages_and_the_hits_add_up_to_one():
    for retriever, ranker in ((NeverFinds, AddsReal), (Finds, LeavesOut), (Finds, Keeps)):
        found = run(retriever, ranker)
        hits = run_probe("utility.ranking", pipeline(retriever(), ranker()))
        lost = sum(estimate(found, "lost_rate", stage).value for stage in ("retrieval", "ranking"))
        assert lost + hits.one("utility.ranking.hr@10").estimate.value == pytest.approx(1)


def test_after_an_empty_retrieval_the_ranker_is_not_asked():
    found = run(RetrievesNothing, AddsInvented)
    assert found.counts["no_answer"] == 80
    assert estimate(found, "lost_rate", "retrieval").value == 1
    added = estimate(found, "out_of_catalog_rate", "ranking")
    assert (added.value, added.n_missing) == (None, 80)


def test_in_a_longer_chain_each_stage_answers_for_its_own_loss():
    stages = [("wide", Finds(), 30), ("narrow", LeavesOut(), 15), ("ranking", Keeps(), None)]
    found = run_probe(PROBE, chain(stages))
    assert estimate(found, "candidate_recall", "wide").value == 1
    assert estimate(found, "candidate_recall", "narrow").value == 0
    assert estimate(found, "lost_rate", "narrow").low >= 0.9
    assert quiet(found, "lost_rate", stage="wide")
    assert quiet(found, "lost_rate", stage="ranking")
