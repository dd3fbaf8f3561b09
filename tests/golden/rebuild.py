"""Rebuild `reports/examples` from real runs (`make golden`); review the diff."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from auditkit.cli import main

EXAMPLES = Path(__file__).resolve().parents[2] / "reports" / "examples"
KEPT = ("result.json", "report.html", "summary.md")
MODELS = ("p5-mini", "p5-mini-dp")
COMMANDS = {
    "popularity": "audit baseline:popularity --recipe quick --policy release --quiet",
    "p5-mini": "audit models/p5-mini --recipe quick --policy release --quiet",
    "p5-mini-dp": "audit models/p5-mini-dp --recipe quick --policy release --quiet",
}


def rebuild(name: str, command: str) -> None:
    """Run one command into a fresh folder and keep what people read."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        try:
            main([*command.split(), "--out", str(run)])
        except SystemExit as stop:
            if stop.code not in (0, 10, 11):
                raise
        destination = EXAMPLES / name
        destination.mkdir(parents=True, exist_ok=True)
        for file in KEPT:
            shutil.copyfile(run / file, destination / file)
        (destination / "command.txt").write_text(f"auditkit {command}\n")


def train(name: str) -> None:
    """Train a shipped recipe, unless its folder holds the finished model."""
    try:
        main(["train", name, "--out", f"models/{name}", "--quiet"])
    except SystemExit as stop:
        if stop.code:
            raise


if __name__ == "__main__":
    for name in MODELS:
        train(name)
    for name, command in COMMANDS.items():
        rebuild(name, command)
