"""What a model writes inside the trie are titles, whatever it would rather write."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from tiny_models import VOCABULARY, tiny
from title_tries import trie_of

from auditkit.engine.generation import Decoding
from auditkit.engine.inference import Engine
from auditkit.engine.title_decoding import TitleLists
from auditkit.errors import InvalidArgument, TargetError

torch.set_num_threads(1)
SEPARATOR, ENDS = 1, (2, 3)
DRAW = random.Random(3)
TITLES = sorted(
    {tuple(DRAW.randrange(4, 12) for _ in range(DRAW.randrange(1, 5))) for _ in range(40)}
)
TRIE = trie_of([list(title) for title in TITLES], vocabulary=VOCABULARY)
PROMPTS = [[DRAW.randrange(VOCABULARY) for _ in range(DRAW.randrange(3, 30))] for _ in range(21)]


def engine(name="llama"):
    model = tiny(name)
    model.generation_config.eos_token_id = list(ENDS)
    return Engine(model)


def lists(sizes, open_leaves=None, openings=()):
    return TitleLists(TRIE, SEPARATOR, ENDS, sizes, openings, open_leaves)


def titles(ids):
    """The titles of a list that ended."""
    parts = [[]]
    for token in ids:
        if token == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts] if ids else []


def written(constraint, *, name="llama", **options):
    found = engine(name).generate(
        PROMPTS,
        Decoding(60, constraint=constraint, **options),
        seeds=range(len(PROMPTS)),
    )
    assert not any(row.cut for row in found)
    return [titles(row.ids) for row in found]


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
@pytest.mark.parametrize(
    "options", [{}, {"temperature": 1.0}, {"temperature": 2.0, "top_k": 3, "top_p": 0.5}]
)
def test_lists_hold_as_many_titles_as_asked_and_nothing_else(name, options):
    constraint = lists([1 + row % 4 for row in range(len(PROMPTS))])
    found = written(constraint, name=name, **options)
    assert [len(row) for row in found] == list(constraint.sizes)
    assert {title for row in found for title in row} <= set(TITLES)
    assert constraint.escapes == 0


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_beams_write_titles_and_are_at_least_as_likely(name):
    model = engine(name)
    for prompt in PROMPTS[:6]:
        greedy, best = (
            model.generate([prompt], Decoding(30, constraint=lists([2]), beams=beams))[0]
            for beams in (1, 4)
        )
        assert not best.cut
        assert len(titles(best.ids)) == 2
        assert set(titles(best.ids)) <= set(TITLES)
        assert not set(greedy.ids) & set(ENDS)


def test_greedy_title_is_the_best_child_at_every_step():
    model, prompt = engine(), PROMPTS[0]
    found = model.generate([prompt], Decoding(30, constraint=lists([1])))[0].ids
    node, begin = 0, []
    while True:
        tokens, nodes = TRIE.children(node)
        logits = model.next_token_logits([[*prompt, *begin]])[0]
        best = max(
            zip(tokens.tolist(), nodes.tolist(), strict=True),
            key=lambda pair: max(logits[list(ENDS)]) if pair[0] == TRIE.end else logits[pair[0]],
        )
        if best[0] == TRIE.end:
            break
        begin.append(best[0])
        node = best[1]
    assert found == begin


def only(allowed):
    """Open leaves of the same titles for every prompt."""
    mask = np.zeros(TRIE.n_leaves, bool)
    mask[[TRIE.leaf_of[TITLES.index(title)] for title in allowed]] = True
    return lambda row: mask


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_filters_leave_the_open_titles_each_once(temperature):
    allowed = TITLES[::4]
    found = written(lists([5] * len(PROMPTS), only(allowed)), temperature=temperature)
    for row in found:
        assert len(row) == len(set(row)) == 5
        assert set(row) <= set(allowed)


@pytest.mark.parametrize("n_open", [0, 1, 3])
def test_a_list_ends_where_nothing_is_left(n_open):
    allowed = TITLES[5 : 5 + n_open]
    for row in written(lists([4] * len(PROMPTS), only(allowed))):
        assert sorted(row) == sorted(allowed)


def test_filters_of_one_row_are_not_those_of_another():
    def open_leaves(row):
        mask = np.zeros(TRIE.n_leaves, bool)
        mask[row] = True
        return mask

    found = written(lists([1] * len(PROMPTS), open_leaves))
    assert found == [[TITLES[TRIE.title_of[row]]] for row in range(len(PROMPTS))]


OPENINGS = [[20], [21, 22], [20, 23, 24], []]


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("filtered", [False, True])
def test_every_line_begins_with_its_own_opening(beams, filtered):
    allowed = only(TITLES[::4]) if filtered else None
    constraint = lists([1 + row % 4 for row in range(8)], allowed, OPENINGS)
    found = engine().generate(PROMPTS[:8], Decoding(60, constraint=constraint, beams=beams))
    for row, size in zip(found, constraint.sizes, strict=True):
        lines = titles(row.ids)
        assert len(lines) == size
        for line, opening in zip(lines, OPENINGS, strict=False):
            assert list(line[: len(opening)]) == opening
            assert line[len(opening) :] in TITLES
    assert constraint.escapes == 0


def test_another_token_than_the_opening_escapes():
    walk = lists([1], None, OPENINGS).begin([0])
    with pytest.raises(TargetError, match="escape"):
        walk.advance([TITLES[0][0]])


def test_a_list_longer_than_its_openings_is_refused():
    with pytest.raises(InvalidArgument, match="4 openings for 5 titles"):
        lists([5], None, OPENINGS)


def test_without_filters_a_title_may_come_again():
    one = trie_of([[5, 6]], vocabulary=VOCABULARY)
    found = engine().generate(PROMPTS[:1], Decoding(30, constraint=TitleLists(one, 1, (2,), [3])))
    assert titles(found[0].ids) == [(5, 6)] * 3


@pytest.mark.parametrize("token", [SEPARATOR, ENDS[0], 250])
def test_a_token_that_leads_out_of_the_trie_raises_and_is_counted(token):
    constraint = lists([2])
    walk = constraint.begin([0])
    with pytest.raises(TargetError, match="escape"):
        walk.advance([token])
    assert constraint.escapes == 1


def test_after_the_end_only_ends_may_follow():
    constraint = TitleLists(trie_of([[5]], vocabulary=VOCABULARY), SEPARATOR, ENDS, [1, 2])
    walk = constraint.begin([0, 1])
    open_tokens = lambda: [  # noqa: E731
        torch.nonzero(row > -torch.inf)[:, 0].tolist() for row in walk.mask(torch.zeros(2, 300))
    ]
    assert open_tokens() == [[5], [5]]
    walk.advance([5, 5])
    assert open_tokens() == [list(ENDS), [SEPARATOR]]
    walk.advance([ENDS[1], SEPARATOR])
    assert open_tokens() == [list(ENDS), [5]]
    walk.keep([1])
    walk.advance([5])
    assert torch.nonzero(walk.mask(torch.zeros(1, 300))[0] > -torch.inf)[:, 0].tolist() == [2, 3]


def test_masked_logits_are_those_of_the_model():
    walk = lists([1]).begin([0])
    logits = torch.randn(1, VOCABULARY)
    masked = walk.mask(logits)
    assert torch.equal(masked[masked > -torch.inf], logits[masked > -torch.inf])


@pytest.mark.parametrize(
    ("separator", "ends", "sizes"), [(2, ENDS, [1]), (1, (), [1]), (1, ENDS, [0])]
)
def test_lists_that_cannot_end_are_refused(separator, ends, sizes):
    with pytest.raises(InvalidArgument, match="The title lists got"):
        TitleLists(TRIE, separator, ends, sizes)
