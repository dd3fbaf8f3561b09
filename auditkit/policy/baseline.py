"""Baseline rules: non-inferiority of a candidate to the current release, within a margin.

Units of both runs are paired by id, and the difference gets confidence bounds (see
`auditkit.stats.paired`). Runs of another version, recipe, data or catalog are not compared; that is
a usage error, not a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from auditkit.errors import ConfigurationError
from auditkit.seeding import generator
from auditkit.stats.paired import PairedComparison, paired_binary, paired_bootstrap
from auditkit.types import AuditResult, Finding

__all__ = [
    "MIN_PAIRS", "Difference", "check_comparable", "compare", "differences", "incomparable",
]  # fmt: skip

MIN_PAIRS = 30
_MIN_PAIRED_SHARE = 0.9


class Difference(NamedTuple):
    """A condition of the measurement, with its value in each of two runs."""

    name: str
    run: object
    baseline: object


def incomparable(
    result: AuditResult, baseline: AuditResult, pairs: Sequence[tuple[Finding, Finding]]
) -> list[str]:
    """List the conditions of the measurement that differ between two runs.

    Args:
        result, baseline: the two runs.
        pairs: (candidate, baseline) findings that the rules compare.

    Returns:
        One line per difference; empty if the runs are comparable.
    """
    return [
        f"{c.name}: {c.run!r} against {c.baseline!r}" for c in differences(result, baseline, pairs)
    ]


def differences(
    result: AuditResult, baseline: AuditResult, pairs: Sequence[tuple[Finding, Finding]]
) -> list[Difference]:
    """Return the conditions that differ between two runs, with both values; the arguments are those
    of `incomparable`.
    """
    stated: list[tuple[str, object, object]] = [
        ("version of auditkit", _release(result), _release(baseline)),
        (
            "schema major version",
            result.schema_version.split(".")[0],
            baseline.schema_version.split(".")[0],
        ),
        ("catalog sha256", result.catalog.get("sha256"), baseline.catalog.get("sha256")),
        ("data sha256", result.catalog.get("data_sha256"), baseline.catalog.get("data_sha256")),
        ("data of the recipe", result.recipe.get("data"), baseline.recipe.get("data")),
        ("seed", result.seed, baseline.seed),
    ]
    for probe in dict.fromkeys(ours.probe for ours, _ in pairs):
        name = f"recipe of {probe}"
        stated.append((name, _stated(result.recipe, probe), _stated(baseline.recipe, probe)))
    for ours, theirs in pairs:
        name = f"{ours.metric} [{ours.group}]"
        # Parameters of a finding are not compared: those that are set come from the recipe, and
        # the others were measured, such as the number of claims or the noise of a similarity.
        stated.append((f"version of {name}", ours.metric_version, theirs.metric_version))
    return [Difference(name, a, b) for name, a, b in stated if a != b]


def check_comparable(found: Sequence[str]) -> None:
    """Require that the baseline was measured under the same conditions.

    Args:
        found: differences, from `incomparable`.

    Raises:
        ConfigurationError: the conditions differ; the message lists every difference.
    """
    if found:
        listed = "\n".join(f"  {difference}" for difference in found)
        raise ConfigurationError(
            "the baseline is not comparable with this run; audit both recommenders with the same "
            "recipe, data, catalog, seed and version of auditkit, or show the difference with "
            f"--allow-incomparable, with which the verdict is never pass:\n{listed}"
        )


def _release(result: AuditResult) -> str | None:
    """Major and minor version, which change if a metric is computed differently."""
    stated = result.environment.get("auditkit")
    return None if stated is None else ".".join(stated.split(".")[:2])


def _stated(recipe: Mapping[str, JsonValue], probe: str) -> JsonValue:
    """Parameters of a probe in a recipe."""
    probes = recipe.get("probes")
    return probes.get(probe) if isinstance(probes, dict) else probes


def compare(
    ours: Finding,
    theirs: Finding,
    *,
    margin: float,
    confidence: float,
    run: AuditResult,
    draws: int = 10_000,
) -> PairedComparison | tuple[str, str]:
    """Compare two findings unit by unit.

    Args:
        ours, theirs: finding of the candidate and of the baseline.
        margin: largest acceptable difference, in the unit of the metric.
        confidence: one-sided level of each bound.
        run: the candidate's run, whose key and seed determine the resamples.
        draws: number of bootstrap resamples.

    Returns:
        The comparison, in which a positive difference is worse. If there are not enough pairs,
        (reason, detail) instead: `incomparable` if less than 90% of the candidate's units are in
        both runs, `too_few` below 30 pairs.
    """
    candidate = {unit: (x, n) for unit, x, n in ours.units if n > 0}
    reference = {unit: (x, n) for unit, x, n in theirs.units if n > 0}
    shared = [unit for unit in candidate if unit in reference]
    if not candidate or len(shared) < _MIN_PAIRED_SHARE * len(candidate):
        return "incomparable", f"{len(shared)} of {len(candidate)} units occur in both runs"
    if len(shared) < MIN_PAIRS:
        return "too_few", f"{len(shared)} pairs, but {MIN_PAIRS} are needed"
    left, right = [candidate[unit] for unit in shared], [reference[unit] for unit in shared]
    if ours.estimate.direction == "higher":
        left, right = right, left  # a decrease is worse
    if all(row in ((0, 1), (1, 1)) for row in (*left, *right)):
        return paired_binary(
            [x for x, _ in left], [x for x, _ in right], margin=margin, confidence=confidence
        )
    rng = generator(run.seed, run.run_key, ours.metric, ours.group, "baseline")
    return paired_bootstrap(left, right, margin=margin, confidence=confidence, rng=rng, draws=draws)
