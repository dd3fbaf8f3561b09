"""Plan of the forwards for a token tree: long shared prefixes once, short tails packed in rows.

A plan is a list of steps in depth-first order, so that one cache with the path from the root is
sufficient: a `Prefix` step extends the path and a `Group` step reads it. Planning is pure Python.

Source: tree attention as in SpecInfer (Miao et al. 2024), applied to the prefixes of an audit. The
sizes were measured on CPU, where forwards below 64 positions do not use the matrix units fully.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from auditkit.engine.prefix_tree import Node, Tree

__all__ = ["Group", "Limits", "Plan", "Prefix", "Row", "Step", "Wanted", "make_plan"]


@dataclass(frozen=True)
class Wanted:
    """Requested log-probability of `token` after the token at `position` of a row or prefix.

    `slot` is the index of this log-probability among the results.
    """

    position: int
    token: int
    slot: int


@dataclass
class Row:
    """Sibling subtrees in one row. `parents` are the positions of parent tokens in the row; -1
    means the last token of the path.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)

    def add(self, node: Node, parent: int) -> None:
        """Append a subtree below the token at position `parent` of this row."""
        waiting = [(node, parent)]
        while waiting:
            current, above = waiting.pop()
            first = len(self.tokens)
            for offset, token in enumerate(current.tokens):
                self.parents.append(first + offset - 1 if offset else above)
                self.depths.append(current.depth + offset)
                self.tokens.append(token)
            self.wanted.extend(_wanted(current, first))
            below = len(self.tokens) - 1
            waiting.extend((child, below) for child in reversed(current.children))


@dataclass(frozen=True)
class Prefix:
    """Tokens that are forwarded once after `past` tokens of the path, and that extend the path."""

    past: int
    tokens: list[int]
    wanted: list[Wanted]


@dataclass(frozen=True)
class Group:
    """Rows that are forwarded as one batch after `past` tokens of the path, without extending the
    path.
    """

    past: int
    rows: list[Row]

    @property
    def width(self) -> int:
        """Length of the longest row, to which all rows are padded."""
        return max(len(row.tokens) for row in self.rows)


Step = Prefix | Group


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes of a plan, in tokens; `max_bytes` bounds the memory of one forward.

    Attributes:
        padding: maximum ratio of padding to tokens in a group.
        slack: maximum share of tokens that may be spent on repeating short segments.
        kv_bytes: bytes of keys and values per token.
    """

    tail: int = 600
    row: int = 300
    rows: int = 16
    short: int = 64
    padding: float = 0.02
    slack: float = 0.02
    max_bytes: int = 1 << 30
    kv_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """Forward passes of one call."""

    tree: Tree
    steps: list[Step]

    @property
    def tokens_forwarded(self) -> int:
        """Positions passed to the model, including padding."""
        return sum(
            len(step.tokens) if isinstance(step, Prefix) else step.width * len(step.rows)
            for step in self.steps
        )

    @property
    def efficiency(self) -> float | None:
        """Ratio of tokens forwarded to unique tokens, at least 1; None for an empty plan."""
        unique = self.tree.unique_tokens
        return self.tokens_forwarded / unique if unique else None


def make_plan(tree: Tree, limits: Limits = Limits()) -> Plan:
    """Plan the forward passes for a tree; every (node, next token) is requested exactly once.

    The tree is modified: short segments are moved into their child nodes.
    """
    cutter = _Cutter(limits, spare=int(limits.slack * tree.unique_tokens))
    return Plan(tree, list(cutter.steps(tree.root)))


class _Cutter:
    """Plans a tree depth first, with a budget of tokens for repeating short segments."""

    def __init__(self, limits: Limits, *, spare: int) -> None:
        self._limits, self._spare = limits, spare

    def steps(self, node: Node) -> Iterator[Step]:
        """Steps of a node that is too large for a row; short segments are repeated in the rows."""
        limits = self._limits
        small = [child for child in node.children if child.size <= limits.tail]
        large = [child for child in node.children if child.size > limits.tail]
        inline = node.tokens and len(node.tokens) < limits.short and self._may_repeat(node, small)
        if inline and large:  # prepend the segment to each large child
            for child in large:
                child.tokens, child.depth = node.tokens + child.tokens, node.depth
            large[0].wanted.update(node.wanted)
        past = node.depth if inline else node.end
        if node.tokens and not inline:
            yield Prefix(node.depth, node.tokens, _wanted(node, 0))
        if small:
            stem = node if inline else None
            yield from self._groups(self._rows(small, stem, wanted=not large), past)
        for child in large:
            yield from self.steps(child)

    def _may_repeat(self, node: Node, small: Sequence[Node]) -> bool:
        """Deduct the cost of repeating the segment and return True; False if over budget."""
        rows = -(-sum(child.size for child in small) // self._limits.row)
        copies = rows + sum(child.size > self._limits.tail for child in node.children) - 1
        cost = copies * len(node.tokens)
        if cost > self._spare:
            return False
        self._spare -= max(cost, 0)
        return True

    def _rows(self, children: Sequence[Node], stem: Node | None, *, wanted: bool) -> list[Row]:
        """Pack consecutive children into rows of similar length, each after a copy of the stem."""
        total = sum(child.size for child in children)
        capacity = max(self._limits.row, max(child.size for child in children))
        goal = total / -(-total // capacity)
        rows: list[Row] = []
        filled = float("inf")
        for child in children:
            size = child.size
            if filled + size / 2 > goal or filled + size > self._limits.tail:
                row, filled = Row(), 0.0
                if stem is not None:
                    first = wanted and not rows
                    row.add(Node(stem.tokens, stem.depth, stem.wanted if first else {}), -1)
                rows.append(row)
            rows[-1].add(child, len(stem.tokens) - 1 if stem is not None else -1)
            filled += size
        return rows

    def _groups(self, rows: list[Row], past: int) -> Iterator[Group]:
        """Group rows of similar length, as many as the memory limit allows."""
        limits = self._limits
        rows = sorted(rows, key=lambda row: -len(row.tokens))
        while rows:
            width = len(rows[0].tokens)
            per_row = (past + width) * limits.kv_bytes + width * (past + width) * 4
            fit = max(1, min(limits.rows, limits.max_bytes // max(per_row, 1)))
            lengths = [len(row.tokens) for row in rows[:fit]]
            count = sum(
                1
                for i, total in enumerate(accumulate(lengths), start=1)
                if i * width <= (1 + limits.padding) * total
            )
            yield Group(past, rows[:count])
            rows = rows[count:]


def _wanted(node: Node, first: int) -> list[Wanted]:
    return [
        Wanted(first + depth - node.depth, token, slot)
        for (depth, token), slot in node.wanted.items()
    ]
