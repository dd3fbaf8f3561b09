"""A judge behind a real local server: in a column of its own, with its agreement with itself."""

from __future__ import annotations

import pytest
from planted_recommenders import Clean, StatesWrongFacts
from protocol_server import serving
from run_probe import run_probe

from auditkit.errors import InvalidArgument
from auditkit.probes.base import NotAssessable


def judged(recommender, **server):
    with serving(**server) as (base, seen):
        run = run_probe("hallucination.judge", recommender, judge=f"openai:{base}#judge", n_users=2)
    return run, seen


def value(run, name):
    return run.one(f"hallucination.judge.{name}").estimate.value


def test_a_judge_that_always_says_the_same_agrees_with_itself_but_not_with_the_graph():
    run, seen = judged(StatesWrongFacts(), text="supported")
    assert value(run, "contradicted_rate") == 0
    assert value(run, "repeat_agreement") == 1
    assert value(run, "graph_agreement") < 0.6  # the graph contradicts every stated fact
    finding = run.one("hallucination.judge.graph_agreement")
    assert finding.parameters["repeats"] == 3
    assert "judge supported, supported, supported; graph contradicted" in finding.evidence[0].what
    assert len(seen.bodies) == 3 * finding.parameters["claims"]
    assert {body["seed"] for body in seen.bodies} == {0, 1, 2}


def test_a_judge_that_agrees_with_the_graph():
    run, _ = judged(Clean(), text="I think it is Supported.")
    assert value(run, "graph_agreement") == 1


def test_a_judge_that_fails_is_missing_never_a_score():
    run, _ = judged(Clean(), status=500)
    finding = run.one("hallucination.judge.contradicted_rate")
    assert (finding.estimate.value, finding.estimate.n) == (None, 0)
    assert finding.parameters["without_majority"] == finding.parameters["claims"] > 0


def test_words_that_are_no_verdict_are_no_answer():
    run, _ = judged(Clean(), text="Hard to say.")
    assert value(run, "contradicted_rate") is None


def test_the_graphs_rates_are_the_same_with_and_without_a_judge():
    plain = run_probe("hallucination.claims", StatesWrongFacts(), n_users=4).findings
    with serving(text="supported"):
        beside = run_probe("hallucination.claims", StatesWrongFacts(), n_users=4).findings
    assert plain == beside


def test_no_judge_is_not_tested_with_the_reason():
    with pytest.raises(NotAssessable, match="names no judge"):
        run_probe("hallucination.judge", Clean())


@pytest.mark.parametrize("wrong", [{"judge": "http://x"}, {"repeats": 2}, {"k": 0}])
def test_faulty_parameters_are_refused(wrong):
    with pytest.raises(InvalidArgument):
        run_probe("hallucination.judge", Clean(), **wrong)
