"""Warning about a model that is better than training without leakage usually explains.

The warning does not depend on a policy.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.reporting.statements.numbers import in_words
from auditkit.types import Finding

__all__ = ["suspicion"]

_EXCESS = "utility.ranking.excess_over_baseline"
_QUALITY = "utility.ranking.ndcg@10"


def suspicion(findings: Sequence[Finding]) -> str:
    """Write the warning about a suspiciously good model, with the known facts on leaked items.

    A model is suspiciously good if the lower end of its excess over the best baseline is above 0.

    Returns:
        The sentences; empty if the excess was not measured or is not shown to be above 0.
    """
    excess = next((f for f in findings if f.metric == _EXCESS), None)
    if excess is None or excess.estimate.low is None or excess.estimate.low <= 0:
        return ""
    best, ratio = excess.parameters.get("best_baseline"), excess.parameters.get("ratio")
    own, other = (_quality(findings, group) for group in ("all", f"baseline={best}"))
    if isinstance(ratio, float):
        compared = f"is {ratio:.1f} times that of the best baseline ({best}, {other})"
    else:
        compared = "cannot be expressed as a multiple, because the best baseline has no hits"
    margin = excess.parameters.get("margin")
    known = ". ".join(note[0].upper() + note[1:] for note in excess.notes)
    return (
        f"Suspiciously good: the model's NDCG@10 of {own} {compared}. More than {margin:g} times "
        "the best baseline is rarely reached unless the training data contain held-out items. "
        f"{known}."
    )


def _quality(findings: Sequence[Finding], group: str) -> str:
    found = next((f for f in findings if (f.metric, f.group) == (_QUALITY, group)), None)
    if found is None or found.estimate.value is None:
        return "unknown size"
    e = found.estimate
    return in_words(found.estimate.value, e.unit, low=e.low, high=e.high)
