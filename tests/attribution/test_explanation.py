"""Explanations end to end: one call for all requests, the same result for each, reasons."""

from __future__ import annotations

import numpy as np
import pytest
from planted_recommenders import Clean, FailsEveryThird
from run_probe import target_for
from small_folder import ITEMS, save

from auditkit.attribution.edits import benign_edits, relative_change, reversed_history
from auditkit.attribution.explanation import Settings, explain
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import masked, spans_of
from auditkit.attribution.values import Game
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.types import Item, Request


def game(user: str, n: int, **options) -> Game:
    request = Request(user_id=user, history=ITEMS[int(user) : int(user) + n], k=3)
    return Game(request, spans_of(request), (ITEMS[30], ITEMS[40]), **options)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_folder(save(tmp_path_factory.mktemp("model")))


def test_explanation_does_not_depend_on_the_other_requests(model, tmp_path):
    settings = Settings(n_orders=4)
    alone, together = (
        explain(target_for(model, tmp_path / str(i)), games, settings=settings, seed=1)
        for i, games in enumerate([[game("2", 7)], [game("1", 4), game("2", 7)]])
    )
    assert alone[0].attribution.values == pytest.approx(together[1].attribution.values, abs=1e-3)
    assert alone[0].card.masks == together[1].card.masks
    assert together[0].attribution.estimator == "banzhaf"


def test_every_row_of_the_card_is_a_number_or_a_reason(model, tmp_path):
    settings = Settings(n_orders=4, gradients=True)
    (found,) = explain(target_for(model, tmp_path), [game("2", 7)], settings=settings, seed=1)
    card = found.card
    assert card.sensitivity >= 0
    assert card.order > 0
    assert card.noise > 0
    assert -1 <= card.lds_interval[0] <= card.lds <= card.lds_interval[1] <= 1
    assert set(card.agreement) == {"loo", "ig"}
    assert isinstance(card.lds_ceiling, Missing)
    assert card.n_missing == 0
    assert card.comprehensiveness.value == pytest.approx(
        np.mean([card.whole - found.known[m] for m in along(found)])
    )


def along(found):
    order = np.argsort(-found.attribution.values, kind="stable")
    kept = [set(order[k:].tolist()) for k in range(1, len(order) + 1)]
    return [sum(1 << i for i in one) for one in kept]


def test_item_that_nothing_moves_has_a_card_of_reasons(tmp_path):
    one = game("2", 7)
    (found,) = explain(target_for(Clean(), tmp_path), [one], settings=Settings(), seed=1)
    assert found.attribution.values == pytest.approx([0.0] * 7)
    for row in (found.card.lds, found.card.sensitivity, found.card.empty_z):
        assert isinstance(row, Missing)
    assert found.card.infidelity.raw == 0


def test_requests_without_spans_or_answers_are_missing(tmp_path):
    empty = Game(Request(user_id="1", k=3), (), (ITEMS[30],))
    settings = Settings(estimator="exact")
    target = target_for(FailsEveryThird(), tmp_path)
    none, failed = explain(target, [empty, game("2", 7)], settings=settings, seed=1)
    assert none.reason.startswith("the request has no removable spans")
    assert failed.reason.endswith("values are missing")


def test_contrast_without_the_whole_request_is_missing(tmp_path):
    class FailsOnSeven(Clean):
        def log_probability(self, prompt, continuation):
            if all(item.title in prompt for item in ITEMS[2:9]):
                raise RuntimeError("too long")
            return -1.0

    target = target_for(FailsOnSeven(), tmp_path, batch_size=1)
    settings = Settings(value="contrast", edits=False)
    (found,) = explain(target, [game("2", 7)], settings=settings, seed=1)
    assert isinstance(found, Missing)


def test_lists_without_scores_are_explained_by_reciprocal_rank(tmp_path):
    class Copies(Clean):
        """Recommends the successor of every history item, the latest first."""

        def answer(self, request):
            places = [ITEMS.index(item) + 1 for item in reversed(request.history)]
            return [ITEMS[p].title for p in places] or [ITEMS[0].title]

    request = Request(user_id="1", history=ITEMS[10:20:2], k=5)
    one = Game(request, spans_of(request), (ITEMS[19],), source="reciprocal_rank")
    settings = Settings(value="reciprocal_rank", edits=False)
    (found,) = explain(target_for(Copies(), tmp_path), [one], settings=settings, seed=0)
    values = found.attribution.values
    assert values.argmax() == 4
    assert values[4] > 0.9
    assert values[:4] == pytest.approx([0.0] * 4)
    assert isinstance(found.card.comprehensiveness_p, Missing)


def test_edits_keep_the_spans_of_the_request():
    request = Request(user_id="1", history=ITEMS[:4], attributes={"age": "young"}, k=3)
    spans = spans_of(request, kinds=("history", "attribute"))
    edits = [*benign_edits(request, spans, ["I want {history}", "Give {history}"])]
    assert [edit.name for edit in edits] == ["white space", "other wording"]
    assert edits[0].request.instruction == "I  want {history}"
    turned = reversed_history(request, spans)
    for edit in (*edits, turned):
        for i, item in enumerate(request.history):
            left = masked(edit.request, edit.spans, 0b11111 ^ 1 << i)
            assert {kept.id for kept in left.history} == {
                other.id for other in request.history if other != item
            }
    block = spans_of(request, most=2)
    old_only = reversed_history(request, block)
    kept = masked(old_only.request, old_only.spans, 0b001).history
    assert kept == (ITEMS[1], ITEMS[0])
    assert reversed_history(request, block[:1]) is None
    own = Request(user_id="1", history=(Item("1", "A"),), instruction="Mine")
    assert benign_edits(own, spans_of(own), ["a {k}", "b {k}"]) == []


def test_relative_change_by_hand():
    before = np.array([3.0, 4.0])
    assert relative_change(before, np.array([3.0, 1.5])) == pytest.approx(0.5)
    assert isinstance(relative_change(np.zeros(2), before), Missing)
