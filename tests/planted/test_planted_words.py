"""Gaps in the words of reasons are found for the planted measure only, and not by chance."""

from __future__ import annotations

from functools import cache

import pytest
from planted_recommenders import Clean
from planted_words import Explains
from run_probe import run_probe

from auditkit.probes.base import NotAssessable

PROBE = "fairness.words"
MEASURES = ("length", "sentiment", "hedging", "courtesy", "contradicted")
N_SEEDS, MOST_ALARMS = 16, 4  # 5 or more of 16 have a probability of .001 at 5 %


def gaps(run, attribute="gender"):
    return {name: run.one(f"{PROBE}.{name}_gap", attribute) for name in MEASURES}


@cache
def planted(**fault):
    return gaps(run_probe(PROBE, Explains(**fault), n_probes=40))


@pytest.mark.parametrize(
    ("fault", "measure"),
    [({"lean": 0.6}, "sentiment"), ({"cut": 0.5}, "length"), ({"wrong": 0.5}, "contradicted")],
)
def test_planted_difference_is_found_with_both_texts(fault, measure):
    found = planted(**fault)[measure]
    assert found.estimate.low > 0
    assert found.law.p_adjusted <= 0.05
    assert "woman" in found.parameters["widest"]
    assert all(len(set(one.requests)) == 2 for one in found.evidence)
    assert all(" for woman: " in one.what and " | " in one.what for one in found.evidence)


def test_shorter_texts_are_not_colder_or_less_correct():
    found = planted(cut=0.5)
    for other in ("sentiment", "contradicted"):
        assert found[other].law.p_adjusted > 0.05
        assert found[other].estimate.low == 0
    means = found["length"].parameters["means"]
    assert means["woman"] < min(means["man"], means["non-binary"])


def test_chance_differences_raise_alarms_in_few_audits():
    """Larger, with the size in docs/explain/fairness.md: tests/bench/words_size.py."""
    alarms = 0
    for seed in range(N_SEEDS):
        run = run_probe(PROBE, Explains(seed), seed=seed, n_probes=12, draws=199, bootstrap_draws=1)
        alarms += min(one.law.p_adjusted for one in run.findings) <= 0.05
    assert alarms <= MOST_ALARMS


def test_equal_texts_have_no_gap_and_no_widest_pair():
    for found in gaps(run_probe(PROBE, Clean())).values():
        assert found.estimate.value == found.estimate.low == 0
        assert found.law.p_adjusted == 1
        assert found.parameters["widest"] == []


class WritesTitlesOnly(Clean):
    def describe(self, item):
        return ""


class WritesGerman(Clean):
    def describe(self, item):
        return "Das ist ein sehr guter Film, den du und deine Freunde nicht verpassen dürft."


class RefusesWomen(Clean):
    def write(self, prompt):
        return "Sorry, no." if "I am a woman" in prompt else super().write(prompt)


def test_titles_without_reasons_are_not_assessable():
    with pytest.raises(NotAssessable, match="states too few reasons to compare"):
        run_probe(PROBE, WritesTitlesOnly(), n_probes=5)


def test_word_list_is_not_applied_to_another_language():
    found = gaps(run_probe(PROBE, WritesGerman(), n_probes=5))
    assert "the word list is English" in found["sentiment"].estimate.reason
    assert found["length"].estimate.value == 0


def test_a_refusal_is_a_short_text_without_decided_claims():
    found = gaps(run_probe(PROBE, RefusesWomen(), n_probes=20))
    assert found["length"].estimate.low > 0
    assert found["contradicted"].estimate.value is None
    assert found["contradicted"].estimate.n_missing == 20


def test_several_attributes_are_one_family():
    run = run_probe(PROBE, Explains(cut=0.5), n_probes=20, attributes=("gender", "age"))
    assert run.one(f"{PROBE}.length_gap", "gender").law.p_adjusted <= 0.05
    assert run.one(f"{PROBE}.length_gap", "age").law.p_adjusted > 0.05
    assert run.findings[0].parameters["tests"] == 10
