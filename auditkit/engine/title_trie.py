"""Token trie of all titles of a catalog in flat arrays, small enough for a million titles.

A node is a distinct prefix of a title. The edges of all nodes are in one array, ordered by node and
token. Nodes are numbered level by level, so edge e leads to node e + 1 and children need no
separate array. An edge is stored as the key node * base + token, which a step looks up by binary
search. Every title ends with an END symbol, id `base` - 1, which is not a token of the vocabulary:
the token that ends a title in a text (a separator or an end-of-text token) is chosen at decoding.

The layout is that of compressed sparse rows; a dict of dicts needs ten times the memory and is
slower (docs/explain/hallucination-mitigation.md). The 8-byte keys encode both token and child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument

__all__ = ["Spans", "TitleTrie", "build_trie"]

_ABSENT = -1  # missing token or node


class Spans(NamedTuple):
    """Range of leaves below every node: from `low`, inclusive, to `high`, exclusive, int32
    [nodes].
    """

    low: NDArray[np.int32]
    high: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TitleTrie:
    """A trie over token ids.

    Attributes:
        indptr: int32 [nodes + 1]; the edges of node s are indptr[s] to indptr[s + 1] - 1.
        keys: int64 [edges], ascending: node * base + token; edge e leads to node e + 1.
        base: size of the vocabulary plus one.
        levels: first node of every depth, followed by the number of nodes.
        leaf_of: int32 [titles]; leaf of each title. Leaves are numbered in the order of their
            tokens, and equal titles share a leaf.
    """

    indptr: NDArray[np.int32]
    keys: NDArray[np.int64]
    base: int
    levels: tuple[int, ...]
    leaf_of: NDArray[np.int32]

    @property
    def end(self) -> int:
        """The symbol END, which ends every title."""
        return self.base - 1

    @property
    def depth(self) -> int:
        """Number of symbols of the longest title, including END."""
        return len(self.levels) - 2

    @property
    def n_leaves(self) -> int:
        """Number of distinct titles."""
        return int(self.leaf_of.max()) + 1

    @property
    def n_bytes(self) -> int:
        """Number of bytes of the arrays, without `spans`."""
        return self.indptr.nbytes + self.keys.nbytes + self.leaf_of.nbytes

    @cached_property
    def fork(self) -> int:
        """First node after which titles differ; -1 if a title ends at or before this node."""
        node = 0
        while True:
            tokens, nodes = self.children(node)
            if tokens[-1] == self.end:
                return _ABSENT
            if len(tokens) > 1:
                return node
            node = int(nodes[0])

    def children(self, node: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tokens that may follow a node, ascending, and the child nodes to which they
        lead.
        """
        begin, end = int(self.indptr[node]), int(self.indptr[node + 1])
        return self.keys[begin:end] - node * self.base, np.arange(begin, end) + 1

    def step(self, nodes: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the child of nodes[i] for tokens[i], int64 [n]; -1 if there is no such child."""
        wanted = nodes * self.base + tokens
        edges = np.searchsorted(self.keys, wanted)
        found = self.keys[np.minimum(edges, len(self.keys) - 1)] == wanted
        return np.where(found & (nodes >= 0), edges + 1, _ABSENT)

    def find(self, tokens: Sequence[int]) -> int | None:
        """Index of the first title with exactly these tokens; None if there is none."""
        node = np.zeros(1, np.int64)
        for token in (*tokens, self.end):
            if not 0 <= token < self.base:
                return None
            node = self.step(node, np.array([token], np.int64))
        leaf = int(node[0])
        return None if leaf == _ABSENT else int(self.title_of[self.spans.low[leaf]])

    @cached_property
    def title_of(self) -> NDArray[np.int32]:
        """Index of the title of every leaf, int32 [leaves]; of equal titles, the first."""
        titles = np.empty(self.n_leaves, np.int32)
        titles[self.leaf_of[::-1]] = np.arange(len(self.leaf_of), dtype=np.int32)[::-1]
        return titles

    @cached_property
    def spans(self) -> Spans:
        """Ranges of leaves below every node, which filters need; computed on first use."""
        n_nodes = self.levels[-1]
        parents = self.keys // self.base
        is_leaf = np.ones(n_nodes, bool)
        is_leaf[parents] = False
        below = is_leaf.astype(np.int32)
        for begin, end in zip(self.levels[-2:0:-1], self.levels[:1:-1], strict=True):
            above = parents[begin - 1 : end - 1]
            below[above[0] : above[-1] + 1] += np.bincount(
                above - above[0], weights=below[begin:end]
            ).astype(np.int32)
        low = np.zeros(n_nodes, np.int32)
        for begin, end in zip(self.levels[1:-1], self.levels[2:], strict=True):
            above = parents[begin - 1 : end - 1]
            before = np.cumsum(below[begin:end]) - below[begin:end]
            first = self.indptr[above] - (begin - 1)  # first sibling within this level
            low[begin:end] = low[above] + before - before[first]
        return Spans(low, low + below)


def build_trie(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], *, vocabulary: int
) -> TitleTrie:
    """Build the trie of concatenated titles.

    Args:
        tokens: token ids of all titles, concatenated, [sum of lengths].
        lengths: number of tokens of each title, at least 1, [n]; equal titles share a leaf.
        vocabulary: size of the vocabulary; all ids are below it.

    Raises:
        InvalidArgument: there are no titles, a title has no tokens, or an id is outside the
            vocabulary.
    """
    if not len(lengths) or lengths.min() < 1 or lengths.sum() != len(tokens):
        raise InvalidArgument(
            f"The trie got {len(lengths)} titles and {len(tokens)} tokens. Give at least one title "
            "and at least one token per title."
        )
    if tokens.min() < 0 or tokens.max() >= vocabulary:
        raise InvalidArgument(
            f"The trie got a token id outside 0..{vocabulary - 1}. Give the full size of the "
            "tokenizer's vocabulary."
        )
    base = vocabulary + 1
    columns = _padded(tokens, lengths, end=vocabulary)
    order = np.lexsort(columns[::-1])
    n_titles = len(lengths)
    differs = np.zeros(n_titles, bool)  # from the previous title, in any column so far
    differs[0] = True
    nodes, keys, levels = np.zeros(n_titles, np.int64), [], [0, 1]
    for column in columns:
        symbols = column[order]
        differs[1:] |= symbols[1:] != symbols[:-1]
        begins = differs & (symbols != _ABSENT)
        keys.append(nodes[begins] * base + symbols[begins])
        numbers = levels[-1] - 1 + np.cumsum(begins)
        nodes = np.where(symbols == _ABSENT, nodes, numbers)
        levels.append(levels[-1] + int(begins.sum()))
    edges = np.concatenate(keys)
    counts = np.bincount(edges // base, minlength=levels[-1])
    indptr = np.zeros(levels[-1] + 1, np.int32)
    np.cumsum(counts, out=indptr[1:])
    leaf_of = np.empty(n_titles, np.int32)
    leaf_of[order] = np.cumsum(differs) - 1
    return TitleTrie(indptr, edges, base, tuple(levels), leaf_of)


def _padded(
    tokens: NDArray[np.int32], lengths: NDArray[np.int64], *, end: int
) -> NDArray[np.int32]:
    """Matrix [positions, titles] with each title's tokens, then END, then -1."""
    n, width = len(lengths), int(lengths.max()) + 1
    columns = np.full((width, n), _ABSENT, np.int32)
    rows = np.repeat(np.arange(n), lengths)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(tokens)) - np.repeat(starts, lengths)
    columns[places, rows] = tokens
    columns[lengths, np.arange(n)] = end
    return columns
