"""In a pipeline that writes a search query first, the stage at fault is named."""

from __future__ import annotations

import pytest
from planted_stages import (
    Asks,
    AsksNothing,
    AsksOffTopic,
    Keeps,
    LeavesOut,
    Searches,
    SearchesBadly,
    searching,
)
from run_probe import run_probe
from small_world import world

from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.pipeline.pipeline import Pipeline

PROBE = "utility.stages"
STAGES = ("query", "retrieval", "ranking")


def lost(found):
    return {
        stage: found.one(f"{PROBE}.lost_rate", f"stage={stage}").estimate.value for stage in STAGES
    }


@pytest.mark.parametrize(
    ("writer", "retriever", "ranker", "at_fault"),
    [
        (Asks, Searches, Keeps, None),
        (AsksOffTopic, Searches, Keeps, "query"),
        (AsksNothing, Searches, Keeps, "query"),
        (Asks, SearchesBadly, Keeps, "retrieval"),
        (AsksOffTopic, SearchesBadly, Keeps, "retrieval"),
        (Asks, Searches, LeavesOut, "ranking"),
    ],
)
def test_the_stage_at_fault_loses_the_items(writer, retriever, ranker, at_fault):
    found = run_probe(PROBE, searching(writer(), retriever(), ranker()))
    assert lost(found) == {stage: pytest.approx(float(stage == at_fault)) for stage in STAGES}


def test_a_query_is_compared_with_the_titles_of_the_history():
    bad = run_probe(PROBE, searching(AsksOffTopic(), Searches(), Keeps()))
    gain = bad.one(f"{PROBE}.query_gain", "stage=query")
    assert gain.estimate.value == -1
    assert gain.estimate.high < -0.9
    assert "recall 1.00 with the titles of the history as the query, 0.00" in gain.evidence[0].what
    loss = bad.one(f"{PROBE}.lost_rate", "stage=query")
    assert "is found by the titles of the history but not by the query" in loss.evidence[0].what
    good = run_probe(PROBE, searching(Asks(), Searches(), Keeps()))
    assert good.one(f"{PROBE}.query_gain", "stage=query").estimate.value == 0


def test_without_a_query_the_retriever_is_not_asked():
    found = run_probe(PROBE, searching(AsksNothing(), Searches(), Keeps()))
    assert found.counts["no_answer"] == 80
    loss = found.one(f"{PROBE}.lost_rate", "stage=query")
    assert loss.evidence[0].what.endswith("there is no query")
    assert found.one(f"{PROBE}.query_gain", "stage=query").estimate.value is None


def test_without_the_plain_query_no_gain_is_claimed(monkeypatch):
    monkeypatch.setattr(
        Pipeline, "_plain", lambda self, stage, passages, asked: [None] * len(asked)
    )
    found = run_probe(PROBE, searching(AsksOffTopic(), Searches(), Keeps()))
    assert found.one(f"{PROBE}.query_gain", "stage=query").estimate.value is None
    assert lost(found) == {"query": 0, "retrieval": pytest.approx(1), "ranking": 0}


def test_a_title_as_the_query_finds_its_item_by_bm25():
    bm25 = load_baseline("bm25", world())
    found = run_probe(PROBE, searching(Asks(), bm25, Keeps()))
    assert found.one(f"{PROBE}.candidate_recall", "stage=retrieval").estimate.value > 0.95
    assert found.one(f"{PROBE}.query_gain", "stage=query").estimate.low > 0.2
