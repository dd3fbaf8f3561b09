"""Answers about one item: a recommender that knows, one that guesses, one that was never taught."""

from __future__ import annotations

import numpy as np
import pytest
from planted_raters import Contrary, Knows, rated
from planted_recommenders import Clean
from run_probe import run_probe

from auditkit.probes.base import NotAssessable
from auditkit.stats.resampled_estimate import NOTHING


def found(probe, recommender, group="all"):
    run = run_probe(probe, recommender, dataset=rated())
    return {f.metric.split(".")[-1]: f.estimate for f in run.findings if f.group == group}


def test_recommender_that_knows_is_right_about_every_item():
    assert found("utility.likes", Knows())["auc"].value == 1
    errors = found("utility.ratings", Knows())
    assert errors["rmse"].value == pytest.approx(0, abs=1e-6)
    assert errors["mae"].value == pytest.approx(0, abs=1e-6)


def test_recommender_that_says_the_contrary_is_found():
    auc = found("utility.likes", Contrary())["auc"]
    assert auc.value == 0
    assert auc.high < 0.5


def test_indifferent_recommender_is_at_one_half_and_rates_three():
    assert found("utility.likes", Clean())["auc"].value == 0.5
    stars = rated().interactions.rating[rated().interactions.split().test]
    errors = found("utility.ratings", Clean())
    assert errors["rmse"].value == pytest.approx(np.sqrt(np.mean((stars - 3) ** 2)), abs=1e-6)


def test_means_of_items_and_users_stand_beside_the_model():
    rows = rated().interactions
    users = found("utility.ratings", Clean(), "baseline=user mean")["mae"].value
    errors = []
    for row in rows.split().test:
        begin = rows.offsets[rows.user_index[row]]
        errors.append(abs(rows.rating[begin:row].mean() - rows.rating[row]))
    assert users == pytest.approx(np.mean(errors))
    items = found("utility.likes", Clean(), "baseline=item mean rating")["auc"]
    assert 0 < items.low < items.value < items.high < 1


def test_recommender_that_was_not_taught_is_not_assessable():
    class Untaught(Clean):
        def item_question(self, task, request, item, *, disliked=()):
            return None

    for probe in ("utility.likes", "utility.ratings"):
        with pytest.raises(NotAssessable, match="not trained"):
            run_probe(probe, Untaught(), dataset=rated())


HELD_OUT = ("2", "5", "11", "30")
HELD_OUT_MANIFEST = {"training": {"holdout_users": list(HELD_OUT)}}
BY_ITEM = pytest.mark.parametrize("probe", ["utility.likes", "utility.ratings"])


class Fails(Knows):
    """Answers nothing about one user, and nothing about the last item of another."""

    def log_probability(self, prompt, continuation):
        _, user, item = prompt.split()
        rows = rated().interactions
        last = rows.item_ids[rows.item_index[rows.offsets[rows.user_ids.index("11") + 1] - 1]]
        if user == "5" or (user, item) == ("11", last):
            raise RuntimeError("the service is overloaded")
        return super().log_probability(prompt, continuation)


@BY_ITEM
def test_user_is_missing_when_none_of_the_users_examples_was_answered(probe):
    run = run_probe(probe, Fails(), dataset=rated(), manifest=HELD_OUT_MANIFEST)
    assert run.counts["target_error"] == 5
    for finding in run.findings:
        assert (finding.estimate.n, finding.estimate.n_missing) == (3, 1), finding.group
        assert finding.parameters["n_examples"] == 3 * 4 - 1
        assert finding.parameters["n_examples_missing"] == 4 + 1


@BY_ITEM
def test_unanswered_examples_do_not_change_what_the_others_say(probe):
    run = run_probe(probe, Fails(), dataset=rated(), manifest=HELD_OUT_MANIFEST)
    values = {f.estimate.value for f in run.findings if f.group == "all"}
    assert values == {1.0} if probe == "utility.likes" else max(values) < 1e-6


@BY_ITEM
def test_recommender_that_answers_nothing_leaves_every_user_missing(probe):
    class Silent(Clean):
        def log_probability(self, prompt, continuation):
            raise RuntimeError("the service is down")

    run = run_probe(probe, Silent(), dataset=rated(), manifest=HELD_OUT_MANIFEST)
    for finding in run.findings:
        estimate = finding.estimate
        assert (estimate.value, estimate.n, estimate.n_missing) == (None, 0, len(HELD_OUT))
        assert estimate.reason == NOTHING
        assert finding.parameters["n_examples_missing"] == 4 * len(HELD_OUT)


def test_likelihood_is_nats_per_item_and_per_token():
    class Sure(Clean):
        def log_probability(self, prompt, continuation):
            return -2.0

    values = found("utility.likelihood", Sure())
    assert values["nats_per_item"].value == 2
    assert values["perplexity"].value == pytest.approx(np.exp(2))
