"""Planning without a model: what is asked is asked once, and the plan is the tree."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.engine.plan import Limits, Prefix, make_plan
from auditkit.engine.prefix_tree import build_tree
from auditkit.errors import InvalidArgument

IDS = st.lists(st.integers(0, 3), min_size=1, max_size=12)
PAIRS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=25)
SMALL = Limits(tail=8, row=4, rows=3, short=3, slack=0.2)


def prefixes(pairs):
    return {
        (*prompt, *continuation[:-1])[: i + 1]
        for prompt, continuation in pairs
        for i in range(len(prompt) + len(continuation) - 1)
    }


def walk(plan):
    """What every slot predicts: (tokens that its position sees, next token)."""
    path, found = [], {}
    for step in plan.steps:
        path = path[: step.past]
        assert len(path) == step.past
        if isinstance(step, Prefix):
            for want in step.wanted:
                seen = (*path, *step.tokens[: want.position + 1])
                found.setdefault(want.slot, []).append((seen, want.token))
            path = [*path, *step.tokens]
            continue
        for row in step.rows:
            for want in row.wanted:
                position, seen = want.position, []
                while position >= 0:
                    seen.append(row.tokens[position])
                    position = row.parents[position]
                whole = (*path, *reversed(seen))
                assert row.depths[want.position] == len(whole) - 1
                found.setdefault(want.slot, []).append((whole, want.token))
    return found


@given(pairs=PAIRS)
def test_tree_holds_every_distinct_prefix_once(pairs):
    tree = build_tree(pairs)
    assert tree.unique_tokens == len(prefixes(pairs))
    assert tree.visible_keys == sum(map(len, prefixes(pairs)))
    assert tree.tokens_asked == sum(len(p) + len(c) - 1 for p, c in pairs)


@settings(max_examples=200)
@given(pairs=PAIRS, limits=st.sampled_from([Limits(), SMALL, Limits(tail=1, row=1, short=0)]))
def test_every_continuation_token_is_wanted_once_behind_exactly_its_own_tokens(pairs, limits):
    tree = build_tree(pairs)
    found = walk(make_plan(tree, limits))
    assert sorted(found) == list(range(tree.n_slots))
    assert all(len(places) == 1 for places in found.values())
    for (prompt, continuation), slots in zip(pairs, tree.slots, strict=True):
        for offset, (token, slot) in enumerate(zip(continuation, slots, strict=True)):
            assert found[slot] == [((*prompt, *continuation[:offset]), token)]


@given(pairs=PAIRS, seed=st.integers(0, 9))
def test_plan_does_not_depend_on_the_order_of_requests(pairs, seed):
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    plans = [make_plan(build_tree(order), SMALL) for order in (pairs, shuffled)]
    first, second = (
        [[row.tokens for row in s.rows] if not isinstance(s, Prefix) else s.tokens for s in p.steps]
        for p in plans
    )
    assert first == second


@given(pairs=PAIRS)
def test_work_is_at_least_the_unique_tokens(pairs):
    plan = make_plan(build_tree(pairs), SMALL)
    assert plan.tokens_forwarded >= plan.tree.unique_tokens


def probes(*, late):
    """64 counterfactual probes of about 300 tokens with 20 candidates each."""
    draw = random.Random(0)
    tokens = lambda n: [draw.randrange(40_000) for _ in range(n)]  # noqa: E731
    head, histories = tokens(30), [tokens(270) for _ in range(8)]
    words, candidates = [tokens(6) for _ in range(8)], [tokens(11) for _ in range(20)]
    prompts = [
        head + history + word if late else head + word + history
        for history in histories
        for word in words
    ]
    return [(prompt, candidate) for prompt in prompts for candidate in candidates]


@pytest.mark.parametrize("late", [True, False])
def test_audit_shaped_calls_forward_little_more_than_the_unique_tokens(late):
    plan = make_plan(build_tree(probes(late=late)))
    assert plan.efficiency <= 1.05


def test_rows_and_groups_stay_within_their_limits():
    draw = random.Random(1)
    prompt = list(range(700))
    pairs = [
        (prompt, [draw.randrange(900) for _ in range(draw.randrange(2, 30))]) for _ in range(999)
    ]
    limits = Limits(kv_bytes=1000, max_bytes=10_000_000)
    plan = make_plan(build_tree(pairs), limits)
    for step in plan.steps:
        if isinstance(step, Prefix):
            continue
        lengths = [len(row.tokens) for row in step.rows]
        assert len(lengths) <= limits.rows
        assert max(lengths) <= limits.tail
        assert len(lengths) * max(lengths) <= 1.02 * sum(lengths)
        assert len(lengths) * (step.past + max(lengths)) * limits.kv_bytes <= limits.max_bytes
    assert len(plan.steps) < 60


def test_one_prompt_with_a_thousand_single_tokens_is_one_position():
    tree = build_tree([([1, 2, 3], [token]) for token in range(1000)])
    assert (tree.unique_tokens, tree.predicted_rows, tree.n_slots) == (3, 1, 1000)


def test_equal_pairs_share_their_slots():
    tree = build_tree([([1, 2], [3, 4]), ([1, 2], [3, 4])])
    assert tree.slots[0] == tree.slots[1]
    assert Counter(tree.slots[0]) == {0: 1, 1: 1}


@pytest.mark.parametrize("pair", [([], [1]), ([1], [])])
def test_empty_prompt_or_continuation_is_refused(pair):
    with pytest.raises(InvalidArgument, match="at least one"):
        build_tree([pair])
