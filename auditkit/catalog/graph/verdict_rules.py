"""The rules by which a graph supports or contradicts a claim; the only place where they stand.

Source: hallucination recipe 3.5 and 3.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from auditkit.catalog.graph.schema import Verdict, World

__all__ = ["Judgement", "decide", "every", "negation_of", "some"]


class Judgement(NamedTuple):
    """A verdict and the triples it rests on: those that support, or the item's actual values."""

    verdict: Verdict
    evidence: tuple[tuple[str, str, str], ...] = ()


def decide(world: World, *, stated: bool, others: bool) -> Verdict:
    """Verdict on one value of one item.

    Args:
        world: of the predicate.
        stated: the item has the claimed value.
        others: the item has values, all of them comparable with the claimed one. What has no name
            is not: it may be what the claim means.
    """
    if stated:
        return "supported"
    return "contradicted" if others and world != "open" else "unverifiable"


def negation_of(verdict: Verdict) -> Verdict:
    """Verdict on "it is not so"."""
    swapped: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported"}
    return swapped.get(verdict, verdict)


def some(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdict where several entries may be meant: in doubt for the speaker."""
    found = set(verdicts)
    if "supported" in found:
        return "supported"
    return "contradicted" if found == {"contradicted"} else "unverifiable"


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdict on constraints that must all hold; none at all are met."""
    found = set(verdicts)
    if "contradicted" in found:
        return "contradicted"
    return "unverifiable" if "unverifiable" in found else "supported"
