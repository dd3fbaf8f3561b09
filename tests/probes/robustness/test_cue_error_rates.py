"""The cue probe finds a planted cue in at least 95 % of audits, and others in at most 5 %.

`python tests/bench/cues.py` prints the figures of docs/explain/threats.md.
"""

from __future__ import annotations

import pytest
from cue_choices import found_cues

N = 400
MOST = N * 0.05 + 3 * (N * 0.05 * 0.95) ** 0.5  # three standard errors above 5 %


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_planted_cue_is_found_in_95_percent_of_the_audits(noise):
    found = [found_cues(n_users=100, bonus=1.0, noise=noise, seed=seed) for seed in range(N)]
    assert sum("bandwagon" in one for one in found) >= 0.95 * N
    assert sum(bool(one - {"bandwagon"}) for one in found) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_choices_that_no_cue_changes_raise_a_finding_in_at_most_5_percent(noise):
    found = [
        found_cues(n_users=100, bonus=0.0, noise=noise, seed=1_000 + seed) for seed in range(N)
    ]
    assert sum(map(bool, found)) <= MOST


def test_choices_without_noise_raise_no_finding_at_all():
    assert not any(found_cues(n_users=50, bonus=0.0, noise=0.0, seed=seed) for seed in range(50))
