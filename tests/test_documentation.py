"""What README and docs tell people to type works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from auditkit.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"^(?:  - run: |    run: )?(auditkit .*)$", re.MULTILINE)


def commands(page):
    """Command lines of a page's code blocks, without comments and shell pipelines."""
    blocks = re.findall(
        r"```(?:bash|text|yaml)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    found = [line for block in blocks for line in COMMAND.findall(block)]
    return [re.split(r"\s+(?:#|&&)", line)[0].strip() for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_documented_command_exists_with_its_options(page):
    root = typer.main.get_command(app)
    for line in commands(page):
        words = shlex.split(line)[1:]
        command = root
        while hasattr(command, "get_command") and command.get_command(None, words[0]):
            command = command.get_command(None, words.pop(0))
        known = {option for parameter in command.params for option in parameter.opts}
        assert command is not root, line
        assert {word for word in words if word.startswith("-")} <= known, line


def test_relative_links_of_readme_and_docs_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
def test_the_tutorial_runs_from_top_to_bottom(ml100k, tmp_path):
    allowed = {"gate": {10}, "audit baseline:popularity": {10, 11}}
    for line in commands(ROOT / "docs" / "tutorial.md"):
        words = shlex.split(line)[1:]
        done = subprocess.run(
            [sys.executable, "-c", "from auditkit.cli import main; main()", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        expected = next(
            (codes for key, codes in allowed.items() if " ".join(words).startswith(key)), {0}
        )
        assert done.returncode in expected, f"{line}\n{done.stderr}"
    assert (tmp_path / "reports" / "p5-mini" / "report.html").is_file()
