"""Private diagnostics of a training run: one line per step, in a folder beside the model folder.

Losses, gradient norms and realized batch sizes are computed from private records without noise, so
the claim does not cover them. They are never written to the model folder, which is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from auditkit.serialization.canonical_json import canonical_json

__all__ = ["Diagnostics"]

_SUFFIX, _FILE = "-private-diagnostics", "steps.jsonl"


class Diagnostics:
    """Writes to `FOLDER-private-diagnostics/steps.jsonl`, which only its owner may read.

    Args:
        folder: the model folder.
    """

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()
        beside = folder.with_name(folder.name + _SUFFIX)
        beside.mkdir(mode=0o700, exist_ok=True)
        self._path = beside / _FILE

    def write(self, statistics: Mapping[str, object]) -> None:
        """Append the statistics of one step."""
        with self._path.open("a", encoding="ascii") as stream:
            stream.write(canonical_json(statistics) + "\n")
