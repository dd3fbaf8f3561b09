"""In how many seeds is the clean assistant quiet in all metrics of both conversation probes?

    python tests/bench/conversations.py [SEEDS] [USERS] [SEEDS OF EACH PLANTED ASSISTANT]

A metric is not quiet if the lower end of its 95 % interval is above 0. Prints the share of seeds
without any, the metrics that were not quiet, and in how many seeds each planted assistant was
found.
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("support", "planted")]


def flagged_in(name: str, seed: int, n_users: int) -> list[str]:
    """The metrics of one run that are not quiet."""
    import planted_assistants
    from run_probe import run_probe

    from auditkit.registry import metric_spec

    kind = getattr(planted_assistants, name)
    probes = ("conversation.dialogues", "conversation.tools")
    runs = [run_probe(p, kind(seed), seed=seed, n_users=n_users) for p in probes]
    return [
        f"{f.metric} {f.group}"
        for run in runs
        for f in run.findings
        if metric_spec(f.metric).direction == "lower" and (f.estimate.low or 0) > 0
    ]


def main(n_seeds: int = 200, n_users: int = 30, few: int = 10) -> None:
    from test_planted_assistants import SIGNATURES

    with ProcessPoolExecutor(2) as pool:
        clean = list(
            pool.map(flagged_in, ["CleanAssistant"] * n_seeds, range(n_seeds), [n_users] * n_seeds)
        )
        found = {
            kind.__name__: list(
                pool.map(flagged_in, [kind.__name__] * few, range(few), [n_users] * few)
            )
            for kind in SIGNATURES
        }
    quiet = sum(not one for one in clean)
    print(f"clean assistant, {n_users} users: quiet in {quiet} of {n_seeds} seeds")
    print(f"  not quiet: {dict(Counter(name for one in clean for name in one))}")
    for kind, (metric, group) in SIGNATURES.items():
        n = sum(f"{metric} {group}" in one for one in found[kind.__name__])
        print(f"{kind.__name__}: found in {n} of {few} seeds")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
