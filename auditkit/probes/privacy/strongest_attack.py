"""One finding for several attacks, whose bounds hold for all attacks jointly.

A limit is met only if the upper ends of all attacks are within the limit, which needs no
correction. A limit is broken if the lower end of any attack, at level 1 - 0.05 / t for t attacks,
is beyond the limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.probes.base import Context, finding, unit_of
from auditkit.stats.bounds import one_sided_bounds
from auditkit.stats.resampled_estimate import ResampledEstimate, banded, undefined
from auditkit.types import Finding

__all__ = ["strongest"]

_ALPHA = 0.05


def strongest(
    context: Context, metric: str, attacks: Sequence[str], results: Sequence[ResampledEstimate]
) -> Finding:
    """Create the finding of the group `attack=any`, with the largest value and the largest ends.

    Args:
        context: context of the probe.
        metric: name of the metric.
        attacks: names of the attacks, in the order of `results`.
        results: estimates of the metric for each attack, at least one.
    """
    unit, direction = unit_of(metric)
    known = [
        (name, result)
        for name, result in zip(attacks, results, strict=True)
        if result.estimate.value is not None
    ]
    if not known:
        reason = results[0].estimate.reason or "no attack has a value"
        missing = max(result.estimate.n_missing for result in results)
        none = undefined(unit, direction, reason=reason, n_missing=missing)
        return finding(context, metric, none, group="attack=any")
    level = 1 - _ALPHA / len(known)
    lows = [one_sided_bounds(law, estimate, level).lower for _, (estimate, law) in known]
    highs = [estimate.high for _, (estimate, _) in known if estimate.high is not None]
    name, best = max(known, key=lambda pair: pair[1].estimate.value or 0.0)
    value = best.estimate.value or 0.0
    measured = banded(
        value,
        (min(value, max(lows)), max(value, *highs)),
        unit=unit,
        direction=direction,
        n=min(result.estimate.n for _, result in known),
        n_missing=max(result.estimate.n_missing for _, result in known),
    )
    left_out = [name for name in attacks if name not in dict(known)]
    return finding(
        context,
        metric,
        measured,
        group="attack=any",
        parameters={"attacks": [name for name, _ in known], "strongest": name},
        notes=[
            f"strongest of {len(known)} attacks; lower ends are corrected for the number of "
            "attacks",
            *([f"attacks without a value: {', '.join(left_out)}"] if left_out else []),
        ],
    )
