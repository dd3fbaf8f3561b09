"""Values of masks equal one plain forward pass (or call) each, for every kind of recommender."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from chat_server import chat_server, chat_text, local_scores
from peft import LoraConfig, PeftModel, get_peft_model
from run_probe import target_for
from small_folder import ITEMS, save
from tiny_models import one_by_one
from tiny_t5 import save as save_t5
from transformers import AutoModelForCausalLM, AutoTokenizer

from auditkit.attribution.explanation import Settings, explain
from auditkit.attribution.spans import masked, spans_of
from auditkit.attribution.values import Game
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.protocols import TokenScores
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.openai_endpoint import ScoringEndpoint
from auditkit.types import Request

REQUEST = Request(user_id="1", history=ITEMS[:3], k=5)
CHAT = (
    "{{ bos_token }}{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def explained(recommender, folder, **settings):
    """The explanation of one item by exact Shapley values, and the masked requests by mask."""
    game = Game(REQUEST, spans_of(REQUEST), (ITEMS[30],))
    target = target_for(recommender, folder / "log")
    chosen = Settings(estimator="exact", edits=False, **settings)
    (found,) = explain(target, [game], settings=chosen, seed=1)
    requests = {}
    for mask in range(1 << game.n):
        request = masked(game.request, game.spans, mask)
        requests[mask] = replace(request, prompt=target.render(request))
    return found, requests


def assert_equal(found, wanted, *, tolerance=2e-4):
    assert found.known == pytest.approx(wanted, abs=tolerance)
    effect = wanted[0b111] - wanted[0]
    assert found.attribution.values.sum() == pytest.approx(effect, abs=tolerance)
    assert max(wanted.values()) - min(wanted.values()) > 100 * tolerance


def one_pass(model, prompt, title):
    return sum(one_by_one(model, [(prompt, title)])[0])


def test_causal_model_with_a_chat_template_starts_once(tmp_path):
    recommender = load_folder(save(tmp_path, style="generate", with_items=False))
    recommender.tokenizer.chat_template = CHAT
    found, requests = explained(recommender, tmp_path, gradients=True)
    tokenizer, title = recommender.tokenizer, ITEMS[30].title
    wanted = {}
    for mask, request in requests.items():
        turns = [{"role": "user", "content": request.prompt}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        ids = tokenizer.encode(text, add_special_tokens=False)
        scored, rest = recommender.token_ids(request.prompt, title)
        assert scored == ids
        # The template writes the start token and a turn token: a third one would be added.
        start = tokenizer.bos_token_id
        assert scored[:2].count(start) == text.count("<s>", 0, 6) == 2
        assert scored[2] != start
        wanted[mask] = one_pass(recommender.model, ids, rest)
    assert_equal(found, wanted)
    assert set(found.card.agreement) == {"loo", "ig"}


def test_causal_model_with_an_adapter_is_the_adapted_one(tmp_path):
    folder = save(tmp_path / "model", style="generate", with_items=False)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    get_peft_model(base, config).save_pretrained(folder / "adapter")
    manifest = RecommenderManifest.read(folder)
    manifest.model_copy(update={"adapter": "adapter"}).write(folder)
    recommender = load_folder(folder)
    found, requests = explained(recommender, tmp_path, gradients=True)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, folder / "adapter").eval()
    start = AutoTokenizer.from_pretrained(folder).bos_token_id
    wanted = {}
    for mask, request in requests.items():
        prompt, title = recommender.token_ids(request.prompt, ITEMS[30].title)
        assert prompt.count(start) == 1
        wanted[mask] = one_pass(adapted, prompt, title)
    assert_equal(found, wanted, tolerance=1e-3)
    assert set(found.card.agreement) == {"loo", "ig"}


@pytest.mark.parametrize("style", ["rank", "generate"])
def test_encoder_decoder_is_scored_and_has_no_gradients(tmp_path, style):
    recommender = save_t5(tmp_path / "model", style, scale=2)
    found, requests = explained(recommender, tmp_path, gradients=True)
    text = recommender.reference(ITEMS[30])
    pairs = {m: recommender.token_ids(r.prompt, text) for m, r in requests.items()}
    assert_equal(found, {m: one_pass(recommender.model, *pair) for m, pair in pairs.items()})
    assert found.card.unavailable["ig"].reason == "this method needs a decoder-only model"


class LengthScorer:
    """Prefers short prompts, by 0.01 nats per letter."""

    name = "scorer"

    def score(self, prompts, continuations):
        return [
            [TokenScores((-0.01 * len(prompt), -0.1 * len(text))) for text in texts]
            for prompt, texts in zip(prompts, continuations, strict=True)
        ]


def test_python_scorer_is_called_once_a_mask(tmp_path):
    found, requests = explained(LengthScorer(), tmp_path, gradients=True)
    size = len(ITEMS[30].title)
    wanted = {m: -0.01 * len(r.prompt) - 0.1 * size for m, r in requests.items()}
    assert_equal(found, wanted, tolerance=1e-9)
    assert "local language model" in found.card.unavailable["ig"].reason


def test_chat_endpoint_is_scored_after_its_template(tmp_path):
    with chat_server("prompt_logprobs") as (url, _):
        found, requests = explained(connect(f"{url}#m"), tmp_path)
    wanted = {}
    for mask, request in requests.items():
        text = chat_text([{"role": "user", "content": request.prompt}])
        wanted[mask] = sum(local_scores(text, ITEMS[30].title))
    assert_equal(found, wanted)


def test_endpoint_that_echoes_is_scored_by_offset(tmp_path):
    with chat_server("echo") as (url, _):
        endpoint = ScoringEndpoint(f"{url}#m")
        endpoint.chat = False  # a server of completions: `echo` instead of a chat
        found, requests = explained(endpoint, tmp_path)
    wanted = {
        mask: sum(local_scores(request.prompt, ITEMS[30].title, special=True))
        for mask, request in requests.items()
    }
    assert_equal(found, wanted)


class ListsOnly:
    """Writes ten titles; the last watched item decides which comes first."""

    name = "lists"

    def recommend(self, requests):
        return [self._titles(request) for request in requests]

    def _titles(self, request):
        own = request.history[-1:] and int(request.history[-1].id)
        order = [ITEMS[30 + (own or 0) % 3], *ITEMS[40:45]]
        return [item.title for item in order if item not in request.history]


def test_black_box_is_explained_by_reciprocal_ranks(tmp_path):
    game = Game(REQUEST, spans_of(REQUEST), (ITEMS[30],), source="reciprocal_rank")
    target = target_for(ListsOnly(), tmp_path)
    chosen = Settings(estimator="exact", value="reciprocal_rank", edits=False, gradients=True)
    (found,) = explain(target, [game], settings=chosen, seed=1)
    wanted = {}
    for mask in range(1 << game.n):
        titles = ListsOnly()._titles(masked(REQUEST, game.spans, mask))
        wanted[mask] = 1.0 if titles[0] == ITEMS[30].title else 0.0
    assert found.known == wanted
    assert len(set(wanted.values())) == 2
    assert not found.card.unavailable  # gradients are for log-probabilities


def test_removed_items_are_not_rivals_in_a_list(tmp_path):
    class Newest:
        name = "newest"

        def recommend(self, requests):
            return [
                [one.title for one in (*ITEMS[:3], ITEMS[30]) if one not in request.history]
                for request in requests
            ]

    game = Game(REQUEST, spans_of(REQUEST), (ITEMS[30],), source="reciprocal_rank")
    chosen = Settings(estimator="exact", value="reciprocal_rank", edits=False)
    (found,) = explain(target_for(Newest(), tmp_path), [game], settings=chosen, seed=1)
    assert set(found.known.values()) == {1.0}
    assert found.attribution.values == pytest.approx([0.0, 0.0, 0.0])
