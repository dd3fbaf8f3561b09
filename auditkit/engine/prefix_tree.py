"""Radix tree over token sequences, with the log-probabilities requested at each node.

Every common prefix is stored once. The tree uses only Python and numpy, so that planning can be
tested without a model. Sequences are compared as big-endian bytes, which sort like their tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from auditkit.errors import InvalidArgument

__all__ = ["Ids", "Node", "Tree", "build_tree"]

Ids = Sequence[int]


@dataclass
class Node:
    """A sequence of tokens without a branch.

    Attributes:
        tokens: at least one token id; empty for the root.
        depth: number of tokens before the first token of this node.
        wanted: slot (index among the results) of every requested (depth, next token); the token at
            that depth predicts the next token.
        children: child nodes in lexicographic order of their tokens.
        size: number of tokens in the whole subtree.
    """

    tokens: list[int]
    depth: int
    wanted: dict[tuple[int, int], int] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    size: int = 0

    @property
    def end(self) -> int:
        """Number of tokens from the root to the last token of this node, inclusive."""
        return self.depth + len(self.tokens)

    def split(self, depth: int) -> None:
        """Split the node at a depth: move its tokens from this depth on into a single child."""
        at = depth - self.depth
        below = {key: slot for key, slot in self.wanted.items() if key[0] >= depth}
        child = Node(self.tokens[at:], depth, below, self.children)
        self.tokens, self.children = self.tokens[:at], [child]
        self.wanted = {key: slot for key, slot in self.wanted.items() if key[0] < depth}


@dataclass(frozen=True)
class Tree:
    """The token tree of all pairs of a call.

    Attributes:
        root: node without tokens.
        slots: for each pair, the slot of every continuation token, in order.
        n_slots: number of distinct requested (node, next token) pairs.
        tokens_asked: number of tokens that one forward pass per pair would process.
        unique_tokens: number of tokens in the tree, the smallest number that must be forwarded.
        visible_keys: number of keys that a token attends to, summed over the tokens of the tree.
        predicted_rows: number of distinct tokens after which a token is predicted.
    """

    root: Node
    slots: list[list[int]]
    n_slots: int
    tokens_asked: int
    unique_tokens: int
    visible_keys: int
    predicted_rows: int


def build_tree(pairs: Sequence[tuple[Ids, Ids]]) -> Tree:
    """Merge pairs (prompt ids, continuation ids) into a tree; equal pairs share all their slots.

    Raises:
        InvalidArgument: a prompt or continuation is empty.
    """
    for prompt, continuation in pairs:
        if not len(prompt) or not len(continuation):
            raise InvalidArgument(
                f"A pair has {len(prompt)} prompt and {len(continuation)} continuation tokens. "
                "Give at least one of each, such as a start token for an empty prompt."
            )
    keys = [_key([*prompt, *continuation[:-1]]) for prompt, continuation in pairs]
    root, path = Node([], 0), [Node([], 0)]
    path[0] = root
    slots: list[list[int]] = [[] for _ in pairs]
    n_slots, previous = 0, b""
    for i in sorted(range(len(pairs)), key=lambda i: keys[i]):
        key = keys[i]
        if key != previous:
            _insert(path, key, _common_tokens(previous, key))
            previous = key
        prompt, continuation = pairs[i]
        starts = [node.depth for node in path]
        for offset, token in enumerate(continuation):
            depth = len(prompt) - 1 + offset
            node = path[bisect_right(starts, depth) - 1]
            slot = node.wanted.setdefault((depth, token), n_slots)
            n_slots += slot == n_slots
            slots[i].append(slot)
    unique, visible, rows = _measure(root)
    asked = sum(len(prompt) + len(continuation) - 1 for prompt, continuation in pairs)
    return Tree(root, slots, n_slots, asked, unique, visible, rows)


def _key(ids: Ids) -> bytes:
    return np.asarray(ids, dtype=">u4").tobytes()


def _common_tokens(left: bytes, right: bytes) -> int:
    n = min(len(left), len(right)) // 4
    differs = np.flatnonzero(
        np.frombuffer(left, dtype="<u4", count=n) != np.frombuffer(right, dtype="<u4", count=n)
    )
    return int(differs[0]) if len(differs) else n


def _insert(path: list[Node], key: bytes, shared: int) -> None:
    """Add a sequence to the tree, and change `path` from the previous sequence to this one."""
    while path[-1].depth >= shared and len(path) > 1:
        path.pop()
    if path[-1].end > shared:
        path[-1].split(shared)
    rest = np.frombuffer(key, dtype=">u4")[shared:]
    if len(rest):
        node = Node([int(token) for token in rest], shared)
        path[-1].children.append(node)
        path.append(node)


def _measure(root: Node) -> tuple[int, int, int]:
    """Set subtree sizes and return unique tokens, visible keys and predicted rows of the tree."""
    order = [root]
    for node in order:
        order.extend(node.children)
    visible = rows = 0
    for node in reversed(order):
        node.size = len(node.tokens) + sum(child.size for child in node.children)
        visible += sum(range(node.depth + 1, node.end + 1))
        rows += len({depth for depth, _ in node.wanted})
    return root.size, visible, rows
