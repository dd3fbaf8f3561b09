"""Paired comparisons: the worked width, size at the margin, and direction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from auditkit.errors import InvalidArgument
from auditkit.stats.paired import paired_binary, paired_bootstrap, sign_flip_p


def test_no_discordant_pair_still_leaves_a_width():
    result = paired_binary([0] * 400, [0] * 400, margin=0.01, confidence=0.95)
    assert result.delta == 0
    assert result.upper == pytest.approx(0.0041, abs=5e-5)


def test_p_value_and_lower_bound_agree():
    candidate, baseline = [1] * 40 + [0] * 160, [0] * 30 + [1] * 10 + [0] * 160
    result = paired_binary(candidate, baseline, margin=0.0, confidence=0.95)
    at_bound = paired_binary(candidate, baseline, margin=result.lower, confidence=0.95)
    assert result.delta > 0
    assert result.p_fail < 0.05
    assert at_bound.p_fail == pytest.approx(0.05)


def test_the_size_at_the_margin_is_held():
    rng = np.random.default_rng(5)
    margin, failed = 0.05, 0
    for _ in range(2000):
        kind = rng.choice(3, size=200, p=[0.08, 0.03, 0.89])  # only candidate, only baseline, both
        result = paired_binary(
            (kind == 0).astype(float).tolist(), (kind == 1).astype(float).tolist(),
            margin=margin, confidence=0.95,
        )  # fmt: skip
        failed += result.lower > margin
    assert 0.01 <= failed / 2000 <= 0.055


def test_the_bootstrap_agrees_with_the_binary_bounds():
    rng = np.random.default_rng(1)
    candidate = rng.binomial(1, 0.3, 400).astype(float)
    baseline = rng.binomial(1, 0.2, 400).astype(float)
    pairs = [[(value, 1.0) for value in side] for side in (candidate, baseline)]
    exact = paired_binary(candidate.tolist(), baseline.tolist(), margin=0.05, confidence=0.95)
    drawn = paired_bootstrap(*pairs, margin=0.05, confidence=0.95, rng=np.random.default_rng(2))
    assert drawn == pytest.approx(exact, abs=0.02)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(InvalidArgument, match="1 units of the candidate and 2 of the baseline"):
        paired_binary([1], [0, 1], margin=0, confidence=0.95)
    with pytest.raises(InvalidArgument, match="sum to 0"):
        paired_bootstrap(
            [(0, 0)], [(0, 1)], margin=0, confidence=0.95, rng=np.random.default_rng(0)
        )


def test_sign_flips_agree_with_mcnemars_exact_test():
    changes = [1.0] * 14 + [-1.0] * 4 + [0.0] * 30
    exact = binomtest(14, 18).pvalue
    assert sign_flip_p(changes, rng=np.random.default_rng(0), draws=99_999) == pytest.approx(
        exact, abs=0.003
    )
    assert sign_flip_p([-c for c in changes], rng=np.random.default_rng(0)) == sign_flip_p(
        changes, rng=np.random.default_rng(0)
    )


def test_unchanged_units_are_no_evidence():
    assert sign_flip_p([], rng=np.random.default_rng(0)) == 1
    assert sign_flip_p([0.0] * 5, rng=np.random.default_rng(0)) == 1
    one = sign_flip_p([0.5] * 9, rng=np.random.default_rng(0))
    assert one == sign_flip_p([0.5] * 9 + [0.0] * 90, rng=np.random.default_rng(0))


def test_the_size_of_the_sign_flip_test_is_held():
    rng = np.random.default_rng(3)
    p = [
        sign_flip_p(rng.choice([-0.5, 0.0, 0.5], size=40).tolist(), rng=rng, draws=499)
        for _ in range(1_000)
    ]
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.07  # few distinct sums: conservative


def test_a_one_sided_sign_flip_test_finds_only_increases():
    rng = np.random.default_rng(0)
    assert sign_flip_p([1.0] * 10, rng=rng, draws=4_999, alternative="greater") < 0.01
    assert sign_flip_p([-1.0] * 10, rng=rng, draws=4_999, alternative="greater") == 1
    assert sign_flip_p([-1.0] * 10, rng=rng, draws=4_999) < 0.01
