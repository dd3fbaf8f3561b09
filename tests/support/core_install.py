"""Install a wheel into a bare environment and gate and report a run folder with it (`make dist`).

The core dependencies must be enough for a CI job that judges runs: no torch, and few packages. The
run folder is written by the environment that runs this script.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from run_folder import write_run

# auditkit, its 8 requirements and what they require; a further one is a decision.
MOST_PACKAGES = 19
NOT_IN_CORE = {"torch", "transformers", "pandas", "httpx", "duckdb", "sklearn", "textattack"}
FAILS = 10  # exit code of the gate on the run folder of the tests


def check(wheel: Path, folder: Path) -> list[str]:
    """Install, gate and report in a folder.

    Returns:
        The installed packages besides pip and setuptools, auditkit among them.

    Raises:
        SystemExit: a command failed, or more or other packages than allowed were installed.
    """
    environment = folder / "core"
    venv.create(environment, with_pip=True, clear=True)
    python = str(environment / "bin" / "python")
    run_command([python, "-m", "pip", "install", "--quiet", "--no-compile", str(wheel)])
    listed = run_command([python, "-m", "pip", "list", "--format", "json"])
    packages = sorted(
        {one["name"].lower() for one in json.loads(listed)} - {"pip", "setuptools", "wheel"}
    )
    if len(packages) > MOST_PACKAGES:
        raise SystemExit(f"{len(packages)} packages, {MOST_PACKAGES} are allowed: {packages}")
    if heavy := NOT_IN_CORE & set(packages):
        raise SystemExit(f"the core requires {sorted(heavy)}")
    run = str(write_run_folder(folder))
    auditkit = str(environment / "bin" / "auditkit")
    run_command([auditkit, "gate", run, "--policy", "release", "--json"], code=FAILS)
    run_command([auditkit, "report", run, "--model-card"])
    run_command([auditkit, "verify", run])
    run_command([python, "-c", f"{ASSERTS}\nassert_gate_fails({run!r})"])
    return packages


ASSERTS = """
from auditkit.testing import assert_gate

def assert_gate_fails(run):
    try:
        assert_gate(run, "release")
    except AssertionError as error:
        assert str(error).startswith("FAIL"), error
    else:
        raise SystemExit("assert_gate did not fail")
"""


def run_command(command: list[str], *, code: int = 0) -> str:
    """Run a command outside the repository, with an expected exit code; its standard output."""
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    if done.returncode != code:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit(f"{command} ended with {done.returncode}, expected {code}")
    return done.stdout


def write_run_folder(folder: Path) -> Path:
    """A complete run folder that was not judged."""
    return write_run(folder / "run")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = check(Path(sys.argv[1]).resolve(), Path(scratch))
    print(f"{len(found)} packages: {', '.join(found)}")
