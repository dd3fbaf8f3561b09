"""A trie holds its titles and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import title_tries
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument

VOCABULARY = 6
TITLES = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6), min_size=1, max_size=30
)


def trie_of(titles, vocabulary=VOCABULARY):
    return title_tries.trie_of(titles, vocabulary=vocabulary)


def dict_of(titles):
    """The same as a dict of dicts."""
    root = {}
    for title in titles:
        node = root
        for token in (*title, VOCABULARY):
            node = node.setdefault(token, {})
    return root


def test_titles_by_hand():
    #  7 8 END, 7 9 END, 8 END
    trie = trie_of([[7, 8], [7, 9], [8]], vocabulary=10)
    assert trie.indptr.tolist() == [0, 2, 4, 5, 6, 7, 7, 7, 7]
    assert (trie.keys % trie.base).tolist() == [7, 8, 8, 9, 10, 10, 10]
    assert trie.levels == (0, 1, 3, 6, 8)
    assert trie.spans.low.tolist() == [0, 0, 2, 0, 1, 2, 0, 1]
    assert (trie.spans.high - trie.spans.low).tolist() == [3, 2, 1, 1, 1, 1, 1, 1]


@given(TITLES)
def test_trie_equals_a_dict_of_dicts(titles):
    trie, waiting = trie_of(titles), [(0, dict_of(titles))]
    seen = 0
    while waiting:
        node, children = waiting.pop()
        seen += 1
        tokens, nodes = trie.children(node)
        assert tokens.tolist() == sorted(children)
        waiting += [(n, children[t]) for t, n in zip(tokens.tolist(), nodes.tolist(), strict=True)]
    assert seen == trie.levels[-1]


@given(TITLES)
def test_every_title_is_found_under_its_first_place(titles):
    trie = trie_of(titles)
    assert [trie.find(title) for title in titles] == [titles.index(title) for title in titles]


@given(TITLES, st.lists(st.integers(-1, VOCABULARY + 1), max_size=6))
def test_what_is_no_title_is_not_found(titles, other):
    assert (trie_of(titles).find(other) is not None) == (other in titles)


@given(TITLES)
def test_leaves_below_a_node_are_the_titles_that_begin_with_it(titles):
    trie = trie_of(titles)
    ordered = sorted({(*title, VOCABULARY) for title in titles})
    assert [(*titles[i], VOCABULARY) for i in trie.title_of] == ordered
    waiting = [(0, ())]
    while waiting:
        node, begin = waiting.pop()
        below = [i for i, title in enumerate(ordered) if title[: len(begin)] == begin]
        assert (trie.spans.low[node], trie.spans.high[node]) == (below[0], below[-1] + 1)
        tokens, nodes = trie.children(node)
        waiting += [(n, (*begin, t)) for t, n in zip(tokens.tolist(), nodes.tolist(), strict=True)]


@given(TITLES)
def test_order_of_the_titles_does_not_matter(titles):
    forward, backward = trie_of(titles), trie_of(titles[::-1])
    assert forward.keys.tolist() == backward.keys.tolist()
    assert forward.indptr.tolist() == backward.indptr.tolist()


def test_a_step_without_a_child_is_dead_and_stays_dead():
    trie = trie_of([[1, 2], [3]])
    nodes = np.array([0, 0, 0])
    nodes = trie.step(nodes, np.array([1, 2, 3]))
    assert (nodes >= 0).tolist() == [True, False, True]
    assert (trie.step(nodes, np.array([2, 1, 1])) >= 0).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("titles", "begin"),
    [([[1, 2], [3]], []), ([[4, 1, 2], [4, 1, 3]], [4, 1]), ([[4], [4, 1]], None), ([[4]], None)],
)
def test_fork_is_where_titles_first_differ(titles, begin):
    trie, node = trie_of(titles), 0
    for token in begin or ():
        node = int(trie.step(np.array([node]), np.array([token]))[0])
    assert trie.fork == (-1 if begin is None else node)


def test_a_million_titles_are_a_dozen_bytes_a_node():
    draw = np.random.default_rng(0)
    titles = draw.integers(0, 500, (2000, 8)).tolist()
    trie = trie_of(titles, vocabulary=500)
    assert trie.n_bytes <= 12 * trie.levels[-1] + 4 * len(titles) + 4


@pytest.mark.parametrize("titles", [[], [[1], []], [[VOCABULARY]], [[-1]]])
def test_titles_that_cannot_be_held_are_refused(titles):
    with pytest.raises(InvalidArgument, match="The trie got"):
        trie_of(titles)
