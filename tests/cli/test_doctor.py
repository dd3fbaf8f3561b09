"""`auditkit doctor` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import pytest
from audited_runs import CLEAN
from small_world import write_cache

RECIPE = "version: 1\nname: tiny\nprobes:\n  hallucination.catalog: {n_users: 30}\n"


@pytest.fixture
def doctor(tmp_path, monkeypatch, call):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return partial(call, "doctor")


def test_without_a_target_nothing_heavy_is_imported():
    code = (
        "import contextlib, io, sys\nfrom auditkit.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    main(['doctor'])\n"
        "print('cores:' in out.getvalue(), *sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, *loaded = run.stdout.split()
    assert said == "True"
    heavy = {"torch", "transformers", "textattack", "captum", "opacus", "peft", "sklearn", "duckdb"}
    assert not {name.split(".")[0] for name in loaded} & heavy


def test_the_machine_is_described(doctor):
    code, out, _ = doctor()
    assert code == 0
    assert "cores: " in out
    assert "GiB free at" in out
    assert "extra hf: " in out
    assert "ml-100k" in out


def test_a_target_is_tried_and_its_answer_shown(doctor):
    code, out, _ = doctor("baseline:popularity", "--recipe", "tiny.yaml")
    assert code == 0
    assert "parsed: 10 items, 10 of them in ml-100k" in out
    assert "recipe tiny: " in out


def test_json_has_machine_and_target(doctor):
    code, out, _ = doctor(CLEAN, "--recipe", "tiny.yaml", "--allow-code", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["target"]["n_linked"] == 10
    assert found["machine"]["cores"] > 0
    assert json.loads(doctor("--json")[1])["target"] is None


def test_a_target_that_fails_exits_2_and_says_how(doctor, tmp_path):
    (tmp_path / "broken.py").write_text(
        "class Broken:\n"
        "    name = 'broken'\n"
        "    def recommend(self, requests):\n"
        "        raise RuntimeError('\\x1b[31mdown')\n"
    )
    words = ("--recipe", "tiny.yaml", "--allow-code")
    code, out, _ = doctor(f"python:{tmp_path / 'broken.py'}:Broken", *words)
    assert code == 2
    assert "request: target_error (exception)" in out
    assert "\x1b" not in out
    assert doctor("no-such-target", "--recipe", "tiny.yaml")[0] == 2
