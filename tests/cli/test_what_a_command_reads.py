"""The installed script: files outside a recipe's folder, and code by its module or file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from console import console
from small_world import write_cache

RECIPE = "version: 1\nname: tiny\nprobes:\n  hallucination.catalog: {n_users: 30}\n"
CODE = """
from auditkit.types import Request
def recommend(requests):
    return [["Quiet Harbor", "Silver Harbor"] for _ in requests]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tiny.yaml").write_text(RECIPE)
    return tmp_path / "own"


def audit(folder, target, *more, **variables):
    words = ["audit", target, "--recipe", "tiny.yaml", "--out", "run", "--quiet", *more]
    return console(*words, cwd=folder, **variables)


def test_recipe_that_names_a_file_outside_needs_the_option(folder):
    text = "version: 1\nname: cut\nsource: ml-100k\n"
    (folder.parent / "shop.yaml").write_text(text)
    (folder / "tiny.yaml").write_text(RECIPE + "data: ../shop.yaml\n")
    refused = audit(folder, "baseline:popularity")
    assert refused.returncode == 2
    assert b"tiny.yaml:5: data: " in refused.stderr
    assert b"--allow-outside" in refused.stderr
    assert audit(folder, "baseline:popularity", "--allow-outside").returncode == 0


def test_path_on_the_command_line_is_the_users_own(folder):
    (folder.parent / "shop.yaml").write_text("version: 1\nname: cut\nsource: ml-100k\n")
    assert audit(folder, "baseline:popularity", "--data", "../shop.yaml").returncode == 0


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("python:my_rec:recommend", "my_rec.py"),
        ("python:./my_rec.py:recommend", "my_rec.py"),
        ("python:my_rec.py:recommend", "my_rec.py"),
        ("python:part/json.py:recommend", "part/json.py"),
        ("python:../my_rec.py:recommend", "../my_rec.py"),
    ],
)
def test_code_is_found_by_module_or_file_and_stands_in_manifest_and_report(folder, target, file):
    (folder / "part").mkdir()
    (folder / file).write_text(CODE)
    done = audit(folder, target, "--allow-code")
    assert done.returncode == 0, done.stderr
    sha256 = hashlib.sha256(CODE.encode()).hexdigest()
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    code = manifest["volatile"]["audited"]["code"]
    assert code == {"file": str((folder / file).resolve()), "sha256": sha256}
    report = (folder / "run" / "report.html").read_text()
    assert f"{Path(file).name}, SHA-256 {sha256}" in report


@pytest.mark.parametrize("target", ["python:my_rec:recommend", "python:./my_rec.py:recommend"])
def test_code_needs_the_option(folder, target):
    (folder / "my_rec.py").write_text("open('marker', 'w')\n" + CODE)
    done = audit(folder, target)
    assert done.returncode == 2
    assert b"--allow-code" in done.stderr
    assert not (folder / "marker").exists()


def test_module_form_finds_the_same_module(folder):
    (folder / "my_rec.py").write_text(CODE)
    words = ["audit", "python:my_rec:recommend", "--allow-code", "--recipe", "tiny.yaml", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "auditkit", *words, "--out", "run"], cwd=folder, check=False,
        capture_output=True, env=dict(os.environ), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = audit(folder, "python:my_rec:recommend", "--allow-code")  # the same run, complete
    assert again.returncode == 0, again.stderr


def test_file_that_does_not_exist_and_file_of_another_kind_are_named(folder):
    done = audit(folder, "python:./absent.py:recommend", "--allow-code")
    assert (done.returncode, b"there is no file ./absent.py" in done.stderr) == (2, True)


def test_file_imports_its_neighbors(folder):
    (folder / "part").mkdir()
    (folder / "part" / "titles.py").write_text("TITLES = ['Quiet Harbor']\n")
    (folder / "part" / "rec.py").write_text(
        "from titles import TITLES\n"
        "def recommend(requests):\n"
        "    return [TITLES for _ in requests]\n"
    )
    assert audit(folder, "python:part/rec.py:recommend", "--allow-code").returncode == 0
