"""Time and memory of `auditkit audit-data` on many events in Parquet.

    python tests/bench/data_audit.py [--events 10000000]

The command runs in a fresh process with an empty cache, so reading the table for the first time is
part of the time. The limits of the design are 5 minutes and 4 GB for 10 million events.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ITEMS, EVENTS_PER_USER = 100_000, 40


def write(folder: Path, events: int) -> None:
    users = events // EVENTS_PER_USER
    duckdb.sql("SELECT setseed(0.5)")
    duckdb.sql(
        f"COPY (SELECT 'u' || (i % {users}) AS user, CAST(floor({ITEMS} * power(random(), 2)) AS "
        f"INTEGER) AS item, 1600000000 + CAST(random() * 1e8 AS INTEGER) AS timestamp, "
        f"1 + CAST(random() * 4 AS INTEGER) AS stars FROM range({events}) t(i)) "
        f"TO '{folder}/events.parquet'"
    )
    duckdb.sql(
        f"COPY (SELECT i AS id, 'Product ' || i AS title FROM range({ITEMS}) t(i)) "
        f"TO '{folder}/items.parquet'"
    )
    (folder / "data.yaml").write_text(
        "version: 1\nname: many\ninteractions: {file: events.parquet, rating: stars}\n"
        "items: {file: items.parquet}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, events)
        command = [sys.executable, "-m", "auditkit", "audit-data", str(folder / "data.yaml"), "-q"]
        began = time.monotonic()
        subprocess.run(command, check=True, env={**os.environ, "XDG_CACHE_HOME": name})
        wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{events:,} events: {wall:.0f} s wall, {used.ru_utime + used.ru_stime:.0f} CPU s, "
        f"{used.ru_maxrss / 1e6:.2f} GB"
    )


if __name__ == "__main__":
    main()
