"""Verdicts on typed claims: compare a claimed value with the catalog's values of the item.

Words and names are compared by the key of their value, numbers in the base unit of their dimension.
Values that cannot be compared (another dimension, a letter with a number) decide nothing. What
a missing value means is decided by the world of the predicate, as for all claims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditkit.catalog.graph.knowledge_graph import Verdict, World
from auditkit.claims.typed.quantities import Quantity, quantities_in
from auditkit.claims.typed.vocabulary import Known, group_key
from auditkit.domains.pack import Language

__all__ = ["decide", "fits", "key_of"]

_SAME = 0.005  # relative difference of equal quantities in different units
_EXACT = 1e-9


def key_of(known: Known, value: str) -> str:
    """Normalized key of a catalog value; all known spellings of a value have equal keys."""
    key = group_key(value.replace("_", " "))
    return known.groups.get(key, key)


def decide(fitting: Sequence[bool | None], world: World, *, negated: bool) -> Verdict:
    """Return the verdict on a claim. `fitting` states for each value of the item whether it agrees
    with the claimed value; None means that the two cannot be compared.
    """
    if any(fitting):
        return "contradicted" if negated else "supported"
    comparable = [fit for fit in fitting if fit is not None]
    if not comparable or world == "open":
        return "unverifiable"
    return "supported" if negated else "contradicted"


def fits(known: Known, claimed: str, operator: str, held: str, language: Language) -> bool | None:
    """Whether a catalog value agrees with a claimed value; None if they cannot be compared.

    Args:
        claimed: the value of the claim, in the spelling of `Quantity.text` for numbers.
        held: the value as written in the catalog.
    """
    if known.is_label:
        return _same_label(known, claimed, held)
    if known.spec.type == "date":
        return held[:10] == claimed if held[:4].isdecimal() else None
    mine = next(quantities_in(claimed, "en"), None)
    own = next(quantities_in(held, language), None)
    if mine is None or own is None:
        return None if (mine is None) != (own is None) else claimed.casefold() == held.casefold()
    if known.spec.type == "year":
        return _compare(mine.numbers[0], own.numbers[0], operator, _EXACT)
    return _same_quantity(known, mine, own, operator)


def _same_label(known: Known, claimed: str, held: str) -> bool:
    """Whether two words or names mean the same, or one is a more exact form of the other."""
    one, other = key_of(known, claimed), key_of(known, held)
    if one == other or known.spec.type == "entity":
        return one == other
    return set(one.split()) < set(other.split())


def _same_quantity(known: Known, mine: Quantity, own: Quantity, operator: str) -> bool | None:
    if mine.unit is not None and own.unit is None and known.spec.unit is not None:
        default = next(quantities_in(f"1 {known.spec.unit}", "en"))
        own = Quantity(own.numbers, default.unit, own.begin, own.end)
    if mine.unit is not None and own.unit is not None:
        if mine.unit.dimension != own.unit.dimension:
            return None
        tolerance = _EXACT if mine.unit.name == own.unit.name else _SAME
        return _all_fit(mine.amounts, own.amounts, operator, tolerance)
    same = _all_fit(mine.numbers, own.numbers, operator, _EXACT)
    if mine.unit is None and own.unit is None:
        return same
    # The catalog writes no unit. A price is then compared by its number; another number only
    # supports, because it may be in another unit.
    return same if same or known.spec.type == "price" else None


def _all_fit(
    mine: Sequence[float], own: Sequence[float], operator: str, tolerance: float
) -> bool | None:
    """Compare numbers in any order. If the claim states only one of several edges, it can be
    supported but not contradicted.
    """
    if len(mine) > len(own):
        return None
    left = list(own)
    for number in mine:
        match = next((n for n in left if _compare(number, n, operator, tolerance)), None)
        if match is None:
            return False if len(mine) == len(own) or len(mine) > 1 else None
        left.remove(match)
    return True


def _compare(claimed: float, held: float, operator: str, tolerance: float) -> bool:
    close = math.isclose(claimed, held, rel_tol=tolerance)
    if operator == "<":
        return held < claimed and not close
    if operator == ">":
        return held > claimed and not close
    return close or (operator == ">=" and held > claimed)
