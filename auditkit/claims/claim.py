"""A claim about an item with its verdict, and the claims of one text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from auditkit.catalog.graph.knowledge_graph import Verdict
from auditkit.catalog.graph.typed_values import range_text

__all__ = ["Claim", "Reading", "Strength"]

Strength = Literal["stated", "implied"]


@dataclass(frozen=True)
class Claim:
    """One stated fact about an item, with the graph's verdict.

    Attributes:
        value: the label in the graph; `=1995`, `<1970`, `>1989<2000` for years; an item id for
            `same:...` and `sequel_of`; the words of the text if the graph does not know the value.
        span: character offsets of the words in the text; the end is exclusive.
        evidence: the triples that the verdict is based on; for a contradiction, the item's actual
            values.
        strength: `stated` if a cue phrase names the predicate ("directed by"), `implied` if only
            the type and place of the value suggest the predicate.
    """

    item_id: str
    relation: str
    value: str
    negated: bool
    verdict: Verdict
    span: tuple[int, int]
    evidence: tuple[tuple[str, str, str], ...] = ()
    strength: Strength = "implied"

    @property
    def stated(self) -> tuple[str, str, str, bool]:
        """(item id, relation, value, negated), the key of a claim within one text."""
        return self.item_id, self.relation, self.value, self.negated

    @property
    def value_text(self) -> str:
        """The value in words: `1995` for `=1995`, `above 1989 and below 2000` for a range."""
        return range_text(self.value)


@dataclass(frozen=True)
class Reading:
    """The claims that were read from one text.

    Attributes:
        claims: unique per (item, relation, value, negated).
        unparsed: factual clauses without a claim.
        n_factual: number of factual clauses.
    """

    claims: tuple[Claim, ...]
    unparsed: tuple[str, ...]
    n_factual: int

    @property
    def coverage(self) -> float | None:
        """Fraction of factual clauses with at least one claim; None without a factual clause."""
        return 1 - len(self.unparsed) / self.n_factual if self.n_factual else None
