"""The GPU checks and the engine's benchmark on a GPU, as one Markdown table.

    python tests/bench/gpu.py [--device cuda] [--out gpu.md] [--seconds 300]

Exit code 1 if a check failed, 2 without the device. `--device cpu` runs the same code on the CPU.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import torch
import transformers

ROOT = Path(__file__).parents[2]
PARTS = ("scoring", "generation")


def named(device):
    """Device, torch and transformers in words."""
    model = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return f"{model}, torch {torch.__version__}, transformers {transformers.__version__}"


def checks(environment, seconds):
    """(check, result, seconds) of every test that is marked gpu."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu",
            "tests/gpu", f"--junitxml={report}",
        ]  # fmt: skip
        run(command, environment, seconds)
        cases = ElementTree.parse(report).getroot().iter("testcase") if report.is_file() else ()
        rows = []
        for case in cases:
            faults = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            result = faults[0] if faults else "passed"
            rows.append((case.get("name"), result, f"{float(case.get('time')):.1f}"))
    return rows or [("all checks", "not finished", f"{seconds:.0f}")]


def benchmarks(device, environment, deadline):
    """(what, figures, seconds) of every line that the engine's benchmark prints."""
    rows = []
    for part in PARTS:
        command = [sys.executable, "tests/bench/engine.py", "--part", part, "--device", device]
        begin = time.monotonic()
        output = run(command, environment, deadline - begin)
        taken = f"{time.monotonic() - begin:.1f}"
        lines = [line for line in output.splitlines() if line.startswith(part)]
        rows += [(*line.split(": ", 1), taken) for line in lines]
        if not lines:
            rows.append((part, "not finished", taken))
    return rows


def run(command, environment, seconds):
    """Standard output of a command, as far as it came within the seconds."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
            timeout=max(1.0, seconds),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode()
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-2000:], file=sys.stderr)
    return done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    parser.add_argument("--seconds", type=float, default=300)
    chosen = parser.parse_args()
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        print("torch sees no GPU. Install a CUDA build of torch, or give --device cpu.")
        sys.exit(2)
    deadline = time.monotonic() + chosen.seconds
    environment = {**os.environ, "AUDITKIT_DEVICE": chosen.device}
    rows = checks(environment, chosen.seconds * 0.6)
    rows += benchmarks(chosen.device, environment, deadline)
    table = [f"{named(chosen.device)}.", "", "| check | result | seconds |", "|---|---|---|"]
    table += [f"| {' | '.join(row)} |" for row in rows]
    chosen.out.write_text("\n".join(table) + "\n", encoding="utf-8")
    print(chosen.out.read_text(encoding="utf-8"))
    print(chosen.out)
    failed = [row for row in rows if row[1] in ("failure", "error", "skipped", "not finished")]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
