"""The first screen: sentences for readers who do not know the metrics."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from policies import OUT, judging, result_of
from run_folder import AS_OF, outcome, rate

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.registry import metrics
from auditkit.reporting.statements.first_screen import first_screen, statement
from auditkit.reporting.statements.numbers import in_words, range_in_words
from auditkit.reporting.statements.wording import clause, means, remedy, wording
from auditkit.shipped_recipes import find_recipe

ROOT = Path(__file__).parents[2]
FRACTION, POINTS = "fraction of items", "difference of fractions"
RULED = {
    rule.metric
    for name in ("release", "privacy", "conversation", "explanation")
    for rule in Policy.read(find_recipe(name, kind="policy")).file.rules
}


@pytest.mark.parametrize(
    ("value", "unit", "low", "high", "words"),
    [
        (0.59, FRACTION, 0.5437, 0.6352, "59%"),
        (0.0123, FRACTION, 0.0098, 0.0151, "1.2%"),
        (0.5, FRACTION, None, None, "50%"),
        (1.0, FRACTION, 0.9823, 1.0, "100.0%"),
        (0.1333, POINTS, 0.05, 0.24, "13 points"),
        (0.0097, POINTS, 0.0, 0.12, "1 point"),
        (-0.0001, POINTS, -0.05, 0.05, "0 points"),
        (0.1029, "mean over users", 0.0881, 0.1199, "0.10"),
        (1.158, "nats", 0.93, 1.48, "1.2"),
        (8, "nats", None, None, "8"),
        (0.025, "mean over users", None, None, "0.025"),
        (0.07, FRACTION, None, None, "7%"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_supports(value, unit, low, high, words):
    assert in_words(value, unit, low=low, high=high) == words


def test_an_interval_states_its_unit_once():
    assert range_in_words(0.5437, 0.6352, FRACTION) == "54 to 64%"
    assert range_in_words(0.01, 0.24, POINTS) == "1 to 24 points"
    assert range_in_words(0.0881, 0.1199, "mean over users") == "0.09 to 0.12"


@pytest.mark.parametrize("metric", sorted(RULED))
def test_every_metric_that_a_shipped_policy_judges_has_a_clause_a_meaning_and_a_remedy(metric):
    said = wording().says.get(metric)
    assert said, metric
    assert "{value}" in said
    assert said[0].islower() or said.startswith(("{value}", "NDCG"))
    assert means(metric)
    assert remedy(metric)


def test_texts_belong_to_metrics_and_name_files_and_recipes_that_exist():
    known = metrics()
    assert set(wording().says) <= set(known)
    for texts in (wording().means, wording().remedy):
        for prefix in texts:
            assert any(f"{metric}.".startswith(f"{prefix}.") for metric in known), prefix
    for text in wording().remedy.values():
        for path in re.findall(r"docs/[\w./-]+\.md", text):
            assert (ROOT / path).is_file(), path
        for recipe in re.findall(r"p5-mini-\w+", text):
            assert find_recipe(recipe, kind="train").is_file()


@pytest.mark.parametrize(
    ("number", "page"),
    [
        (".002", "fairness-repairs"),
        (".157", "fairness-repairs"),
        (".083", "fairness-repairs"),
        (".02 [.006, .07]", "robustness"),
        (".147", "private-recommenders"),
        (".000 [.000, .116]", "hallucination-mitigation"),
        (".288 [.269, .307]", "hallucination-mitigation"),
    ],
)
def test_measured_effects_are_those_of_the_documentation(number, page):
    assert number in (ROOT / f"docs/explain/{page}.md").read_text()


def test_a_metric_without_words_of_its_own_is_described_by_its_registry_entry():
    estimate = rate("hallucination.judge.contradicted_rate", 3, 10).estimate
    said = clause("hallucination.judge.contradicted_rate", "genre=Drama&age=young", estimate)
    assert said.startswith(
        "hallucination.judge.contradicted_rate for genre = Drama and age = young"
    )
    assert "judge calls contradicted" in said


def judged(tmp_path, limit, x, n):
    result = result_of(rate(OUT, x, n))
    policy = judging(tmp_path, f"  - {{id: out, metric: {OUT}, max: {limit}}}")
    return result, decide(result, policy, as_of=AS_OF)


def screen(result, decision):
    return first_screen(result, decision, n_not_planned=1, n_small_groups=0)


def test_the_three_verdicts_answer_whether_it_may_ship(tmp_path):
    for x, said in (
        (0, "The recommender may be released"),
        (200, "The recommender must not be released: 1 check of 1"),
        (20, "The recommender cannot be released yet: 1 check of 1"),
    ):
        result, decision = judged(tmp_path, 0.05, x, 400)
        assert screen(result, decision).may_it_ship.startswith(said)
    assert "not a release decision" in screen(result, None).may_it_ship


def test_a_failure_is_told_with_interval_limit_meaning_and_remedy(tmp_path):
    result, decision = judged(tmp_path, 0.05, 200, 400)
    (why,) = screen(result, decision).why
    assert why.sentence == "50% of the listed items are not in the catalog."
    assert why.facts == "95% interval: 45 to 55%; limit: at most 5%."
    assert why.means.startswith("Users are offered items")
    assert "docs/explain/hallucination-mitigation.md" in why.remedy


def test_an_undecided_rule_says_so_and_offers_no_remedy(tmp_path):
    result, decision = judged(tmp_path, 0.05, 20, 400)
    told = statement(decision.rules[0], result)
    assert told.sentence.startswith("Undecided: 5")
    assert told.facts.endswith("so more data must decide.")
    assert (told.example, told.means, told.remedy) == ("", "", "")


def test_what_was_not_tested_counts_in_words(tmp_path):
    skipped = outcome("privacy.claim", status="skipped", reason="claims nothing")
    crashed = outcome("fairness.leak", status="error", reason="crash")
    result, decision = judged(tmp_path, 0.05, 0, 400)
    result = replace(result, outcomes=(*result.outcomes, skipped, crashed))
    assert screen(result, decision).not_tested == (
        "1 check crashed; 1 planned check could not run; 1 check was not in the recipe."
    )
    whole = replace(result, outcomes=result.outcomes[:1])
    told = first_screen(whole, decision, n_not_planned=0, n_small_groups=0)
    assert told.not_tested == "Every check of auditkit ran."
