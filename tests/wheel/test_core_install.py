"""The wheel, installed with its core dependencies only, gates and reports a run folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from core_install import NOT_IN_CORE, check, run_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.network
def test_the_core_gates_and_reports_without_a_model_library(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True)
    packages = check(next(tmp_path.glob("auditkit-*.whl")), tmp_path)
    assert "auditkit" in packages
    assert not NOT_IN_CORE & set(packages)


def test_a_command_with_another_exit_code_stops_the_check():
    assert run_command([sys.executable, "-c", "raise SystemExit(10)"], code=10) == ""
    with pytest.raises(SystemExit, match="ended with 3, expected 10"):
        run_command([sys.executable, "-c", "raise SystemExit(3)"], code=10)
