"""Explanations of a trained model whose causes are known: single, redundant, and none."""

from __future__ import annotations

import numpy as np
import pytest
from planted_causes import planted, train
from run_probe import target_for

from auditkit.attribution.estimators import plan, ranking
from auditkit.attribution.explanation import Settings, explain
from auditkit.attribution.randomization import randomization_test
from auditkit.attribution.spans import spans_of
from auditkit.attribution.values import Game

N_HISTORIES = 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Trained in three seconds."""
    return train(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def found(model, tmp_path_factory):
    """Explanations of histories of ten items, by kind, with their causes."""
    rng, target = np.random.default_rng(7), target_for(model, tmp_path_factory.mktemp("run"))
    settings = Settings(budget=32, edits=False, n_orders=4)
    explained = {}
    for kind in ("single", "pair"):
        cases = [planted(rng, 10, kind, user=f"{kind}{i}") for i in range(N_HISTORIES)]
        games = [Game(c.request, spans_of(c.request), (c.answer,)) for c in cases]
        results = explain(target, games, settings=settings, seed=0)
        explained[kind] = list(zip(cases, results, strict=True))
    return explained


def test_single_cause_is_always_first(found):
    for case, explained in found["single"]:
        assert ranking(explained.attribution.values)[:1] == list(case.causes)
        assert explained.attribution.evaluations == 32


def test_redundant_causes_are_both_found_with_32_evaluations(found):
    recalls = [
        len({*ranking(e.attribution.values)[:2]} & {*case.causes}) / 2 for case, e in found["pair"]
    ]
    assert np.mean(recalls) >= 0.95


def test_card_flags_leave_one_out_where_causes_are_redundant(found):
    flagged = {kind: [explained.card.loo for _, explained in rows] for kind, rows in found.items()}
    assert np.mean([row.flagged for row in flagged["pair"]]) >= 0.9
    assert np.mean([row.flagged for row in flagged["single"]]) <= 0.05
    for case, explained in found["pair"]:
        if explained.card.loo.flagged:
            assert explained.card.loo.pair == case.causes
            assert explained.card.loo.redundancy > 1.0


def test_card_of_a_single_cause_is_good(found):
    for _, explained in found["single"]:
        card = explained.card
        assert card.lds > 0.6
        assert card.comprehensiveness.value > card.comprehensiveness.random + 1
        assert card.sufficiency.value < card.sufficiency.random - 1
        assert card.n_missing == 0


def test_explainer_that_ignores_the_model_fails_and_shapley_passes(model, tmp_path):
    rng, target = np.random.default_rng(3), target_for(model, tmp_path)
    cases = [planted(rng, 7, kind, user=str(i)) for i, kind in enumerate(["single", "pair"] * 4)]
    games = [Game(c.request, spans_of(c.request), (c.answer,)) for c in cases]
    settings = Settings(estimator="exact", edits=False, full_table=7)
    shapley = explain(target, games, settings=settings, seed=0)
    plans = [plan("exact", 7, rng) for _ in games]

    def tested(values, explainer=None):
        rows = list(zip(games, plans, values, strict=True))
        return randomization_test(model, rows, rng=np.random.default_rng(0), explainer=explainer)

    own = tested([e.attribution.values for e in shapley])
    assert own.verdict == "pass"
    prior = np.arange(7.0, 0, -1)
    ignoring = tested([prior] * len(games), lambda game, known: prior)
    assert ignoring.verdict == "fail"
    np.testing.assert_allclose(ignoring.correlations, 1.0)
