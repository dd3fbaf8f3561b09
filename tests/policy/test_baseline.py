"""Paired comparison with a baseline run."""

from __future__ import annotations

import dataclasses

import pytest
from policies import OUT, judging, result_of
from run_folder import rate

from auditkit.errors import ConfigurationError
from auditkit.policy.decide import decide
from auditkit.types import Finding


def _with_units(bad: int, n: int = 200) -> Finding:
    units = tuple((f"u{i}", float(i < bad), 1.0) for i in range(n))
    return dataclasses.replace(rate(OUT, bad, n), units=units)


BASELINE_RULE = f"  - {{id: r, metric: {OUT}, baseline: {{non_inferior: 0.02}}, severity: blocker}}"


@pytest.mark.parametrize(("bad", "verdict"), [(10, "pass"), (14, "inconclusive"), (40, "fail")])
def test_a_baseline_rule_judges_the_paired_difference(tmp_path, bad, verdict):
    decision = decide(
        result_of(_with_units(bad)),
        judging(tmp_path, BASELINE_RULE),
        baseline=result_of(_with_units(10)),
    )
    assert decision.rules[0].verdict == verdict


def test_a_baseline_rule_without_a_baseline_is_a_usage_error(tmp_path):
    with pytest.raises(ConfigurationError, match="--baseline"):
        decide(result_of(_with_units(10)), judging(tmp_path, BASELINE_RULE))


def test_a_baseline_of_other_conditions_is_refused_with_every_difference(tmp_path):
    other = result_of(_with_units(10), seed=1, catalog={"sha256": "other"})
    with pytest.raises(ConfigurationError) as error:
        decide(result_of(_with_units(10)), judging(tmp_path, BASELINE_RULE), baseline=other)
    assert "catalog sha256" in str(error.value)
    assert "seed: 20260601 against 1" in str(error.value)


def test_pairs_that_do_not_overlap_are_incomparable(tmp_path):
    rules = judging(tmp_path, BASELINE_RULE)
    for mine, theirs, reason in ((200, 100, "incomparable"), (20, 20, "too_few")):
        decision = decide(
            result_of(_with_units(2, mine)), rules, baseline=result_of(_with_units(2, theirs))
        )
        assert decision.rules[0].reason == reason
        assert decision.exit_code == 11
