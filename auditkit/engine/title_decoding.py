"""Constrained decoding of lists of catalog titles, vectorized over the rows of a batch.

The state of a row is a node of the trie, the number of titles listed, and, with filters, a
cumulative sum over the leaves that are still allowed: the titles below a node are a range of
leaves, so a child is allowed if the sum increases over its range. END is written as the separator
after every title except the last, and as an end-of-text token after the last, which only
end-of-text tokens may follow. If no allowed title is left, the text ends. List numbers or bullets
are not in the trie; their tokens are forced. See docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.engine.title_trie import TitleTrie
from auditkit.errors import InvalidArgument, TargetError

__all__ = ["TitleLists", "TitleWalk"]


@dataclass
class TitleLists:
    """Constrains the response to prompt i of a call to a list of `sizes[i]` titles.

    Attributes:
        separator: token between two titles; no title contains it.
        ends: end tokens of the model's generation configuration.
        sizes: number of titles to list for each prompt, at least 1.
        openings: for each title of a list, the tokens before it, such as its number; empty if there
            are none.
        open_leaves: returns the leaves that may be listed for a prompt, bool [leaves], each at most
            once. None allows every title, with repeats.
        escapes: number of chosen tokens that are not in the trie; 0 unless the decoding loop has a
            bug.
    """

    trie: TitleTrie
    separator: int
    ends: tuple[int, ...]
    sizes: Sequence[int]
    openings: Sequence[Sequence[int]] = ()
    open_leaves: Callable[[int], NDArray[np.bool_]] | None = None
    escapes: int = 0

    def __post_init__(self) -> None:
        if not self.ends or self.separator in self.ends or min(self.sizes, default=1) < 1:
            raise InvalidArgument(
                f"The title lists got the separator {self.separator}, the end tokens {self.ends} "
                f"and a smallest size of {min(self.sizes, default=1)}. Give an end token that is "
                "not the separator, and sizes of at least 1."
            )
        if self.openings and len(self.openings) < max(self.sizes, default=0):
            raise InvalidArgument(
                f"The title lists got {len(self.openings)} openings for {max(self.sizes)} titles. "
                "Give one opening per title."
            )

    def begin(self, members: Sequence[int], *, strict: bool = True) -> TitleWalk:
        """Create a walk in its initial state; see `Constraint`."""
        return TitleWalk(self, members, strict=strict)

    @cached_property
    def fork_tokens(self) -> NDArray[np.int64]:
        """Tokens that may follow the first branching node of the trie; empty if there is no such
        node.
        """
        fork = self.trie.fork
        return self.trie.children(fork)[0] if fork >= 0 else np.empty(0, np.int64)


class TitleWalk:
    """Position in the trie of each row of one batch.

    The state is kept on the host, where tokens are chosen; only the indices of allowed tokens are
    copied to the device of the logits.
    """

    def __init__(self, lists: TitleLists, members: Sequence[int], *, strict: bool) -> None:
        self._lists, self._trie, self._strict = lists, lists.trie, strict
        n = len(members)
        self._sizes = np.array([lists.sizes[member] for member in members], np.int64)
        self._nodes, self._listed = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._done = np.zeros(n, bool)
        self._ends = np.array(lists.ends, np.int64)
        self._openings = _table(lists.openings)
        self._opened = np.zeros(n, np.int64)  # number of opening tokens that a row has written
        self._sums: NDArray[np.int32] | None = None
        if lists.open_leaves is not None:
            self._sums = np.zeros((n, self._trie.n_leaves + 1), np.int32)
            for row, member in enumerate(members):
                np.cumsum(lists.open_leaves(member), out=self._sums[row, 1:])
        self._masked: torch.Tensor | None = None
        self._open: torch.Tensor
        self._settle()

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Set logits [rows, vocabulary] to minus infinity for tokens that are not allowed.

        The next call overwrites the returned tensor, because clearing a few entries is cheaper than
        filling the vocabulary.
        """
        index = torch.from_numpy(self._places(logits.shape[1])).to(logits.device)
        if self._masked is None or self._masked.shape != logits.shape:
            self._masked = torch.full_like(logits, -torch.inf)
        else:
            self._masked.view(-1).index_fill_(0, self._open, -torch.inf)
        self._open = index
        self._masked.view(-1).index_copy_(0, index, logits.reshape(-1).index_select(0, index))
        return self._masked

    def advance(self, tokens: Sequence[int]) -> None:
        """Update the state with one chosen token per row.

        Raises:
            TargetError: a token is not in the trie; the token is counted in `escapes`.
        """
        chosen = np.asarray(tokens, np.int64)
        opening = self._forced >= 0
        is_end = (chosen[:, None] == self._ends).any(axis=1)
        is_separator = chosen == self._lists.separator
        # END is the separator before the last title and an end token after it, not vice versa.
        closes = np.where(self._last, is_end, is_separator)
        symbols = np.where(closes, self._trie.end, chosen)
        children = self._trie.step(self._nodes, symbols)
        missing = (children < 0) | ((is_end | is_separator) & ~closes)
        escaped = ~self._done & np.where(opening, chosen != self._forced, missing)
        if escaped.any():
            self._raise_if_strict(escaped)
        going = ~self._done & ~escaped & ~opening
        closed = going & closes
        self._strike(closed, children)
        self._listed += closed
        self._opened = np.where(closed, 0, self._opened + opening)
        self._done |= (closed & is_end) | escaped
        self._nodes = np.where(going & ~closes, children, 0)
        self._settle()

    def keep(self, rows: Sequence[int]) -> None:
        """Reduce the state to the given rows, in the given order."""
        index = np.asarray(rows, np.int64)
        self._nodes, self._listed = self._nodes[index], self._listed[index]
        self._done, self._sizes = self._done[index], self._sizes[index]
        self._opened = self._opened[index]
        self._sums = None if self._sums is None else self._sums[index]
        self._settle()

    def _places(self, width: int) -> NDArray[np.int64]:
        """Flat index (row * width + token) of every allowed token in logits [rows, width]."""
        writing, parts = self._writing, []
        if self._sums is None:  # with filters, first tokens differ from row to row
            at_fork = self._nodes[writing] == self._trie.fork
            if at_fork.any():
                forks, writing = writing[at_fork], writing[~at_fork]
                parts.append((forks[:, None] * width + self._lists.fork_tokens).ravel())
        rows, symbols = self._children(writing)
        closing = symbols == self._trie.end
        ends = np.flatnonzero(self._done)
        if closing.any():
            ending = closing & self._last[rows]
            ends = np.concatenate([ends, rows[ending]])
            symbols[closing] = self._lists.separator
            rows, symbols = rows[~ending], symbols[~ending]
        parts.append(rows * width + symbols)
        if len(ends):
            parts.append((ends[:, None] * width + self._ends).ravel())
        opening = np.flatnonzero(self._forced >= 0)
        if len(opening):
            parts.append(opening * width + self._forced[opening])
        return np.concatenate(parts)

    def _children(self, writing: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Two arrays with the row and the symbol of every allowed next symbol in these rows."""
        indptr, keys = self._trie.indptr, self._trie.keys
        nodes = self._nodes[writing]
        begin = indptr[nodes].astype(np.int64)
        counts = indptr[nodes + 1] - begin
        before = np.cumsum(counts) - counts
        edges = np.arange(counts.sum()) + np.repeat(begin - before, counts)
        symbols = keys[edges] - np.repeat(nodes * self._trie.base, counts)
        rows = np.repeat(writing, counts)
        if self._sums is None:
            return rows, symbols
        low, high = (span[edges + 1] for span in self._trie.spans)
        is_open = self._sums[rows, high] > self._sums[rows, low]
        return rows[is_open], symbols[is_open]

    def _strike(self, closed: NDArray[np.bool_], leaves: NDArray[np.int64]) -> None:
        """Remove completed titles from the cumulative sums of their rows."""
        if self._sums is not None:
            for row in np.flatnonzero(closed):
                self._sums[row, self._trie.spans.low[leaves[row]] + 1 :] -= 1

    def _settle(self) -> None:
        """Set the forced token of every row (or -1), its last-title flag and the rows in a title.

        Rows without an allowed title end their text.
        """
        self._last: NDArray[np.bool_] = self._listed + 1 == self._sizes
        if self._sums is not None:
            left = self._sums[:, -1]
            self._done |= (self._nodes == 0) & (left == 0)
            self._last |= left <= 1
        most, width = self._openings.shape
        at = np.minimum(self._listed, most - 1), np.minimum(self._opened, width - 1)
        self._forced: NDArray[np.int64] = np.where(self._done, -1, self._openings[at])
        self._writing = np.flatnonzero((self._forced < 0) & ~self._done)

    def _raise_if_strict(self, escaped: NDArray[np.bool_]) -> None:
        if self._strict:
            n = int(escaped.sum())
            self._lists.escapes += n
            raise TargetError("escape", detail=f"{n} tokens lead out of the catalog trie")


def _table(openings: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Matrix with one opening per row, padded with at least one -1."""
    width = max(map(len, openings), default=0) + 1
    rows = [[*opening, *[-1] * (width - len(opening))] for opening in openings] or [[-1]]
    return np.array(rows, np.int64)
