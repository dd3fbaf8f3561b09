"""Write lists of catalog titles and nothing else: the vectorised step of the catalog trie.

A row holds a node of the trie, how many titles it has listed, and, under filters, which leaves it
may still write as a running sum: titles below a node are one span of leaves, so a child is open if
the sum grows over its span. END is written as the separator before the last title and as an end of
text after it, after which only ends of text follow; if nothing is left to list, the text ends.
What numbers or marks the lines of a list stands outside the trie: its tokens are forced.

Source: hallucination recipe, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.engine.trie import TitleTrie
from auditkit.errors import InvalidArgument, TargetError

__all__ = ["TitleLists", "TitleWalk"]


@dataclass
class _Tensors:
    """The trie's arrays on one device, and the tokens behind its fork."""

    indptr: torch.Tensor
    keys: torch.Tensor
    forking: torch.Tensor
    spans: tuple[torch.Tensor, torch.Tensor] | None = None


@dataclass
class TitleLists:
    """The constraint: `sizes[i]` titles in answer to prompt i of a call.

    Attributes:
        separator: token between two titles; it is in no title.
        ends: ids that end a text, those of the model's generation configuration.
        sizes: titles to list in answer to each prompt, at least 1.
        openings: tokens before each title of a list, such as its number; empty for none.
        open_leaves: leaves that may be listed in answer to a prompt, bool [leaves], each at most
            once; without it every title may follow, repeats too.
        escapes: tokens chosen that the trie does not hold; always 0 unless the loop is wrong.
    """

    trie: TitleTrie
    separator: int
    ends: tuple[int, ...]
    sizes: Sequence[int]
    openings: Sequence[Sequence[int]] = ()
    open_leaves: Callable[[int], NDArray[np.bool_]] | None = None
    escapes: int = 0
    _placed: dict[torch.device, _Tensors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ends or self.separator in self.ends or min(self.sizes, default=1) < 1:
            raise InvalidArgument(
                f"title lists got the separator {self.separator}, the ends {self.ends} and sizes "
                f"from {min(self.sizes, default=1)}. Give an end of text that is not the "
                "separator, and at least one title."
            )
        if self.openings and len(self.openings) < max(self.sizes, default=0):
            raise InvalidArgument(
                f"title lists got {len(self.openings)} openings for {max(self.sizes)} titles. Give "
                "one for each."
            )

    def begin(
        self, members: Sequence[int], *, device: torch.device, strict: bool = True
    ) -> TitleWalk:
        """A walk at its beginning; see `Constraint`."""
        sums = None
        if self.open_leaves is not None:
            sums = np.zeros((len(members), self.trie.n_leaves + 1), np.int32)
            for row, member in enumerate(members):
                np.cumsum(self.open_leaves(member), out=sums[row, 1:])
        return TitleWalk(
            self,
            self._on(device, spans=sums is not None),
            torch.tensor([self.sizes[member] for member in members], device=device),
            None if sums is None else torch.from_numpy(sums).to(device),
            strict=strict,
        )

    def _on(self, device: torch.device, *, spans: bool) -> _Tensors:
        """The arrays on a device, moved there once."""
        placed = self._placed.get(device)
        if placed is None:
            first = torch.from_numpy(self.trie.children(max(0, self.trie.fork))[0]).to(device)
            indptr, keys = (
                torch.from_numpy(a).to(device) for a in (self.trie.indptr, self.trie.keys)
            )
            placed = self._placed[device] = _Tensors(indptr, keys, first)
        if spans and placed.spans is None:
            low, high = (torch.from_numpy(a).to(device) for a in self.trie.spans)
            placed.spans = (low, high)
        return placed


class TitleWalk:
    """The rows of one batch in the trie."""

    def __init__(
        self,
        lists: TitleLists,
        arrays: _Tensors,
        sizes: torch.Tensor,
        sums: torch.Tensor | None,
        *,
        strict: bool,
    ) -> None:
        self._lists, self._arrays, self._sizes, self._sums = lists, arrays, sizes, sums
        self._strict = strict
        self._nodes = torch.zeros_like(sizes)
        self._listed = torch.zeros_like(sizes)
        self._done = torch.zeros_like(sizes, dtype=torch.bool)
        self._ends = torch.tensor(lists.ends, device=sizes.device)
        self._openings = _table(lists.openings, device=sizes.device)
        self._opened = torch.zeros_like(sizes)  # tokens of the opening that a row has written
        self._finish_empty()

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] with minus infinity where a token may not follow."""
        masked = torch.full_like(logits, -torch.inf)
        forced = self._forced()
        (opening,) = torch.nonzero(forced >= 0, as_tuple=True)
        at = opening, forced[opening]
        masked[at] = logits[at]
        resting = self._done | (forced >= 0)
        rows, tokens = self._children(resting)
        closing = tokens == self._lists.trie.end
        ending = closing & self._is_last()[rows]
        going = ~ending
        at = rows[going], torch.where(closing, self._lists.separator, tokens)[going]
        masked[at] = logits[at]
        if self._sums is None:
            (forks,) = torch.nonzero(self._at_fork() & ~resting, as_tuple=True)
            at = forks[:, None], self._arrays.forking[None]
            masked[at] = logits[at]
        last = torch.cat([rows[ending], torch.nonzero(self._done)[:, 0]])
        at = last[:, None], self._ends[None]
        masked[at] = logits[at]
        return masked

    def advance(self, tokens: Sequence[int]) -> None:
        """One chosen token per row.

        Raises:
            TargetError: a token that the trie does not hold; it is counted as an escape.
        """
        chosen = torch.tensor(tokens, device=self._nodes.device)
        forced = self._forced()
        opening = forced >= 0
        is_end = (chosen[:, None] == self._ends).any(dim=1)
        closes = torch.where(self._is_last(), is_end, chosen == self._lists.separator)
        symbols = torch.where(closes, self._lists.trie.end, chosen)
        # An end of text before the last title, and a separator behind it, are no END.
        symbols = torch.where((is_end | (chosen == self._lists.separator)) & ~closes, -1, symbols)
        wanted = self._nodes * self._lists.trie.base + symbols
        edges = torch.searchsorted(self._arrays.keys, wanted).clamp(max=len(self._arrays.keys) - 1)
        missing = (self._arrays.keys[edges] != wanted) | (symbols < 0)
        escaped = ~self._done & torch.where(opening, chosen != forced, missing)
        if bool(escaped.any()):
            self._refuse(escaped)
        going = ~self._done & ~escaped & ~opening
        closed = going & closes
        self._strike(closed, edges + 1)
        self._listed += closed
        self._opened = torch.where(closed, 0, self._opened + opening)
        self._done |= (closed & is_end) | escaped
        self._nodes = torch.where(going & ~closes, edges + 1, 0)
        self._finish_empty()

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows go on, in this order."""
        index = torch.tensor(rows, device=self._nodes.device)
        self._nodes, self._listed = self._nodes[index], self._listed[index]
        self._done, self._sizes = self._done[index], self._sizes[index]
        self._opened = self._opened[index]
        self._sums = None if self._sums is None else self._sums[index]

    def _children(self, resting: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Row and symbol of everything that may follow in rows that do not rest; at the fork only
        where filters decide.
        """
        arrays, nodes = self._arrays, self._nodes
        begin, end = arrays.indptr[nodes].long(), arrays.indptr[nodes + 1].long()
        resting = resting if self._sums is not None else resting | self._at_fork()
        counts = torch.where(resting, 0, end - begin)
        rows = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), counts)
        shift = begin - (counts.cumsum(dim=0) - counts)
        edges = torch.arange(len(rows), device=nodes.device) + shift[rows]
        symbols = arrays.keys[edges] - nodes[rows] * self._lists.trie.base
        if self._sums is None or arrays.spans is None:
            return rows, symbols
        low, high = (span[edges + 1].long() for span in arrays.spans)
        is_open = self._sums[rows, high] > self._sums[rows, low]
        return rows[is_open], symbols[is_open]

    def _forced(self) -> torch.Tensor:
        """The next token of the opening that a row is writing, -1 behind it, int64 [rows]."""
        most, width = self._openings.shape
        at = self._listed.clamp(max=most - 1), self._opened.clamp(max=width - 1)
        return torch.where(self._done, -1, self._openings[at])

    def _at_fork(self) -> torch.Tensor:
        """Whether a row has all first tokens before it; there are many, the same for every row."""
        return self._nodes == self._lists.trie.fork

    def _is_last(self) -> torch.Tensor:
        """Whether the title that a row writes is its last, bool [rows]."""
        last = self._listed + 1 == self._sizes
        return last if self._sums is None else last | (self._sums[:, -1] <= 1)

    def _strike(self, closed: torch.Tensor, leaves: torch.Tensor) -> None:
        """Titles just listed leave the running sums of their rows."""
        if self._sums is None or self._arrays.spans is None:
            return
        low, _ = self._arrays.spans
        for row in torch.nonzero(closed)[:, 0].tolist():
            self._sums[row, int(low[leaves[row]]) + 1 :] -= 1

    def _finish_empty(self) -> None:
        """Rows that have nothing to list end their text."""
        if self._sums is not None:
            self._done |= (self._nodes == 0) & (self._sums[:, -1] == 0)

    def _refuse(self, escaped: torch.Tensor) -> None:
        if self._strict:
            n = int(escaped.sum())
            self._lists.escapes += n
            raise TargetError("escape", detail=f"{n} tokens lead out of the catalog trie")


def _table(openings: Sequence[Sequence[int]], *, device: torch.device) -> torch.Tensor:
    """Openings as rows, each ended by -1."""
    width = max(map(len, openings), default=0) + 1
    rows = [[*opening, *[-1] * (width - len(opening))] for opening in openings] or [[-1]]
    return torch.tensor(rows, device=device)
