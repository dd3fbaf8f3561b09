"""What does a successful attack cost? Our searches against TextAttack's recipes on one model.

All attack the same users of MovieLens-100k with the same limits: words, edit distance, protected
spans, stopwords, budget. Queries are counted alike, with failed attacks and confirmations. Once
with all operators of the default threat model, and once with swaps, deletions, insertions and
keyboard neighbors only, which are those of DeepWordBug.

Run: python tests/bench/attacks.py MODEL_FOLDER [USERS] [BUDGET]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.evidence.run_log import RunLog
from auditkit.perturb.attack import attack
from auditkit.perturb.attack_records import AttackRecord
from auditkit.perturb.goals import Goal
from auditkit.perturb.threat_model import OPERATORS, ThreatModel
from auditkit.probes.base import Context, load_users, neutral_request
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import load_recommender
from auditkit.stats.intervals import wilson

LETTERS = ("typing", "keyboard")
RUNS = (
    ("deepwordbug", OPERATORS),
    ("textbugger", OPERATORS),
    ("random_stop", LETTERS),
    ("greedy", LETTERS),
    ("local", LETTERS),
    ("random_stop", OPERATORS),
    ("greedy", OPERATORS),
    ("local", OPERATORS),
)
DRAWS = 2000


def price(queries: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Queries per valid success, by row; NaN without a success."""
    successes = valid.sum(axis=-1)
    return np.where(successes > 0, queries.sum(axis=-1) / np.maximum(successes, 1), np.nan)


def of(records: list[AttackRecord]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([record.queries for record in records]),
        np.array([record.status == "success" for record in records]),
    )


def ratio(ours: list[AttackRecord], theirs: list[AttackRecord]) -> str:
    """Price ratio, theirs to ours, with a percentile interval over paired resamples of users."""
    (q, v), (q2, v2) = of(ours), of(theirs)
    rows = np.random.default_rng(0).integers(0, len(q), size=(DRAWS, len(q)))
    drawn = price(q2[rows], v2[rows]) / price(q[rows], v[rows])
    known = drawn[np.isfinite(drawn)]
    if not v.any() or not v2.any():
        return "no success to compare"
    low, high = np.quantile(known, [0.025, 0.975])
    value = float(price(q2, v2) / price(q, v))
    return f"{value:.1f} [{low:.1f}, {high:.1f}], {DRAWS - len(known)} resamples without a success"


def main(folder: str, n_users: int = 200, budget: int = 40) -> None:
    torch.set_num_threads(1)
    data = load_ml100k(get_dataset("ml-100k"))
    loaded = load_recommender(folder, dataset=data)
    users = Context(data, 0, "bench", {}, load_users(data)).sample_users(n_users)
    requests = [neutral_request(user, k=10) for user in users]
    found: dict[tuple[str, tuple[str, ...]], list[AttackRecord]] = {}
    print(f"{len(requests)} users, budget {budget}, {folder}")
    for search, operators in RUNS:
        with tempfile.TemporaryDirectory() as log:
            target = Target(
                loaded.recommender, catalog=data.catalog, log=RunLog(Path(log), "0" * 64),
                seed=0, fingerprint=loaded.fingerprint,
            )  # fmt: skip
            if search in ("deepwordbug", "textbugger"):  # the import is not part of the attack
                attack(target, requests[:1], Goal(), ThreatModel(budget=1), search)
            began = time.process_time()
            records = attack(
                target, requests, Goal(), ThreatModel(budget=budget, operators=operators), search
            )
            seconds = time.process_time() - began
        found[search, operators] = records
        q, v = of(records)
        low, high = wilson(int(v.sum()), len(v))
        kind = "own" if "bug" in search else "letters" if operators == LETTERS else "all"
        print(
            f"{search:12} {kind:8} ASR {v.mean():.3f} [{low:.3f}, {high:.3f}]  queries {q.sum():6} "
            f"per valid success {price(q, v):8.1f}  attacks per CPU s {len(q) / seconds:6.1f}  "
            f"queries per CPU s {q.sum() / seconds:6.0f}",
            flush=True,
        )
    for search, operators in RUNS[2:]:
        ours = found[search, operators]
        for stock in ("deepwordbug", "textbugger"):
            kind = "letters" if operators == LETTERS else "all"
            print(f"{search} ({kind}) is cheaper than {stock} by the factor "
                  f"{ratio(ours, found[stock, OPERATORS])}")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
