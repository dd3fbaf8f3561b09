"""Rules for the verdicts on claims and constraints (docs/explain/hallucination.md, Claims)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from auditkit.catalog.graph.schema import Verdict, World

__all__ = ["Judgment", "decide", "every", "negation_of", "some"]


class Judgment(NamedTuple):
    """A verdict with its evidence, which is the supporting triples or the item's actual values."""

    verdict: Verdict
    evidence: tuple[tuple[str, str, str], ...] = ()


def decide(world: World, *, stated: bool, others: bool) -> Verdict:
    """Verdict on the claim that an item has a value.

    Args:
        world: world assumption of the predicate.
        stated: whether the item has the claimed value.
        others: whether the item has values, and all of them can be compared with the claimed value.
            A value without a name cannot be compared, because it may be the claimed value.
    """
    if stated:
        return "supported"
    return "contradicted" if others and world != "open" else "unverifiable"


def negation_of(verdict: Verdict) -> Verdict:
    """Verdict on the negated claim."""
    swapped: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported"}
    return swapped.get(verdict, verdict)


def some(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine the verdicts for all items that a title may mean: `supported` if any is supported,
    `contradicted` if all are contradicted, else `unverifiable`.
    """
    found = set(verdicts)
    if "supported" in found:
        return "supported"
    return "contradicted" if found == {"contradicted"} else "unverifiable"


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine the verdicts on constraints that must all hold; `supported` if there are none."""
    found = set(verdicts)
    if "contradicted" in found:
        return "contradicted"
    return "unverifiable" if "unverifiable" in found else "supported"
