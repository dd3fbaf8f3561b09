"""`report.pdf`: the report printed by an installed Chromium, with every section opened.

The browser is started with a temporary profile and without name resolution, so it cannot reach a
network. The page itself sends no requests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from auditkit.errors import ConfigurationError
from auditkit.reporting.run_reader import read_verified_source
from auditkit.serialization.atomic_files import write_atomically

__all__ = ["PDF", "find_chromium", "write_pdf"]

PDF = "report.pdf"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OPTIONS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_SECONDS = 120
_LAST_WORDS = 300


def find_chromium(path: Path | None = None) -> Path:
    """Find the browser that prints the report: `path`, or the first known browser on PATH.

    Raises:
        ConfigurationError: `path` is not an executable file, or no known browser is on PATH.
    """
    if path is not None:
        found = shutil.which(path)
        if found is None:
            raise ConfigurationError(
                f"{path} is not an executable file. Give the path of a Chromium or Chrome "
                "executable."
            )
        return Path(found)
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise ConfigurationError(
        f"no browser was found to print the report: none of {', '.join(_NAMES)} is on PATH. "
        "Install Chromium, or name a browser with --chromium."
    )


def write_pdf(run: Path, *, chromium: Path | None = None, seconds: float = _SECONDS) -> Path:
    """Print `report.html` of a run folder to `report.pdf` beside it.

    The manifest does not seal the PDF, because the browser writes its version and the time into it.

    Args:
        run: run folder whose report was written.
        chromium: path of the browser; None for a browser on PATH.
        seconds: time limit for the browser.

    Raises:
        ConfigurationError: no browser was found, or the browser failed or exceeded the time limit.
        IntegrityError: the run folder was altered.
    """
    browser, path = find_chromium(chromium), run / PDF
    read_verified_source(run)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / PDF
        command = [
            str(browser),
            *_OPTIONS,
            *_unsandboxed(),
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={printed}",
            (run / "report.html").resolve().as_uri(),
        ]
        words = _run(command, seconds)
        content = printed.read_bytes() if printed.is_file() else b""
    if not content.startswith(b"%PDF-"):
        raise ConfigurationError(
            f"{browser} wrote no PDF: {words[-_LAST_WORDS:] or 'it said nothing'}. Update the "
            "browser, or name another one with --chromium."
        )
    write_atomically(path, content)
    return path


def _unsandboxed() -> tuple[str, ...]:
    """Option for root, the usual user of a CI container, as whom Chromium cannot start its
    sandbox.
    """
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()


def _run(command: list[str], seconds: float) -> str:
    """Run the browser and return its output on stderr.

    Raises:
        ConfigurationError: the browser cannot be executed, or exceeded the time limit.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"{command[0]} did not print the report within {seconds:g} s. Print report.html from "
            "a browser window, or name another browser with --chromium."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{command[0]} cannot be executed: {error.strerror}. Name another browser with "
            "--chromium."
        ) from None
    return " ".join(done.stderr.decode("utf-8", "replace").split())
