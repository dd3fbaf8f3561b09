"""The knowledge graph at 8 M triples about 1 M items: SQLite, its array view, duckdb, in one run.

    python tests/bench/graph.py [--items 1000000]

Every store is written and read in a fresh process, one core, seeds fixed. Load is from facts in
Python to a finished file; memory is the resident size (VmHWM for the peak of the load, VmRSS with
the store open). Limits are those of the design: load 60 s; SQLite alone 200 MB and 250 MB on disk;
20,000 single checks/s; 10,000 paths/s; a constraint query 600 ms; with duckdb 500,000 checks/s.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"


def resident(field="VmRSS"):
    """Resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")


def write(path, n_items, store):
    """Eight facts per item: year, decade, two genres, director, three actors."""
    import numpy as np

    from auditkit.catalog.graph.schema import Predicate
    from auditkit.catalog.storage.draft import CatalogDraft
    from auditkit.catalog.storage.sqlite_writer import write_sqlite

    rng = np.random.default_rng(0)
    begin = time.perf_counter()
    draft = CatalogDraft()
    director = draft.graph.predicate(Predicate("director", "closed", type="entity"))
    actor = draft.graph.predicate(Predicate("actor", type="entity"))
    genres = [f"Genre {i}" for i in range(20)]
    for start in range(0, n_items, 10_000):
        n = min(10_000, n_items - start)
        years = rng.integers(1920, 2025, n).tolist()
        kinds = rng.integers(0, 20, (n, 2)).tolist()
        directors = (rng.zipf(1.3, n) % (n_items // 10)).tolist()
        actors = rng.integers(0, n_items // 4, (n, 3)).tolist()
        for i in range(n):
            chosen = [genres[kinds[i][0]], genres[(kinds[i][0] + 1 + kinds[i][1] % 19) % 20]]
            row = draft.add_item(f"item-{start + i}", f"Title {start + i}", years[i], chosen)
            draft.graph.add(row, director, f"Director {directors[i]}")
            for number in actors[i]:
                draft.graph.add(row, actor, f"Actor {number}")
    encoded = draft.graph.encode(len(draft))
    if store == "duckdb":
        from auditkit.catalog.storage.duckdb_writer import write_duckdb

        write_duckdb(path, draft, encoded)
    else:
        write_sqlite(path, draft, encoded)
    seconds = time.perf_counter() - begin
    print(
        f"{store:8} load {seconds:6.1f} s, {len(encoded.keys) / 1e6:.2f} M triples, "
        f"{path.stat().st_size / 1e6:.0f} MB on disk, peak {resident('VmHWM'):.0f} MB",
        flush=True,
    )


def rate(call, n, *, seconds=2.0):
    """Calls (or rows) per second."""
    call()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        call()
        done += n
    return done / (time.perf_counter() - begin)


def read(path, name):
    """Print what one open store does per second."""
    import numpy as np

    from auditkit.catalog.graph.knowledge_graph import Constraint, KnowledgeGraph
    from auditkit.catalog.storage.reader import open_graph

    bare = resident()
    begin = time.perf_counter()
    graph = open_graph(path)
    if name == "view":
        view = graph.store.view
        view.select([])
        graph = KnowledgeGraph(view, graph.terms, graph.predicates)
    opened = time.perf_counter() - begin
    if name == "duckdb":
        graph.store._file.rows("SET threads = 1")
    store, n_items = graph.store, graph.terms.starts[1]
    rng = np.random.default_rng(1)
    n = 1_000_000
    subjects, p = rng.integers(0, n_items, n), graph.predicate("director")
    codes = rng.integers(graph.terms.starts[1], graph.terms.starts[2], n)
    half = store.objects(subjects[: n // 2], p) if name != "sqlite" else None
    if half is not None:
        codes[: len(half.values)] = half.values[: n // 2]  # half of the checks are true
    order = rng.permutation(n)
    subjects, codes = subjects[order], codes[order]
    few = list(zip(subjects[:20_000].tolist(), codes[:20_000].tolist(), strict=True))
    at = cycle(few)

    def single():
        s, o = next(at)
        store.check(s, p, o)

    def shared():
        a, b = next(at)
        store.paths([a], [b % n_items])

    def constraint():
        constraints = [
            Constraint("year", ">=", "1990"),
            Constraint("year", "<", "2000"),
            Constraint("genre", "=", "Genre 3"),
            Constraint("genre", "!=", "Genre 4"),
        ]
        graph.select(constraints)

    begin = time.perf_counter()
    constraint()
    first = time.perf_counter() - begin
    figures = [f"opens in {opened:6.2f} s", f"{rate(single, 1):9,.0f} single checks/s"]
    figures += [
        f"{rate(shared, 1):8,.0f} paths/s",
        f"constraint {1000 * first:.0f} ms, again {1000 / rate(constraint, 1):.0f} ms",
    ]
    memory = resident()
    if name != "sqlite":
        batch = rate(lambda: store.check(subjects, p, codes), n)
        pairs = rate(lambda: store.paths(subjects[:100_000], subjects[-100_000:]), 100_000)
        figures += [f"{batch:9,.0f} batch checks/s", f"{pairs:9,.0f} batch paths/s"]
        figures += [f"peak {resident('VmHWM'):.0f} MB"]
    else:
        names = rate(lambda: graph.verdict(f"item-{next(at)[0]}", "genre", "Genre 3"), 1)
        figures += [f"{names:8,.0f} verdicts by name/s"]
    print(f"{name:8} " + ", ".join(figures) + f", {memory:.0f} MB (bare {bare:.0f})", flush=True)


def main():
    """Write both files, then open each store in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--step", nargs=2, help="internal: what to do, and the folder")
    chosen = parser.parse_args()
    if chosen.step:
        what, folder = chosen.step
        kind, _, name = what.partition("-")
        path = Path(folder) / f"graph.{'duckdb' if name == 'duckdb' else 'akg'}"
        if kind == "write":
            write(path, chosen.items, name)
        else:
            read(path, name)
        return
    with tempfile.TemporaryDirectory() as folder:
        for what in ("write-sqlite", "write-duckdb", "read-sqlite", "read-view", "read-duckdb"):
            command = [
                sys.executable,
                __file__,
                "--items",
                str(chosen.items),
                "--step",
                what,
                folder,
            ]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
