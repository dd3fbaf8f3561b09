"""Batches of prompts for generation, by shared prefix (paired prompts) or by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from auditkit.engine.prefix_tree import Ids

__all__ = ["Batch", "batches"]

_ROWS = 16  # on CPU, copying the cache of more rows costs more than batching them saves
_SHARED = 32


class Batch(NamedTuple):
    """One batch: indices of the prompts in the call, their common prefix and remaining tokens."""

    members: list[int]
    prefix: list[int]
    tails: list[Ids]


def batches(prompts: Sequence[Ids], *, share: bool, equal: bool) -> Iterator[Batch]:
    """Yield batches of at most 16 prompts, with every prompt in exactly one batch.

    Args:
        share: whether to batch prompts that share at least half of their tokens, and at least 32
            tokens, and to compute their common prefix once.
        equal: whether to batch only prompts of equal length, for models whose results change under
            padding.
    """
    alone = list(range(len(prompts)))
    if share:
        clusters = list(_clusters(prompts))
        shared = {i for members in clusters for i in members}
        alone = [i for i in alone if i not in shared]
        for members in clusters:
            # At least one token of a prompt must follow the prefix, because its logits are needed.
            shortest = min(len(prompts[i]) for i in members) - 1
            prefix = list(prompts[members[0]])[: min(_common(prompts, members), shortest)]
            yield Batch(members, prefix, [prompts[i][len(prefix) :] for i in members])
    by_length = sorted(alone, key=lambda i: (len(prompts[i]), i))
    runs = (
        [list(run) for _, run in groupby(by_length, key=lambda i: len(prompts[i]))]
        if equal
        else [by_length]
    )
    for run in runs:
        for begin in range(0, len(run), _ROWS):
            members = run[begin : begin + _ROWS]
            yield Batch(members, [], [prompts[i] for i in members])


def _clusters(prompts: Sequence[Ids]) -> Iterator[list[int]]:
    """Yield groups of prompt indices; a prompt shares at least half its tokens with the first."""
    order = sorted(range(len(prompts)), key=lambda i: list(prompts[i]))
    cluster: list[int] = []
    for i in order:
        if cluster:
            first = prompts[cluster[0]]
            common = _common(prompts, (cluster[0], i))
            enough = max(_SHARED, len(first) // 2, len(prompts[i]) // 2)
            if common < enough or len(cluster) == _ROWS:
                if len(cluster) > 1:
                    yield cluster
                cluster = []
        cluster.append(i)
    if len(cluster) > 1:
        yield cluster


def _common(prompts: Sequence[Ids], members: Sequence[int]) -> int:
    """Number of leading tokens that all members have in common."""
    columns = zip(*(prompts[i] for i in members), strict=False)
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))
