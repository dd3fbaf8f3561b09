"""`auditkit demo` as a process: interrupted, started again, started a third time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from auditkit.evidence.evidence_file import EVIDENCE

DEMO = [sys.executable, "-c", "from auditkit.cli import main; main(['demo', '-q'])"]


@pytest.mark.slow
def test_the_demo_survives_ctrl_c_and_reuses_model_and_answers(ml100k, tmp_path):
    process = subprocess.Popen(DEMO, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("3/4"):
            break
    evidence = tmp_path / "reports" / "demo" / EVIDENCE
    while not (evidence.exists() and evidence.stat().st_size):
        time.sleep(0.2)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    interrupted = evidence.read_bytes()

    second = subprocess.run(DEMO, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert second.stdout.splitlines()[-1] == str(tmp_path / "reports" / "demo" / "report.html")
    assert "contradicted-claims" in second.stdout
    assert evidence.read_bytes().startswith(interrupted)

    third = subprocess.run(DEMO, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "already contains this model" in third.stderr
    manifest = json.loads((tmp_path / "reports" / "demo" / "manifest.json").read_text())
    assert manifest["volatile"]["asked"] == 0
    assert third.stdout == second.stdout
