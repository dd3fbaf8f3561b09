"""Value functions on recommenders whose values are known, and on a tiny model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from planted_recommenders import Clean, FailsEveryThird
from run_probe import target_for
from small_folder import ITEMS, save
from small_world import world

from auditkit.attribution.spans import masked, spans_of
from auditkit.attribution.values import Game, measure, value_of
from auditkit.errors import InvalidArgument
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.protocols import TokenScores
from auditkit.types import Item, Request

HISTORY = ITEMS[:3]


def game(*candidates: Item, source="logp", **options) -> Game:
    request = Request(user_id="1", history=HISTORY, k=3)
    return Game(request, spans_of(request), candidates or ITEMS[5:8], source=source, **options)


class CountsHistory(Clean):
    """The first candidate's tokens lose 1 nat with every missing title, the others nothing."""

    def __init__(self) -> None:
        self.scored: list[str] = []

    def score(self, prompts, continuations):
        self.scored += prompts
        return [[self.tokens(prompt, text) for text in options]
                for prompt, options in zip(prompts, continuations, strict=True)]  # fmt: skip

    def tokens(self, prompt, text):
        missing = sum(item.title not in prompt for item in HISTORY)
        first = text == ITEMS[5].title
        return TokenScores((-0.5, -1.0 - missing) if first else (-0.5, -2.0, -0.25))

    def answer(self, request):
        listed = [ITEMS[6].title, ITEMS[5].title]
        return listed if len(request.history) < 3 else listed[::-1]


def test_values_are_the_ones_of_the_masked_requests(tmp_path):
    target, one = target_for(CountsHistory(), tmp_path), game()
    measure(target, [(one, range(8))])
    table = one.table(range(8))
    missing = np.array([3 - mask.bit_count() for mask in range(8)])
    np.testing.assert_allclose(value_of(table), -1.5 - missing)
    np.testing.assert_allclose(value_of(table, "logp_mean"), (-1.5 - missing) / 2)
    np.testing.assert_allclose(value_of(table, "contrast"), 1.25 - missing)
    np.testing.assert_allclose(value_of(table, "margin", item=1), np.minimum(0, missing - 1.25))
    np.testing.assert_allclose(value_of(table, "first_divergent"), 1.0 - missing)


def test_a_mask_is_measured_once(tmp_path):
    recommender = CountsHistory()
    target, one, other = target_for(recommender, tmp_path), game(), game(ITEMS[9])
    measure(target, [(one, [7, 0, 7]), (other, [3])])
    measure(target, [(one, [7, 0, 5])])
    assert len(recommender.scored) == 4


def test_failed_requests_are_missing_with_a_reason(tmp_path):
    target, one = target_for(FailsEveryThird(), tmp_path), game()
    measure(target, [(one, range(8))])
    table = one.table(range(8))
    assert 0 < table.n_missing < 8
    assert len(table.masks) == len(table.values) == 8 - table.n_missing
    assert sum(table.reasons.values()) == table.n_missing


class Infinite(CountsHistory):
    def tokens(self, prompt, text):
        return TokenScores((-math.inf if HISTORY[0].title in prompt else -1.0,))


def test_infinite_log_probability_is_missing(tmp_path):
    one = game()
    measure(target_for(Infinite(), tmp_path), [(one, range(8))])
    assert one.table(range(8)).masks == (0, 2, 4, 6)
    assert one.table(range(8)).reasons == {"non_finite": 4}
    with pytest.raises(InvalidArgument, match="whole request"):
        value_of(one.table(range(8)), "contrast")


def test_recommender_without_scores_is_explained_by_the_place_in_its_list(tmp_path):
    one = game(source="reciprocal_rank")
    measure(target_for(CountsHistory(), tmp_path), [(one, range(8))])
    values = value_of(one.table(range(8)), "reciprocal_rank")
    assert values.tolist() == [0.5] * 7 + [1.0]
    assert one.table(range(8)).values[:, 2].tolist() == [0.0] * 8


def test_measured_values_equal_scores_of_the_requests_one_by_one(tmp_path):
    recommender = load_folder(save(tmp_path / "model"), world())
    one = game()
    measure(target_for(recommender, tmp_path), [(one, range(8))])
    for mask in range(8):
        prompt = recommender.render(masked(one.request, one.spans, mask))
        texts = [recommender.reference(item) for item in one.candidates]
        (alone,) = recommender.rescore([prompt], [texts])
        np.testing.assert_allclose(one.table([mask]).values[0], [s.total for s in alone], atol=1e-3)
    assert np.ptp(value_of(one.table(range(8)))) > 0.1


def test_values_that_a_game_cannot_give_are_refused(tmp_path):
    single = game(ITEMS[5])
    target = target_for(load_folder(save(tmp_path / "model"), world()), tmp_path)
    measure(target, [(single, [7])])
    with pytest.raises(InvalidArgument, match="2 candidates"):
        value_of(single.table([7]), "margin")
    with pytest.raises(InvalidArgument, match="source 'reciprocal_rank'"):
        value_of(single.table([7]), "reciprocal_rank")
    with pytest.raises(InvalidArgument, match="mask 3"):
        single.table([3])
    with pytest.raises(InvalidArgument, match="item tokens"):
        measure(target, [(game(baseline="replace"), [3])])
    with pytest.raises(InvalidArgument, match="position"):
        game(item=3)
