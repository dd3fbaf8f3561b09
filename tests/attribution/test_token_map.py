"""Effects by token: they add up to the effects, and name the token that an item changes."""

from __future__ import annotations

import numpy as np
import pytest
from planted_recommenders import Clean
from run_probe import target_for
from small_folder import ITEMS, save

from auditkit.attribution.explanation import Settings, explain
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import spans_of
from auditkit.attribution.token_map import token_map, token_texts
from auditkit.attribution.values import Game
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.protocols import TokenScores
from auditkit.types import Item, Request

REQUEST = Request(user_id="1", history=ITEMS[:5], k=3)


class ByToken:
    """Word t of an item is less likely by t + 1 nats without history item t."""

    name = "by token"

    def score(self, prompts, continuations):
        return [
            [TokenScores(self.tokens(prompt, text)) for text in texts]
            for prompt, texts in zip(prompts, continuations, strict=True)
        ]

    def tokens(self, prompt, text):
        words = range(len(text.split()))
        return tuple(-1.0 - (ITEMS[t].title not in prompt) * (t + 1) for t in words)


class Growing(ByToken):
    """Every second prompt makes one more token of the same text."""

    def tokens(self, prompt, text):
        return (*super().tokens(prompt, text), *[-1.0] * (len(prompt) % 2))


def explained(recommender, folder, *, item=ITEMS[30], **settings):
    game = Game(REQUEST, spans_of(REQUEST), (item,))
    settings = {"edits": False, "n_evaluation": 4, "full_table": 0, **settings}
    chosen = Settings(n_orders=2, **settings)
    (found,) = explain(target_for(recommender, folder), [game], settings=chosen, seed=1)
    return found


@pytest.mark.parametrize(
    ("estimator", "budget"),
    [("linear", 24), ("linear", 14), ("linear", 8), ("loo", None), ("shapley", None),
     ("kernelshap", 16), ("exact", None), ("banzhaf", None)],
)  # fmt: skip
def test_every_row_adds_up_to_the_effect_of_its_span(tmp_path, estimator, budget):
    model = load_folder(save(tmp_path / "model", style="generate", with_items=False))
    one = explained(model, tmp_path / "log", estimator=estimator, budget=budget)
    texts = token_texts(model, REQUEST, ITEMS[30])
    found = token_map(one, texts)
    assert "".join(found.texts).strip() == ITEMS[30].title
    assert found.values.shape == (5, len(texts))
    assert found.values.sum(axis=1) == pytest.approx(one.attribution.values, abs=1e-9)
    assert np.abs(found.values).max() > 0.01


def test_the_token_that_an_item_changes_has_its_effect(tmp_path):
    title = Item("x", "one two three")
    found = token_map(explained(ByToken(), tmp_path, item=title), None)
    assert found.texts == ("1", "2", "3")
    wanted = np.zeros((5, 3))
    wanted[[0, 1, 2], [0, 1, 2]] = [1, 2, 3]
    assert found.values == pytest.approx(wanted, abs=1e-9)


def test_tokens_of_a_long_item_are_joined_and_rows_still_add_up(tmp_path):
    class Long(ByToken):
        def tokens(self, prompt, text):
            return tuple(-1.0 - (ITEMS[t % 5].title not in prompt) for t in range(30))

    one = explained(Long(), tmp_path)
    found = token_map(one, None)
    assert (found.values.shape, found.texts[-1]) == ((5, 24), "7 more")
    assert found.values.sum(axis=1) == pytest.approx(one.attribution.values)


@pytest.mark.parametrize(
    ("recommender", "item", "settings", "reason"),
    [
        (ByToken(), Item("x", "one two"), {"estimator": "lasso"}, "not linear"),
        (ByToken(), Item("x", "one"), {}, "one token"),
        (Growing(), Item("x", "one two"), {}, "2 to 3 tokens after these prompts"),
    ],
)
def test_what_cannot_be_split_is_missing_with_a_reason(
    tmp_path, recommender, item, settings, reason
):
    found = token_map(explained(recommender, tmp_path, item=item, **settings), None)
    assert isinstance(found, Missing)
    assert reason in found.reason


def test_ranks_have_no_tokens(tmp_path):
    game = Game(REQUEST, spans_of(REQUEST), (ITEMS[30],), source="reciprocal_rank")
    chosen = Settings(value="reciprocal_rank", edits=False, n_orders=2)
    (one,) = explain(target_for(Clean(), tmp_path), [game], settings=chosen, seed=1)
    assert "log-probability" in token_map(one, None).reason
    assert token_texts(Clean(), REQUEST, ITEMS[30]) is None
