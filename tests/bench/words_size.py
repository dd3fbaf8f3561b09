"""How often does `fairness.words` raise an alarm on texts that differ by chance only, and how often
does it find a planted difference?

An alarm is an adjusted p-value of at most .05 for any measure of any attribute of an audit. Every
seed is another audit of other texts.

    python tests/bench/words_size.py [--seeds N] [--power-seeds N] [--users N]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from planted_words import Explains
from run_probe import run_probe

from auditkit.stats.intervals import clopper_pearson

ALPHA = 0.05
PLANTED = {
    "half of her sentences are cool": ({"lean": 0.5}, "sentiment"),
    "a third of her sentences are left out": ({"cut": 0.33}, "length"),
    "30 points more of her years are false": ({"wrong": 0.3}, "contradicted"),
}


def p_values(recommender, seed, *, users, draws=399):
    """Adjusted p-values of one audit by (attribute, measure)."""
    run = run_probe(
        "fairness.words", recommender, seed=seed, n_probes=users, draws=draws, bootstrap_draws=1
    )
    return {(f.group, f.metric.split(".")[-1][:-4]): f.law.p_adjusted for f in run.findings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--power-seeds", type=int, default=100)
    parser.add_argument("--users", type=int, default=50)
    given = parser.parse_args()
    alarms = sum(
        min(p_values(Explains(seed), seed, users=given.users).values()) <= ALPHA
        for seed in range(given.seeds)
    )
    low, high = clopper_pearson(alarms, given.seeds)
    print(
        f"clean: {alarms} of {given.seeds} audits raise an alarm [{low:.3f}, {high:.3f}]",
        flush=True,
    )
    for name, (planted, measure) in PLANTED.items():
        found = sum(
            p_values(Explains(seed, **planted), seed, users=given.users)["gender", measure] <= ALPHA
            for seed in range(given.power_seeds)
        )
        print(f"{name}: {measure} found in {found} of {given.power_seeds}", flush=True)


if __name__ == "__main__":
    main()
