"""Batched texts are the texts of one prompt alone."""

from __future__ import annotations

import random

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from tiny_models import HYBRID, VOCABULARY, hybrid, tiny

from auditkit.engine.batches import batches
from auditkit.engine.decoder import Body, Counters
from auditkit.engine.generation import Decoding, Generated, generate
from auditkit.engine.inference import Engine
from auditkit.errors import TargetError

torch.set_num_threads(1)
GREEDY = Decoding(10)
SAMPLED = Decoding(10, temperature=1.0, top_k=50, top_p=0.9)


def prompts():
    draw = random.Random(0)
    tokens = lambda n: [draw.randrange(VOCABULARY) for _ in range(n)]  # noqa: E731
    base = tokens(50)
    return [
        *[base + tokens(draw.randrange(1, 6)) for _ in range(5)],
        *[tokens(draw.randrange(3, 40)) for _ in range(6)],
        base[:30],
    ]


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "gemma2", "mistral", "bloom", "t5"])
@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
def test_batched_text_is_the_text_alone(name, decoding):
    engine = Engine(tiny(name))
    alone = [engine.generate([p], decoding, seeds=[s])[0].ids for s, p in enumerate(prompts())]
    together = engine.generate(prompts(), decoding, seeds=range(len(prompts())))
    assert [generated.ids for generated in together] == alone


def test_greedy_text_is_that_of_transformers():
    model = tiny("llama")
    ids = torch.tensor([prompts()[0]])
    expected = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=10, do_sample=False, pad_token_id=0
    )
    found = Engine(model).generate([prompts()[0]], GREEDY)[0].ids
    assert found == expected[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("name", HYBRID)
def test_text_of_layers_of_other_kinds_is_that_of_one_forward_a_token(name):
    model, chosen = hybrid(name), prompts()[:5]
    together = Engine(model).generate(chosen, GREEDY)
    for prompt, found in zip(chosen, together, strict=True):
        text = list(prompt)
        for token in found.ids:
            with torch.inference_mode():
                logits = model(torch.tensor([text]), use_cache=False).logits[0, -1]
            assert logits[token] >= logits.max() - 1e-4
            text.append(token)


def test_a_cache_that_changes_the_text_is_not_used(monkeypatch):
    engine, chosen = Engine(tiny("llama")), prompts()
    expected = [found.ids for found in engine.generate(chosen, GREEDY)]
    wrong = Engine(tiny("llama"))
    monkeypatch.setattr("auditkit.engine.executor_check.growing", _forgetful)
    monkeypatch.setattr("auditkit.engine.generation.growing", _forgetful)
    assert [found.ids for found in wrong.generate(chosen, GREEDY)] == expected
    monkeypatch.undo()
    assert wrong.counters.tokens > 2 * engine.counters.tokens


def _forgetful(cache):
    """Zero the values of the first token."""
    for layer in cache.layers:
        layer.values[:, :, 0] = 0
    return cache


def test_soft_prompt_steers_every_row_as_it_does_alone():
    torch.manual_seed(1)
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    model = get_peft_model(tiny("llama"), config).double().eval()
    engine = Engine(model)
    alone = [engine.generate([p], GREEDY)[0].ids for p in prompts()]
    assert [g.ids for g in engine.generate(prompts(), GREEDY)] == alone
    ids = torch.tensor([prompts()[0]])
    with torch.inference_mode():
        first = int(model(input_ids=ids).logits[0, -1].argmax())
    assert alone[0][0] == first


def test_twins_share_their_prefix():
    shared, apart, body = Counters(), Counters(), Body(tiny("llama"))
    generate(body, prompts()[:5], GREEDY, shared, share=True)
    generate(body, prompts()[:5], GREEDY, apart)
    assert shared.tokens < 0.6 * apart.tokens


def test_twins_do_not_share_where_packing_is_not_right():
    engine = Engine(tiny("mistral"))
    long = [[*range(150), i] for i in range(4)]
    alone = [engine.generate([p], GREEDY)[0].ids for p in long]
    assert [g.ids for g in engine.generate(long, GREEDY)] == alone


def test_sampled_text_follows_its_seed():
    engine, prompt = Engine(tiny("llama")), prompts()[0]
    texts = [engine.generate([prompt], SAMPLED, seeds=[seed])[0].ids for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_sampling_follows_the_model():
    model, prompt, n = tiny("llama"), [1, 2, 3], 4000
    with torch.inference_mode():
        expected = model(torch.tensor([prompt])).logits[0, -1].softmax(dim=0)
    drawn = Engine(model).generate([prompt] * n, Decoding(1, temperature=1.0), seeds=range(n))
    counts = torch.bincount(torch.tensor([g.ids[0] for g in drawn]), minlength=VOCABULARY)
    spread = (expected * (1 - expected) / n).sqrt()
    assert float(((counts / n - expected).abs() / spread).max()) < 5


def test_nucleus_and_top_k_leave_the_rest_out():
    model, prompt = tiny("llama"), [1, 2, 3]
    with torch.inference_mode():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    best = set(logits.topk(3).indices.tolist())
    few = Decoding(1, temperature=5.0, top_k=3)
    drawn = Engine(model).generate([prompt] * 200, few, seeds=range(200))
    assert {g.ids[0] for g in drawn} == best
    narrow = Decoding(1, temperature=5.0, top_p=1e-9)
    drawn = Engine(model).generate([prompt] * 20, narrow, seeds=range(20))
    assert {g.ids[0] for g in drawn} == {int(logits.argmax())}


def test_margin_is_the_smallest_gap_on_the_way():
    model, prompt = tiny("llama"), prompts()[0]
    generated = Engine(model).generate([prompt], Decoding(4))[0]
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *generated.ids[:-1]]])).logits[0, len(prompt) - 1 :]
    best = logits.topk(2, dim=1).values
    assert generated.margin == pytest.approx(float((best[:, 0] - best[:, 1]).min()), abs=1e-9)


def test_row_that_ends_is_whole_beside_one_that_is_cut():
    model, two = tiny("llama"), [[5, 6, 7], [8, 9]]
    endless = Engine(model).generate(two, Decoding(8))
    assert all(row.cut and len(row.ids) == 8 for row in endless)
    end = next(token for token in endless[0].ids if token not in endless[1].ids)
    model.generation_config.eos_token_id = [end]
    first, second = Engine(model).generate(two, Decoding(8))
    assert (first.ids, first.cut) == (endless[0].ids[: endless[0].ids.index(end)], False)
    assert second == Generated(endless[1].ids, True, pytest.approx(second.margin))


def test_stop_rule_ends_a_row_with_the_token_that_fulfils_it():
    stop = Decoding(20, stop=lambda row, ids: len(ids) == row + 2)
    rows = Engine(tiny("llama")).generate(prompts()[5:8], stop)
    assert [(len(row.ids), row.cut) for row in rows] == [(2, False), (3, False), (4, False)]


class Follow:
    """Every token decides the one behind it."""

    def __init__(self, members):
        self.last = [None] * len(members)

    def mask(self, logits):
        allowed = {None: 5, 5: 6, 6: 7, 7: 5}
        masked = torch.full_like(logits, -torch.inf)
        for row, token in enumerate(self.last):
            masked[row, allowed[token]] = 0
        return masked

    def advance(self, tokens):
        self.last = list(tokens)

    def keep(self, rows):
        self.last = [self.last[row] for row in rows]


class Following:
    def begin(self, members, *, strict=True):
        return Follow(members)


def test_constraint_keeps_the_rows_that_are_still_alive():
    stop = lambda row, ids: len(ids) == 2 + row % 3  # noqa: E731
    decoding = Decoding(5, constraint=Following(), stop=stop)
    rows = Engine(tiny("llama")).generate(prompts()[:9], decoding)
    assert [row.ids for row in rows] == [[5, 6, 7, 5, 6][: 2 + i % 3] for i in range(9)]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("equal", [True, False])
def test_every_prompt_is_in_exactly_one_batch(share, equal):
    many = prompts() * 3
    found = list(batches(many, share=share, equal=equal))
    assert sorted(i for batch in found for i in batch.members) == list(range(len(many)))
    for batch in found:
        assert len(batch.members) <= 16
        assert all(batch.tails)
        whole = [[*batch.prefix, *tail] for tail in batch.tails]
        assert whole == [many[i] for i in batch.members]


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_best_beam_is_at_least_as_likely_as_the_greedy_text(name):
    engine, wins = Engine(tiny(name)), 0
    asked = prompts()
    greedy = engine.generate(asked, Decoding(6))
    beams = engine.generate(asked, Decoding(6, beams=5))
    for prompt, one, best in zip(asked, greedy, beams, strict=True):
        scores = [sum(row) for row in engine.score([(prompt, one.ids), (prompt, best.ids)])]
        assert len(best.ids) == 6
        assert scores[1] >= scores[0] - 1e-9
        wins += scores[1] > scores[0] + 1e-9
    assert wins  # somewhere the search finds what greed does not


@pytest.mark.parametrize(
    "settings",
    [
        {"repetition_penalty": 5.0},
        {"no_repeat_ngram_size": 1},
        {"length_penalty": -5.0, "do_sample": True, "temperature": 9.0},
    ],
)
@pytest.mark.parametrize("beams", [1, 4])
def test_settings_of_the_generation_configuration_do_not_apply(settings, beams):
    model = tiny("llama")
    asked, decoding = prompts()[:4], Decoding(8, beams=beams)
    expected = Engine(model).generate(asked, decoding)
    model.generation_config.update(**settings)
    assert Engine(model).generate(asked, decoding) == expected
    assert all(getattr(model.generation_config, key) == value for key, value in settings.items())


def test_prompt_with_its_answer_beyond_the_context_is_refused():
    engine = Engine(tiny("llama"))
    limit = engine.body.context
    for ask in (
        lambda: engine.generate([[1] * limit], Decoding(1)),
        lambda: engine.next_token_logits([[1] * (limit + 1)]),
    ):
        with pytest.raises(TargetError, match="context_overflow"):
            ask()
