"""Power and family-wise error rate of the cue probe, by simulation.

    python tests/bench/cues.py [--seeds N]

`noise` is the scale of the logistic noise of every request; the items of a pair differ in worth by
a standard normal number. Power: the planted cue is found; any other: another one is found as well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from cue_choices import found_cues


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1_000)
    n = parser.parse_args().seeds
    print("noise  bonus  users  power  any other")
    for noise in (0.0, 1.0):
        for bonus in (0.0, 0.5, 1.0):
            for users in (50, 100, 200):
                found = [
                    found_cues(n_users=users, bonus=bonus, noise=noise, seed=seed)
                    for seed in range(n)
                ]
                power = sum(bonus > 0 and "bandwagon" in one for one in found) / n
                other = sum(bool(one - {"bandwagon"} if bonus else one) for one in found) / n
                print(f"{noise:5}  {bonus:5}  {users:5}  {power:5.3f}  {other:.3f}", flush=True)


if __name__ == "__main__":
    main()
