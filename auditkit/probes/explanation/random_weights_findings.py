"""Findings on whether explanations depend on the weights of the model.

The mean correlation has a bootstrap interval over users. The excess over the quantile of random
rankings has, instead of an interval, the range over draws of the weights, because the test compares
the mean of every draw with this quantile: a limit of 0 passes if the excess of no draw is above 0,
and fails if the excesses of all draws are. Source: model parameter randomization of Adebayo et al.
2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.attribution.missing import Missing
from auditkit.attribution.randomization import RandomizationTest, randomization_test
from auditkit.probes.base import Context, finding, unit_of
from auditkit.probes.explanation.card_findings import Parameters, Scored
from auditkit.recommenders.execution.target import Target
from auditkit.stats.bootstrap import bootstrap_mean, undefined
from auditkit.types import Band, Estimate, Finding

__all__ = ["findings_of_test", "random_weights_findings"]

CORRELATION, EXCESS = "explain.randomization", "explain.randomization_excess"


def random_weights_findings(
    target: Target, context: Context, scored: Sequence[Scored], parameters: Parameters
) -> list[Finding]:
    """Explain the users' items again with random weights, and create both findings of the test."""
    able = [one for _, one in scored if not isinstance(one, Missing)]
    cases = [(one.game, one.plan, one.attribution.values) for one in able]
    tested = randomization_test(target.recommender, cases, rng=context.rng(CORRELATION))
    return findings_of_test(context, tested, len(scored), parameters)


def findings_of_test(
    context: Context, tested: RandomizationTest | Missing, n_users: int, parameters: Parameters
) -> list[Finding]:
    """Create findings on the mean correlation, and on its excess over random rankings.

    Args:
        tested: the test, or the reason why there is none.
        n_users: number of users in the test.
    """
    if isinstance(tested, Missing):
        return [
            finding(
                context,
                metric,
                undefined(*unit_of(metric), reason=tested.reason, n_missing=n_users),
                parameters=parameters,
            )
            for metric in (CORRELATION, EXCESS)
        ]
    return [
        _correlation(context, tested, n_users, parameters),
        _excess(context, tested, n_users, parameters),
    ]


def _correlation(
    context: Context, tested: RandomizationTest, n_users: int, parameters: Parameters
) -> Finding:
    unit, direction = unit_of(CORRELATION)
    means = tested.correlations.mean(axis=0)
    measured = bootstrap_mean(
        means, rng=context.rng(CORRELATION, "bootstrap"), unit=unit, direction=direction,
        limits=(0.0, 1.0), n_missing=n_users - len(means),
    )  # fmt: skip
    by_draw = ", ".join(f"{mean:.2f}" for mean in tested.correlations.mean(axis=1))
    null = Estimate(
        value=tested.quantile, low=None, high=None, n=len(means), unit=unit, direction=direction
    )
    return finding(
        context, CORRELATION, measured, parameters=parameters, baseline=null,
        notes=[
            f"test with random weights: {tested.verdict}; mean correlations of "
            f"{len(tested.correlations)} draws of the weights: {by_draw}; 95 % quantile of random "
            f"rankings: {tested.quantile:.2f} for one user, {tested.chance:.2f} for the mean"
        ],
    )  # fmt: skip


def _excess(
    context: Context, tested: RandomizationTest, n_users: int, parameters: Parameters
) -> Finding:
    unit, direction = unit_of(EXCESS)
    by_draw = tested.correlations.mean(axis=1) - tested.quantile
    n = len(tested.prompts)
    estimate = Estimate(
        value=float(by_draw.mean()), low=float(by_draw.min()), high=float(by_draw.max()), n=n,
        unit=unit, direction=direction, n_missing=n_users - n,
    )  # fmt: skip
    return finding(
        context, EXCESS, (estimate, Band()), parameters=parameters,
        notes=[
            f"the ends are the smallest and the largest of {len(by_draw)} draws of the weights, "
            "not an interval over users"
        ],
    )  # fmt: skip
