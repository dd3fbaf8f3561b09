"""The attribution probe on a small model, whose weights can be drawn again."""

from __future__ import annotations

import numpy as np
import pytest
from planted_recommenders import OneCause
from policies import verdicts_of
from run_probe import run_probe
from small_folder import ITEMS, save
from small_world import world

from auditkit.attribution.estimators import plan
from auditkit.attribution.randomization import randomization_test
from auditkit.attribution.spans import spans_of
from auditkit.attribution.values import Game
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, load_users
from auditkit.probes.explanation.attribution import AttributionProbe
from auditkit.probes.explanation.random_weights_findings import findings_of_test
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.protocols import TokenScores
from auditkit.types import Request


class TwoTokens(OneCause):
    """Every title has two tokens; the history changes the first only."""

    def score(self, prompts, continuations):
        return [
            [TokenScores((*one.tokens, -1.0)) for one in row]
            for row in super().score(prompts, continuations)
        ]


SMALL = {"n_users": 9, "n_spans": 6, "n_orders": 2, "n_card": 1, "n_tables": 1, "n_random": 9}


def test_probe_compares_with_random_weights(tmp_path):
    model = load_folder(save(tmp_path), world())
    run = run_probe("explain.attribution", model, **SMALL)
    random = run.one("explain.randomization")
    assert 0 <= random.estimate.value <= 1
    # Six spans have 720 rankings: 95 % of them correlate by at most 0.83.
    assert random.baseline.value == pytest.approx(0.83, abs=0.03)
    test = random.notes[0].removeprefix("test with random weights: ").partition(";")[0]
    excess = run.one("explain.randomization_excess").estimate
    assert excess.low <= excess.value <= excess.high
    assert excess.value == pytest.approx(random.estimate.value - random.baseline.value)
    assert verdicts_of(run.findings, "explanation")["attribution-of-weights"] == test != "fail"
    assert run.one("explain.lds").estimate.n_missing + run.one("explain.lds").estimate.n == 1
    assert run.one("explain.sufficiency").estimate.n == 9
    assert "by_token" not in run.one("explain.attribution.top_effect").parameters  # one token


def test_effects_by_token_of_one_user_are_kept_for_the_report():
    off = {"n_card": 0, "n_tables": 0, "n_random": 0}
    run = run_probe("explain.attribution", TwoTokens(), n_users=3, n_spans=4, n_orders=2, **off)
    stored = run.one("explain.attribution.top_effect").parameters["by_token"]
    assert stored["tokens"] == ["1", "2"]
    assert len(stored["spans"]) == len(stored["effects"]) == 4
    assert [row[1] for row in stored["effects"]] == [0.0] * 4  # the second token never changes


def test_ranking_by_position_fails_the_rule_on_random_weights(tmp_path):
    recommender, rng = load_folder(save(tmp_path), world()), np.random.default_rng(0)
    newest_first, cases = np.arange(6.0), []
    for first in range(8):
        request = Request(user_id=str(first), history=ITEMS[first : first + 6], k=3)
        game = Game(request, spans_of(request), (ITEMS[30],))
        cases.append((game, plan("loo", 6, rng), newest_first))
    tested = randomization_test(
        recommender, cases, rng=rng, explainer=lambda game, known: newest_first
    )
    assert (tested.correlations == 1).all()
    context = Context(world(), 0, "explain.attribution", {}, load_users(world()))
    findings = findings_of_test(context, tested, 8, {})
    assert verdicts_of(findings, "explanation") == {"attribution-of-weights": "fail"}
    assert verdicts_of(findings, "release")["attribution-of-weights"] == "fail"


def test_parts_of_the_card_can_be_left_out(tmp_path):
    model = load_folder(save(tmp_path), world())
    run = run_probe(
        "explain.attribution", model, **{**SMALL, "n_card": 0, "n_tables": 0, "n_random": 0}
    )
    assert {f.metric.rsplit(".", 1)[1] for f in run.findings} == {
        "comprehensiveness", "sufficiency", "top_effect",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"n_spans": 2}, {"explainer": "gradient"}, {"n_card": -1}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidArgument, match=r"explain\.attribution"):
        AttributionProbe(**wrong)
