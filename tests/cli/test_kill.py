"""Kills and signals at any moment: the run resumes to the same bytes and asks nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_audit import TARGET, start
from small_world import write_cache

from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.manifest import read_manifest, verify_run
from auditkit.evidence.run_log import RunLog
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe, read_recipe
from auditkit.run.runner import run_audit

RECIPE = """version: 1
name: tiny
batch_size: 4
probes: {hallucination.catalog: {n_users: 60}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "asked.txt"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def recipe(folder) -> AuditRecipe:
    return read_recipe(folder / "tiny.yaml")


def audit(recipe, out):
    return run_audit(TARGET, recipe, out, options=AuditOptions(allow_code=True))


def asked(folder):
    path = folder / "asked.txt"
    return path.read_text().split() if path.exists() else []


def finished(run):
    """Ids of the records that a next start will find."""
    if not (run / "manifest.json").exists():
        return set()
    log = RunLog(run, read_manifest(run)["run_key"])
    log.close()
    return {body["request_id"] for body in log.records}


def same_outcome(a, b):
    return all(
        (a / n).read_bytes() == (b / n).read_bytes() for n in ("result.json", EVIDENCE)
    ) and (read_manifest(a)["evidence"] == read_manifest(b)["evidence"])


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.005)


@pytest.mark.parametrize("seed", range(5))
def test_audit_killed_four_times_resumes_to_the_same_bytes(folder, recipe, seed):
    audit(recipe, folder / "whole")
    run, rng = folder / "run", random.Random(seed)
    environment = {
        name: os.environ[name] for name in ("AUDITKIT_CACHE", "ASKED_LOG")
    } | {"PAUSE": "0.03"}  # fmt: skip
    for number in range(4):
        before = finished(run)
        (folder / "asked.txt").unlink(missing_ok=True)
        process = start(recipe.model_dump_json(), run, environment)
        if number:  # the first kill may also come before anything is asked
            wait_until(lambda process=process: asked(folder) or not process.is_alive())
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        process.join()
        assert not before & set(asked(folder))
    before = finished(run)
    (folder / "asked.txt").unlink(missing_ok=True)
    audit(recipe, run)
    assert not before & set(asked(folder))
    assert same_outcome(folder / "whole", run)
    verify_run(run)


# --- signals


def command(*more):
    code = "from auditkit.cli import main; main()"
    words = ["audit", TARGET, "--allow-code", "--recipe", "tiny.yaml", "--out", "run", *more]
    return [sys.executable, "-c", code, *words]


def signalled(folder, *numbers, pause):
    """Send signals to a running audit, the last one until it ends; its exit code and its stderr."""
    (folder / "asked.txt").unlink(missing_ok=True)
    with subprocess.Popen(
        command(), stderr=subprocess.PIPE, text=True, env={**os.environ, "PAUSE": pause}
    ) as process:
        wait_until(lambda: len(asked(folder)) >= 4)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.2)
        while len(numbers) > 1 and process.poll() is None:  # two at once may arrive as one
            process.send_signal(numbers[-1])
            time.sleep(0.2)
        _, err = process.communicate(timeout=120)
    return process.returncode, err


def test_signalled_audit_is_valid_and_resumable(folder, recipe):
    audit(recipe, folder / "whole")
    for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = finished(folder / "run")
        code, err = signalled(folder, number, pause="0.4")
        assert code == expected
        assert "auditkit audit python:planted_recommenders:Recorded --allow-code" in err
        assert "Traceback" not in err
        verified = verify_run(folder / "run")
        assert verified.status == "interrupted"
        assert not before & set(asked(folder))
        # What was in flight was waited for and kept.
        assert set(asked(folder)) <= finished(folder / "run")
    audit(recipe, folder / "run")
    assert same_outcome(folder / "whole", folder / "run")


def test_second_signal_ends_at_once_and_the_run_is_resumable(folder, recipe):
    code, err = signalled(folder, signal.SIGINT, signal.SIGINT, pause="600")
    assert code == 130
    assert "--allow-code" not in err  # no second run is named: nothing came to its end
    audit(recipe, folder / "run")
    audit(recipe, folder / "whole")
    assert same_outcome(folder / "whole", folder / "run")
