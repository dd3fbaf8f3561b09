"""In how many pipelines with one faulty stage does `utility.stages` name that stage?

    python tests/bench/stages.py [CASES]

A case draws one of the stages query, retrieval and ranking, and spoils it for a random half to nine
tenths of 80 users. The named stage is the one with the largest `lost_rate`. Prints the share of
cases in which it is the spoiled one.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("support", "planted")]
STAGES = ("query", "retrieval", "ranking")


def named(seed: int) -> tuple[str, str]:
    """The spoiled stage of a case, and the one that loses most."""
    import planted_stages as planted
    from planted_recommenders import chance
    from run_probe import run_probe

    draw = random.Random(seed)
    spoiled, share = draw.choice(STAGES), draw.uniform(0.5, 0.9)
    sound = (planted.Asks(), planted.Searches(), planted.Keeps())
    faulty = (planted.AsksOffTopic(), planted.SearchesBadly(), planted.LeavesOut())
    hit = STAGES.index(spoiled)

    def mixed(good, bad):
        """Answers with `bad` for a share of the users."""

        class Mixed(type(good)):
            def recommend(self, requests):
                return [
                    (bad if chance("spoiled", seed, one.user_id) < share else good).recommend(
                        [one]
                    )[0]
                    for one in requests
                ]

        return Mixed()

    steps = list(sound)
    steps[hit] = mixed(sound[hit], faulty[hit])
    found = run_probe("utility.stages", planted.searching(*steps), seed=seed)
    lost = {s: found.one("utility.stages.lost_rate", f"stage={s}").estimate.value for s in STAGES}
    return spoiled, max(lost, key=lost.__getitem__)


def main(cases: int = 200) -> None:
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(named, range(cases)))
    right = sum(spoiled == said for spoiled, said in found)
    print(f"named right in {right} of {cases} cases; {dict(Counter(found))}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
