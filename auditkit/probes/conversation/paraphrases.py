"""Consistency of a conversation under a paraphrase, compared with that under a repetition.

The same conversation is held three times up to its third turn: the original, a repetition, and a
version with every turn paraphrased. Two samples of an assistant differ anyway, so the shift is the
overlap with the repetition minus the overlap with the paraphrase, which is the effect of
paraphrasing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from auditkit.conversations.dialogue import Dialogue, item_key
from auditkit.metrics.list_similarity import jaccard_at_k
from auditkit.probes.base import Context, finding, unit_of
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Evidence, Finding

__all__ = ["Triple", "paraphrase_shift"]

_SHOWN = 5


class Triple(NamedTuple):
    """Three conversations of one user: the original, its repetition, and its paraphrase."""

    original: Dialogue
    repeated: Dialogue
    paraphrased: Dialogue


def paraphrase_shift(
    context: Context, triples: Sequence[Triple], *, notes: Sequence[str] = ()
) -> Finding:
    """Average the paraphrase shift over users: overlap with repetition minus that with paraphrase.

    An overlap is the Jaccard similarity of all items that are listed in the common turns.
    """
    name = f"{context.probe_id}.paraphrase_shift"
    unit, direction = unit_of(name)
    scored: list[tuple[Triple, float, float]] = []
    for one in triples:
        pairs = [_overlap(one.original, other) for other in one[1:]]
        if pairs[0] is not None and pairs[1] is not None:
            scored.append((one, pairs[0], pairs[1]))
    # Bounds that hold for any distribution: the percentile bootstrap called a clean assistant with
    # 30 users swayed in 9 of 200 simulations (`tests/bench/conversations.py`), not in 5.
    measured = bootstrap_mean(
        [same - again for _, same, again in scored], rng=context.rng(name), unit=unit,
        direction=direction, n_missing=len(triples) - len(scored), limits=(-1, 1),
        reason="no user has lists in all turns of the conversations that are compared",
    )  # fmt: skip
    # Without a shift on average, a single small overlap is a chance difference of two samples.
    shifted = (measured.estimate.low or 0) > 0
    worst = sorted(scored, key=lambda row: row[2] - row[1])
    shown = [row for row in worst if shifted and row[1] > row[2]]
    evidence = [
        Evidence(
            requests=(one.original.held[0].requests[-1], one.paraphrased.held[0].requests[-1]),
            what=f"the overlap is {again:.2f} with the paraphrased conversation and {same:.2f} "
            "with the repeated conversation",
        )
        for one, same, again in shown[:_SHOWN]
    ]
    return finding(
        context, name, measured, evidence=evidence, n_cases=len(shown), notes=notes,
        units=[(one.original.unit, same - again, 1.0) for one, same, again in scored],
    )  # fmt: skip


def _overlap(left: Dialogue, right: Dialogue) -> float | None:
    """Return the Jaccard overlap of all items in the turns that both conversations have.

    None if a turn was not answered with a list.
    """
    n = min(len(left.scenario.turns), len(right.scenario.turns))
    keys = []
    for one in (left, right):
        held = one.held[:n]
        if len(held) < n or any(h.response is None or (h.turn.k and not h.items) for h in held):
            return None
        keys.append([item_key(item) for h in held for item in h.items])
    return jaccard_at_k(keys[0], keys[1], k=max(map(len, keys)))
