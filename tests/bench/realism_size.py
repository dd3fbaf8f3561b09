"""How often does the realism check reject good and bad simulated users?

Good users are fresh sessions of the same process, or a resample of another real log. Every seed is
another pair of logs.

    python tests/bench/realism_size.py [--seeds N] [--sessions N] [--draws N]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from session_worlds import WRONG, real_users, resampled

from auditkit.metrics.realism import check_users
from auditkit.stats.intervals import clopper_pearson

GOOD = {
    "fresh real users": real_users,
    "resample of another real log": lambda rng, n: resampled(rng, real_users(rng, 5 * n), n),
}


def rejections(simulate, *, seeds, n, draws):
    """Number of seeds in which the check rejects."""
    found = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        found += check_users(real_users(rng, n), simulate(rng, n), rng=rng, draws=draws).rejected
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--draws", type=int, default=399)
    given = parser.parse_args()
    for name, simulate in {**GOOD, **WRONG}.items():
        seeds = given.seeds if name in GOOD else given.seeds // 10
        found = rejections(simulate, seeds=seeds, n=given.sessions, draws=given.draws)
        low, high = clopper_pearson(found, seeds)
        print(f"{name}: rejected in {found} of {seeds} seeds [{low:.3f}, {high:.3f}]", flush=True)


if __name__ == "__main__":
    main()
