from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.evidence.cut_prompts import cut_prompts


def record(prompt, tokens, *, op="recommend"):
    usage = {} if tokens is None else {"prompt_tokens": tokens, "completion_tokens": 9}
    return {"request": {"op": op, "prompt": prompt, "messages": []}, "usage": usage}


def records(lengths, tokens_of):
    return [record("a" * n, tokens_of(n)) for n in lengths]


def test_prompt_with_too_few_tokens_for_any_text_was_cut():
    (note,) = cut_prompts([record("a" * 30_000, 2_050)])
    assert "1 of 1 prompts were cut by the server" in note
    assert "one of 30,000 characters counts as 2,050 tokens" in note


def test_prompt_that_is_twice_as_long_and_has_no_more_tokens_was_cut():
    lengths = [3_900, *[4_000] * 11, 9_000, 9_500]
    (note,) = cut_prompts(records(lengths, lambda n: min(n // 4, 1_000)))
    assert "2 of 14 prompts" in note


@given(
    lengths=st.lists(st.integers(1, 60_000), max_size=40),
    hidden=st.integers(0, 5_000),
    per_token=st.floats(0.5, 11),
)
def test_server_that_reads_everything_is_never_accused(lengths, hidden, per_token):
    assert cut_prompts(records(lengths, lambda n: hidden + int(n / per_token) + 1)) == ()


@given(lengths=st.lists(st.integers(20_000, 60_000), min_size=1, max_size=40))
def test_server_that_cuts_every_long_prompt_is_found(lengths):
    assert cut_prompts(records(lengths, lambda n: 1_500))


def test_server_that_states_the_same_count_for_all_prompts_does_not_count():
    assert cut_prompts(records([100] * 20 + [1_000] * 5, lambda n: 7)) == ()


def test_look_alike_letters_that_need_more_tokens_are_not_compared():
    noisy = [record("\u0430" * 500, 1_000) for _ in range(20)]
    assert cut_prompts([*noisy, *records([1_200] * 10, lambda n: n // 4)]) == ()


@pytest.mark.parametrize(
    ("op", "tokens"), [("recommend", None), ("recommend", 0), ("score", 10), ("converse", 10)]
)
def test_prompts_without_a_count_of_their_own_say_nothing(op, tokens):
    assert cut_prompts([record("a" * 50_000, tokens, op=op)]) == ()
    assert cut_prompts([]) == ()
