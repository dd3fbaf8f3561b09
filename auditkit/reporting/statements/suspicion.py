"""The warning that a model is better than training without leakage explains, with or without a
policy that has a rule on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.reporting.statements.numbers import in_words
from auditkit.types import Finding

__all__ = ["suspicion"]

_EXCESS = "utility.ranking.excess_over_baseline"
_QUALITY = "utility.ranking.ndcg@10"


def suspicion(findings: Sequence[Finding]) -> str:
    """Say that the model is suspiciously good, and what is known about leaked held-out items.

    It is if the lower end of the excess over the best baseline is above 0.

    Returns:
        The sentences; empty if the excess was not measured or may be 0.
    """
    excess = next((f for f in findings if f.metric == _EXCESS), None)
    if excess is None or excess.estimate.low is None or excess.estimate.low <= 0:
        return ""
    best, ratio = excess.parameters.get("best_baseline"), excess.parameters.get("ratio")
    own, other = (_quality(findings, group) for group in ("all", f"baseline={best}"))
    if isinstance(ratio, float):
        compared = f"is {ratio:.1f} times that of the best baseline ({best}, {other})"
    else:
        compared = "has no multiple to state, because the best baseline has no hit"
    margin = excess.parameters.get("margin")
    known = ". ".join(note[0].upper() + note[1:] for note in excess.notes)
    return (
        f"Suspiciously good: its NDCG@10 of {own} {compared}. More than {margin:g} times is rarely "
        f"reached unless training data held the held-out items. {known}."
    )


def _quality(findings: Sequence[Finding], group: str) -> str:
    found = next((f for f in findings if (f.metric, f.group) == (_QUALITY, group)), None)
    if found is None or found.estimate.value is None:
        return "unknown size"
    e = found.estimate
    return in_words(found.estimate.value, e.unit, low=e.low, high=e.high)
