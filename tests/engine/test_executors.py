"""Every architecture against one forward per pair; wrong executors are found out, not believed."""

from __future__ import annotations

import random

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from tiny_models import HYBRID, VOCABULARY, WINDOW, hybrid, one_by_one, tiny, worst

from auditkit.engine.decoder import Body, Counters
from auditkit.engine.inference import Engine
from auditkit.engine.packed import plan_for, score_packed
from auditkit.engine.plan import Limits
from auditkit.errors import ConfigurationError, InvalidArgument, TargetError

torch.set_num_threads(1)
CAUSAL = ("gpt2", "llama", "qwen2", "gemma2", "mistral", "bloom")
CACHED = Limits(tail=40, row=20, rows=3, short=8)


def tokens(draw, n):
    return [draw.randrange(VOCABULARY) for _ in range(n)]


def hard_pairs(*, longest=70):
    """Shared histories, candidates that are prefixes of each other, one candidate, one token."""
    draw = random.Random(0)
    head = tokens(draw, 20)
    pairs = []
    for length in (1, 12, longest - 20):
        prompt = head + tokens(draw, length)
        title = tokens(draw, 6)
        pairs += [(prompt, title), (prompt, title[:3]), (prompt, [*title[:2], 7]), (prompt, [9])]
        pairs += [([*prompt, word], title) for word in (1, 2, 3)]
    return [*pairs, ([5], [6]), (head, tokens(draw, 2)), pairs[0]]


@pytest.mark.parametrize("name", [*CAUSAL, "t5"])
def test_scores_equal_one_forward_per_pair_in_float64(name):
    model, pairs = tiny(name), hard_pairs()
    # Eager attention takes its softmax in float32.
    bound = 1e-6 if name == "gemma2" else 1e-9
    assert worst(Engine(model).score(pairs), one_by_one(model, pairs)) <= bound


@pytest.mark.parametrize("name", [*CAUSAL, "t5"])
def test_scores_equal_one_forward_per_pair_in_float32(name):
    model, pairs = tiny(name, dtype=torch.float32), hard_pairs()
    assert worst(Engine(model).score(pairs), one_by_one(model, pairs)) <= 1e-3


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "gemma2"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("limits", [None, CACHED])
def test_packed_is_right_where_it_is_certified(name, attention, limits):
    # Eager attention takes its softmax in float32 here, so its bound is that of usual weights.
    model, pairs = tiny(name, attention=attention, scale=1), hard_pairs()
    assert "packed" in Engine(model).certificate.passed
    found = score_packed(Body(model), pairs, Counters(), limits=limits)
    bound = 1e-9 if model.config._attn_implementation == "sdpa" else 1e-7
    assert worst(found, one_by_one(model, pairs)) <= bound


@pytest.mark.parametrize("name", HYBRID)
def test_layers_of_other_kinds_are_never_packed(name):
    """With a window of 24 and states without keys, a tree mask cannot be right."""
    model, pairs = hybrid(name), hard_pairs()
    engine = Engine(model)
    assert "packed" not in engine.certificate.passed
    assert worst(engine.score(pairs), one_by_one(model, pairs)) <= 1e-4


@pytest.mark.parametrize("executor", ["packed", "prefix", "plain"])
def test_forced_executor_gives_the_same_numbers(executor, monkeypatch):
    monkeypatch.setenv("AUDITKIT_EXECUTOR", executor)
    model, pairs = tiny("qwen2"), hard_pairs()
    engine = Engine(model)
    assert engine.cost(pairs).executor == executor
    assert worst(engine.score(pairs), one_by_one(model, pairs)) <= 1e-9


def test_sliding_window_shorter_than_the_prompt_falls_back(monkeypatch):
    model, pairs = tiny("mistral"), hard_pairs(longest=3 * WINDOW)
    engine = Engine(model)
    assert engine.cost(pairs).executor != "packed"
    assert worst(engine.score(pairs), one_by_one(model, pairs)) <= 1e-9
    monkeypatch.setenv("AUDITKIT_EXECUTOR", "prefix")
    assert worst(engine.score(pairs), one_by_one(model, pairs)) <= 1e-9


def test_window_that_the_toy_set_cannot_see_is_seen_at_the_longest_prompt():
    engine, pairs = Engine(tiny("mistral")), hard_pairs(longest=3 * WINDOW)
    assert "packed" in engine.certificate.passed  # 32 tokens fit into the window
    wrong = score_packed(Body(engine.model), pairs, Counters())
    assert worst(wrong, one_by_one(engine.model, pairs)) > 1e-3
    assert engine.cost(pairs).executor != "packed"


@pytest.mark.parametrize("calls", [[(40, 20)], [(34, 4), (60, 4)], [(60, 4), (34, 4)]])
def test_no_order_of_calls_hides_a_window(calls):
    """A window of 48 lies between prompt and end, or between two calls of one length class."""
    engine, draw = Engine(tiny("mistral")), random.Random(5)
    for n_prompt, n_tail in calls:
        prompt = tokens(draw, n_prompt)
        pairs = [(prompt, tokens(draw, n_tail)) for _ in range(6)]
        assert worst(engine.score(pairs), one_by_one(engine.model, pairs)) <= 1e-9


def test_alibi_is_not_certified_for_packing():
    certificate = Engine(tiny("bloom")).certificate
    assert certificate.passed == ("prefix", "plain")
    assert certificate.differences["packed"] is None


def test_the_wrong_mask_is_far_off_so_the_probe_is_not_blind():
    certificate = Engine(tiny("llama")).certificate
    assert certificate.control > 3 * certificate.threshold


def test_forced_executor_that_fails_is_an_error(monkeypatch):
    monkeypatch.setenv("AUDITKIT_EXECUTOR", "packed")
    with pytest.raises(ConfigurationError, match="fails the self-probe for this model"):
        Engine(tiny("bloom")).score(hard_pairs())
    monkeypatch.setenv("AUDITKIT_EXECUTOR", "fast")
    with pytest.raises(ConfigurationError, match="is not the name of an executor"):
        Engine(tiny("llama")).score(hard_pairs())


def adapted(model, kind):
    torch.manual_seed(1)
    config = {
        "lora": LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, r=4),
        "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
        "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    }[kind]
    return get_peft_model(model, config).to(torch.float64).eval()


@pytest.mark.parametrize("kind", ["lora", "prompt", "prefix"])
@pytest.mark.parametrize("name", ["gpt2", "qwen2", "llama"])
def test_adapters_score_as_in_pefts_own_forward(name, kind):
    model, pairs = adapted(tiny(name), kind), hard_pairs()
    assert worst(Engine(model).score(pairs), one_by_one(model, pairs)) <= 1e-9


def test_packed_carries_a_soft_prompt_as_the_root_of_every_path():
    model, pairs = adapted(tiny("llama"), "prompt"), hard_pairs()
    found = score_packed(Body(model), pairs, Counters(), limits=CACHED)
    assert worst(found, one_by_one(model, pairs)) <= 1e-9


def test_a_thousand_candidates_score_as_alone():
    draw, model = random.Random(3), tiny("llama")
    prompt = tokens(draw, 40)
    pairs = [(prompt, tokens(draw, draw.randrange(1, 8))) for _ in range(1000)]
    found = Engine(model).score(pairs)
    sample = draw.sample(range(1000), 25)
    expected = one_by_one(model, [pairs[i] for i in sample])
    assert worst([found[i] for i in sample], expected) <= 1e-9


def test_counted_tokens_are_the_planned_ones():
    body, pairs, counters = Body(tiny("llama")), hard_pairs(), Counters()
    score_packed(body, pairs, counters)
    plan = plan_for(body, pairs)
    assert counters.tokens == plan.tokens_forwarded
    assert counters.forwards == len(plan.steps)
    assert counters.head_rows == plan.tree.predicted_rows


def test_order_of_requests_changes_nothing():
    model, pairs = tiny("llama"), hard_pairs()
    forward, backward = Engine(model).score(pairs), Engine(model).score(pairs[::-1])
    assert worst(forward, backward[::-1]) <= 1e-9


def test_recheck_is_one_forward_per_pair_and_counted_apart():
    engine, pairs = Engine(tiny("llama")), hard_pairs()
    assert worst(engine.rescore(pairs), engine.score(pairs)) <= 1e-9
    assert engine.checks.tokens >= sum(len(p) + len(c) - 1 for p, c in pairs)


def test_soft_capped_logits_are_reproduced():
    body = Body(tiny("gemma2"))
    assert body.adjust is not None
    states = torch.randn(3, 64, dtype=torch.float64)
    assert float(body.logits(states).abs().max()) <= 1.0


def test_unknown_head_goes_through_the_models_own_forward(monkeypatch):
    model, pairs = tiny("llama"), hard_pairs()
    own = model.lm_head.forward
    shift = torch.linspace(0, 1, VOCABULARY, dtype=torch.float64)
    engine = Engine(model)
    monkeypatch.setattr(engine.body, "adjust", None)
    monkeypatch.setattr(model.lm_head, "forward", lambda states: own(states) + shift)
    found = engine.rescore(pairs)
    assert worst(found, one_by_one(model, pairs)) <= 1e-9


def test_pair_longer_than_the_context_is_refused_with_both_lengths():
    engine = Engine(tiny("gpt2"))
    with pytest.raises(TargetError, match="1100 tokens, the model reads 1024"):
        engine.score([([1] * 1098, [1, 2, 3])])


def test_nan_is_an_error_and_never_a_score():
    model = tiny("llama")
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(TargetError, match="non_finite"):
        Engine(model).score(hard_pairs())


def test_nothing_asked_is_nothing_answered():
    assert Engine(tiny("llama")).score([]) == []
    with pytest.raises(InvalidArgument, match="cannot be scored"):
        Engine(tiny("llama")).score([([], [1])])
