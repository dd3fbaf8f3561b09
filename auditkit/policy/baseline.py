"""Baseline rules: non-inferiority of a candidate to the current release, within a margin.

Units of both runs are paired by id, and the difference gets confidence bounds (see
`auditkit.stats.paired`). Runs with different requests are not compared; that is a usage error, not
a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.errors import ConfigurationError
from auditkit.registry import metrics
from auditkit.seeding import generator
from auditkit.stats.paired import PairedComparison, paired_binary, paired_bootstrap
from auditkit.types import AuditResult, Finding

__all__ = ["MIN_PAIRS", "check_comparable", "compare"]

MIN_PAIRS = 30
_MIN_PAIRED_SHARE = 0.9


def check_comparable(
    result: AuditResult, baseline: AuditResult, pairs: Sequence[tuple[Finding, Finding]]
) -> None:
    """Require a baseline that was measured under the same conditions.

    Args:
        result, baseline: the two runs.
        pairs: (candidate, baseline) findings that the rules compare.

    Raises:
        ConfigurationError: the conditions differ; the message lists every difference.
    """
    stated = [
        ("catalog sha256", result.catalog.get("sha256"), baseline.catalog.get("sha256")),
        ("seed", result.seed, baseline.seed),
        (
            "schema major version",
            result.schema_version.split(".")[0],
            baseline.schema_version.split(".")[0],
        ),
    ]
    for ours, theirs in pairs:
        name = f"{ours.metric} [{ours.group}]"
        stated.append((f"parameters of {name}", dict(ours.parameters), dict(theirs.parameters)))
        stated.append((f"version of {name}", ours.metric_version, theirs.metric_version))
    different = [f"  {name}: {a!r} against {b!r}" for name, a, b in stated if a != b]
    if different:
        listed = "\n".join(different)
        raise ConfigurationError(
            "the baseline is not comparable with this run; audit both with the same recipe, "
            f"catalog and seed:\n{listed}"
        )


def compare(
    ours: Finding, theirs: Finding, *, margin: float, confidence: float, run: AuditResult
) -> PairedComparison | tuple[str, str]:
    """Compare two findings unit by unit.

    Returns:
        The comparison, in which a positive difference is worse. If there are not enough pairs,
        (reason, detail) instead: `incomparable` if less than 90% of the candidate's units have a
        pair, `too_few` below 30 pairs.
    """
    candidate = {unit: (x, n) for unit, x, n in ours.units if n > 0}
    reference = {unit: (x, n) for unit, x, n in theirs.units if n > 0}
    shared = [unit for unit in candidate if unit in reference]
    if not candidate or len(shared) < _MIN_PAIRED_SHARE * len(candidate):
        return "incomparable", f"{len(shared)} of {len(candidate)} units occur in both runs"
    if len(shared) < MIN_PAIRS:
        return "too_few", f"{len(shared)} pairs, {MIN_PAIRS} are needed"
    left, right = [candidate[unit] for unit in shared], [reference[unit] for unit in shared]
    if metrics()[ours.metric].direction == "higher":
        left, right = right, left  # a decrease is worse
    if all(row in ((0, 1), (1, 1)) for row in (*left, *right)):
        return paired_binary(
            [x for x, _ in left], [x for x, _ in right], margin=margin, confidence=confidence
        )
    rng = generator(run.seed, run.run_key, ours.metric, ours.group, "baseline")
    return paired_bootstrap(left, right, margin=margin, confidence=confidence, rng=rng)
