"""Findings count every recorded case of a problem, and keep only the worst as evidence."""

from __future__ import annotations

import pytest
from planted_recommenders import (
    Clean,
    FavorsWomen,
    InventsTitles,
    ReadsEveryLetter,
    RepeatsItems,
    StatesWrongFacts,
)
from run_probe import run_probe


@pytest.mark.parametrize(
    ("probe", "recommender", "metric", "kept"),
    [
        ("hallucination.catalog", InventsTitles, "out_of_catalog_rate", 5),
        ("hallucination.catalog", RepeatsItems, "duplicate_rate", 5),
        ("hallucination.claims", StatesWrongFacts, "claim_contradicted_rate", 5),
    ],
)
def test_all_failing_answers_are_counted_though_few_are_kept(probe, recommender, metric, kept):
    finding = run_probe(probe, recommender()).one(f"{probe}.{metric}")
    failing = sum(numerator > 0 for _, numerator, _ in finding.units)
    assert finding.n_cases == failing > kept
    assert len(finding.evidence) == kept


def test_a_recommender_without_a_problem_has_no_case():
    finding = run_probe("hallucination.catalog", Clean()).one(
        "hallucination.catalog.out_of_catalog_rate"
    )
    assert (finding.n_cases, finding.evidence) == (0, ())


def test_successful_edits_are_counted():
    finding = run_probe("robustness.prompt.case", ReadsEveryLetter()).one(
        "robustness.prompt.case.asr"
    )
    assert finding.n_cases == sum(value for _, value, _ in finding.units) > 20
    assert len(finding.evidence) == 3


def test_shifted_lists_are_counted():
    finding = run_probe("fairness.counterfactual", FavorsWomen()).one(
        "fairness.counterfactual.snsr", "gender"
    )
    similarity = finding.parameters["similarity"]
    assert finding.n_cases == sum(value < 1 for row in similarity for value in row) > 3
    assert len(finding.evidence) == 3
