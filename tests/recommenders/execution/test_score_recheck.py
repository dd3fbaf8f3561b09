"""Fast scores are checked on a sample, and wrong ones stop the probe."""

from __future__ import annotations

import pytest
from run_probe import target_for

from auditkit.errors import AuditkitError
from auditkit.evidence.run_log import read_log
from auditkit.recommenders.execution.score_recheck import largest_difference
from auditkit.recommenders.protocols import TokenScores
from auditkit.types import Request


class Fast:
    """Scores by length; `error` nats off its own plain computation."""

    name = "fast"

    def __init__(self, error=0.0):
        self.error, self.rechecked = error, 0

    def recommend(self, requests):
        return [None for _ in requests]

    def score(self, prompts, continuations):
        return [
            [TokenScores((-len(text) - self.error,)) for text in options]
            for options in continuations
        ]

    def rescore(self, prompts, continuations):
        self.rechecked += len(prompts)
        return [[TokenScores((-len(text),)) for text in options] for options in continuations]


def asked(n):
    return [Request(user_id=str(i), prompt=f"p{i}") for i in range(n)], [["a", "bc"]] * n


def test_a_sample_is_checked_and_its_difference_stands_in_the_log(tmp_path):
    fast = Fast(error=0.0005)
    target_for(fast, tmp_path).score(*asked(2000))
    assert 10 <= fast.rechecked <= 40
    bodies, _ = read_log(tmp_path, "0" * 64)
    n, worst = largest_difference([body["derived"] for body in bodies])
    assert (n, worst) == (fast.rechecked, pytest.approx(0.0005))


def test_small_runs_are_checked_too_and_large_ones_not_without_end(tmp_path):
    small, large = Fast(), Fast()
    target_for(small, tmp_path / "small").score(*asked(40))
    assert small.rechecked >= 1
    target_for(large, tmp_path / "large", batch_size=500).score(*asked(9000))
    assert large.rechecked == 64


def test_score_beyond_the_bound_stops_the_probe_also_after_a_resume(tmp_path):
    for _ in range(2):
        with pytest.raises(AuditkitError, match="AUDITKIT_EXECUTOR=plain"):
            target_for(Fast(error=0.01), tmp_path).score(*asked(40))


def test_recommender_without_a_plain_computation_is_left_alone(tmp_path):
    only = type("Only", (), {"name": "x", "score": Fast.score, "error": 0.0})()
    responses = target_for(only, tmp_path).score(*asked(40))
    assert largest_difference([response.derived for response in responses]) is None


def test_batches_do_not_decide_what_is_checked(tmp_path):
    found = []
    for size in (7, 64, 400):
        target = target_for(Fast(error=0.0005), tmp_path / str(size), batch_size=size)
        responses = target.score(*asked(400))
        found.append([r.request_id for r in responses if "recheck_nats" in r.derived])
    assert found[0]
    assert found[0] == found[1] == found[2]
