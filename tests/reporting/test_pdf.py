"""The report as PDF, printed by a real Chromium where there is one."""

from __future__ import annotations

import re
import shutil
import sys

import pytest

from auditkit.cli import main
from auditkit.errors import ConfigurationError
from auditkit.evidence.manifest import verify_run
from auditkit.reporting.exports.pdf import find_chromium, write_pdf

HAS_BROWSER = bool(shutil.which("chromium") or shutil.which("chromium-browser"))
BROWSER = pytest.mark.skipif(not HAS_BROWSER, reason="chromium is not installed")


def program(folder, lines):
    """An executable Python program that is no browser."""
    path = folder / "browser"
    path.write_text(f"#!{sys.executable}\nimport sys\n{lines}\n")
    path.chmod(0o700)
    return path


@BROWSER
def test_the_command_prints_the_report(judged_run, tmp_path, capsys):
    run = shutil.copytree(judged_run, tmp_path / "run")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(run), "--pdf"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(run / "report.pdf")
    content = (run / "report.pdf").read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert content.startswith(b"%PDF-")
    assert pages >= 2
    verify_run(run)


def test_a_missing_browser_is_one_clear_error(judged_run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"none of chromium, .* is on PATH\. Install"):
        write_pdf(judged_run)
    with pytest.raises(ConfigurationError, match="is not an executable file"):
        find_chromium(tmp_path / "absent")


def test_the_first_usual_name_on_the_path_is_taken(monkeypatch, tmp_path):
    browser = program(tmp_path, "").rename(tmp_path / "google-chrome")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() == browser


def test_a_browser_that_fails_is_quoted(judged_run, tmp_path):
    broken = program(tmp_path, "sys.exit('cannot open display')")
    with pytest.raises(ConfigurationError, match="wrote no PDF: cannot open display"):
        write_pdf(judged_run, chromium=broken)
    assert not (judged_run / "report.pdf").exists()


def test_a_browser_that_hangs_is_ended(judged_run, tmp_path):
    slow = program(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ConfigurationError, match=r"did not print the report within 0\.5 s"):
        write_pdf(judged_run, chromium=slow, seconds=0.5)


def test_a_browser_without_the_option_is_refused(judged_run, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["report", str(judged_run), "--chromium", "chromium"])
    assert stop.value.code == 2
    assert "give both" in capsys.readouterr().err
