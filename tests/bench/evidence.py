"""Bytes and CPU time of the evidence of a run, against one whole JSON line per record.

The reference is the form of release 0.1: records with their whole requests, uncompressed, and a
reader that serializes every record again to check its hash.

    python tests/bench/evidence.py RUN
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from auditkit.evidence.evidence_file import evidence_path
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import RunLog, read_log
from auditkit.serialization.canonical_json import canonical_json, read_json, sha256_json

ROUNDS = 5


def write_whole(path, bodies, run_key):
    prev, lines = run_key, []
    for seq, body in enumerate(bodies):
        link = {"body": body, "prev": prev, "seq": seq}
        prev = sha256_json(link)
        lines.append(canonical_json({**link, "sha256": prev}) + "\n")
    path.write_text("".join(lines), encoding="ascii")


def read_whole(path, run_key):
    prev, bodies = run_key, []
    with path.open("rb") as stream:
        for seq, line in enumerate(stream):
            record = read_json(line.decode("ascii"))
            prev = sha256_json({"body": record["body"], "prev": prev, "seq": seq})
            assert prev == record["sha256"]
            bodies.append(record["body"])
    return bodies


def append_all(run, bodies, run_key):
    log, at = RunLog(run, run_key, keep_raw=True), 0
    while at < len(bodies):
        size = bodies[at]["batch"][1]
        log.append(bodies[at : at + size])
        at += size
    log.close()


def seconds(call, *arguments):
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def main(run):
    run_key = read_manifest(run)["run_key"]
    bodies, _ = read_log(run, run_key)
    with tempfile.TemporaryDirectory() as folder:
        whole, new = Path(folder) / "whole.jsonl", Path(folder) / "new"
        write_whole(whole, bodies, run_key)
        append_all(new, bodies, run_key)
        assert read_whole(whole, run_key) == bodies == read_log(new, run_key)[0]
        sizes = whole.stat().st_size, evidence_path(new).stat().st_size
        pairs = [
            (seconds(read_whole, whole, run_key), seconds(read_log, new, run_key))
            for _ in range(ROUNDS)
        ]
    before, now = (sorted(times)[ROUNDS // 2] for times in zip(*pairs, strict=True))
    print(f"{len(bodies):,} records")
    print(f"bytes: {sizes[0]:,} whole, {sizes[1]:,} now, 1/{sizes[0] / sizes[1]:.1f}")
    print(f"read and verify, CPU s: {before:.2f} whole, {now:.2f} now, {now / before:.2f}x")
    print(json.dumps({"bytes_ratio": sizes[1] / sizes[0], "read_ratio": now / before}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
