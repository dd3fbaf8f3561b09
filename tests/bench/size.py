"""Time and memory of an audit of a large shop: `python tests/bench/size.py --items 100000`.

A seeded shop is written as Parquet tables, with a long tail of items and of active users, and
top-N lists as a `scores:` file. Each step runs in its own process, which prints its seconds, CPU
seconds and peak memory. The largest shop (1,000,000 items and users, 50,000,000 events) needs 4 GB
of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np

PROBES = ("utility.ranking", "fairness.exposure", "hallucination.catalog")
DESCRIPTION = """version: 1
name: shop
interactions: {file: events.parquet, user: user, item: item, timestamp: at, rating: stars}
items: {file: items.parquet, id: id, title: title, genres: genres, year: year}
users: {file: users.parquet, id: id, attributes: [gender, region]}
"""
MEASURED = """
import json, resource, sys, time
from auditkit.cli import main
begin = time.time()
try:
    main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code or 0
used = resource.getrusage(resource.RUSAGE_SELF)
print("MEASURED", json.dumps({"exit": code, "seconds": round(time.time() - begin, 1),
      "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
      "peak_gb": round(used.ru_maxrss / 2**20, 2)}))
"""
N_LISTED = 30


def write_shop(folder: Path, *, items: int, users: int, events: int, seed: int) -> None:
    """Write items, users, events, their description, and top-N lists of every user."""
    folder.mkdir(parents=True, exist_ok=True)
    # Popularity falls as a power of the rank; activity is log-normal.
    with duckdb.connect() as connection:
        connection.execute(f"SELECT setseed({seed / 1e6}); SET threads=1; SET memory_limit='2GB'")
        connection.execute(f"""COPY (SELECT 'i' || i AS id,
            'Thing ' || chr(65 + (i % 26)::INT) || md5(i::VARCHAR)[1:6] || ' ' || i AS title,
            'kind ' || (i % 40) || '|' || 'color ' || (i % 7) AS genres, 1950 + i % 75 AS year
            FROM range({items}) t(i)) TO '{folder}/items.parquet' (FORMAT parquet)""")
        connection.execute(f"""COPY (SELECT 'u' || i AS id,
            ['female', 'male', NULL][1 + i % 3] AS gender, 'region ' || (i % 12) AS region
            FROM range({users}) t(i)) TO '{folder}/users.parquet' (FORMAT parquet)""")
        connection.execute(f"""COPY (
            WITH drawn AS (SELECT i, sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS z
                           FROM range({users}) t(i)),
            counts AS (SELECT i, greatest(3, round({events / users} * exp(0.9 * z - 0.405)))::INT n
                       FROM drawn)
            SELECT 'u' || i AS user,
                'i' || (({items} * power(random(), 3))::BIGINT % {items}) AS item,
                (TIMESTAMP '2024-01-01' + to_seconds((random() * 3e7)::BIGINT)) AS at,
                (1 + (random() * 4)::INT)::FLOAT AS stars
            FROM counts, range(n)) TO '{folder}/events.parquet' (FORMAT parquet)""")
    rng = np.random.default_rng(seed)
    listed = rng.integers(1, 50, (users, N_LISTED), dtype=np.int32)  # steps, so none is repeated
    listed[:, 0] = items * rng.random(users) ** 3
    listed = np.cumsum(listed, axis=1, dtype=np.int32) % items
    scores = -np.sort(-rng.random((users, N_LISTED), dtype=np.float32), axis=1)
    np.savez(
        folder / "lists.npz",
        items=listed,
        scores=scores,
        user_ids=np.array([f"u{i}" for i in range(users)]),
        item_ids=np.array([f"i{i}" for i in range(items)]),
    )
    (folder / "data.yaml").write_text(DESCRIPTION)
    probes = "".join(f"  {name}: {{}}\n" for name in PROBES)
    (folder / "recipe.yaml").write_text(f"version: 1\nname: size\nseed: 0\nprobes:\n{probes}")


def measured(words: list[str], cache: Path) -> dict[str, object]:
    """Run one command of auditkit in a new process."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        env={**os.environ, "AUDITKIT_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in run.stdout.splitlines() if line.startswith("MEASURED")]
    found = json.loads(said[-1].partition(" ")[2]) if said else {"exit": run.returncode}
    return {**found, "failed": run.stderr[-1000:]} if found["exit"] else found


def main() -> None:
    """Measure the steps of one shop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--users", type=int, help="as many as items by default")
    parser.add_argument("--events", type=int, help="50 for each user by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("size-bench"))
    parser.add_argument("--only", nargs="*", default=["dry-run", "dry-run again", *PROBES])
    asked = parser.parse_args()
    users = asked.users or asked.items
    events = asked.events or 50 * users
    shop = asked.folder / f"{asked.items}-{users}-{events}"
    if not (shop / "recipe.yaml").exists():
        begin = time.time()
        write_shop(shop, items=asked.items, users=users, events=events, seed=asked.seed)
        print(f"written in {time.time() - begin:.0f} s", flush=True)
    command = [
        "audit",
        f"scores:{shop}/lists.npz",
        "--recipe",
        str(shop / "recipe.yaml"),
        "--data",
        f"{shop}/data.yaml",
        "--quiet",
    ]
    for step in asked.only:
        out = shop / "runs" / f"{step.replace(' ', '-')}-{time.time():.0f}"
        more = ["--dry-run"] if step.startswith("dry-run") else ["--only", step, "--out", str(out)]
        print(step, json.dumps(measured([*command, *more], shop / "cache")), flush=True)


if __name__ == "__main__":
    main()
