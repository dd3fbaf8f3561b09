"""Limits that no sample can show, and how many units each limit needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import OUT, SNSR, judging, result_of
from run_folder import rate

from auditkit.policy.decide import decide, lint, needed_n
from auditkit.policy.schema import Policy


@pytest.mark.parametrize(
    "path", sorted(Path("recipes/policy").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_shipped_policy_has_no_doubtful_line(path):
    assert lint(Policy.read(path)) == []


def test_lint_names_limits_that_no_sample_can_show(tmp_path):
    rules = (
        f"  - {{id: a, metric: {OUT}, max: 0}}\n  - {{id: b, metric: {SNSR}, max: 0.05}}\n"
        "  - {id: c, metric: utility.ranking.ndcg@10, max: 0.5}"
    )
    policy = judging(
        tmp_path, rules, "waivers: [{rule: q, max: 1, reason: x, owner: y, expires: 2030-01-01}]"
    )
    assert [(doubt.rule, doubt.line) for doubt in lint(policy)] == [
        ("a", 4),
        ("b", 5),
        ("c", 6),
        ("q", 1),
    ]
    assert "n >= 299" in lint(policy)[0].message


@pytest.mark.parametrize(("limit", "n"), [(0.01, 299), (0.02, 149), (0.05, 59), (0.10, 29)])
def test_the_needed_n_certifies_the_limit_without_a_violation(tmp_path, limit, n):
    policy = judging(tmp_path, f"  - {{id: r, metric: {OUT}, max: {limit}, min_n: 1}}")
    assert needed_n(policy)[0].n == n
    assert decide(result_of(rate(OUT, 0, n)), policy).exit_code == 0
    assert decide(result_of(rate(OUT, 0, n - 1)), policy).rules[0].verdict == "inconclusive"
