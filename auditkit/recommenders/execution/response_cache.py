"""Cache of responses within a run and, optionally, across runs in a folder of JSON Lines files.

Responses of the same run are loaded from its log; the folder adds responses of earlier runs of the
same recommender. A truncated last line of a cache file is dropped: a cache miss is acceptable, a
wrong hit is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditkit.errors import EvidenceError
from auditkit.serialization.canonical_json import canonical_json, read_json

__all__ = ["ResponseCache"]

_STORED = ("request_id", "status", "reason", "text", "items", "usage", "trace", "derived")


class ResponseCache:
    """A mapping from cache key to the stored response.

    Args:
        folder: folder that stores responses across runs; None stores them only in memory.
        fingerprint: hash of the recommender, used as the file name.

    Raises:
        EvidenceError: the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None = None, fingerprint: str = "") -> None:
        self._known: dict[str, Mapping[str, Any]] = {}
        self._path = folder / f"{fingerprint[:32]}.jsonl" if folder else None
        if self._path:
            with _usable(self._path):
                self._append([])  # before the first request, not after it
                self._read(self._path)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the response stored under a key; None if the key is unknown."""
        return self._known.get(key)

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, bodies: Sequence[Mapping[str, Any]], *, persist: bool = True) -> None:
        """Store responses in memory and, with `persist`, in the folder. Errors are not stored, so
        that a later run repeats the failed call.
        """
        new = {
            body["cache_key"]: {name: body[name] for name in _STORED}
            for body in bodies
            if body["status"] not in ("target_error", "timeout")
            and body["cache_key"] not in self._known
        }
        self._known.update(new)
        if self._path and new and persist:
            with _usable(self._path):
                self._append(
                    canonical_json({"key": key, "outcome": outcome}) + "\n"
                    for key, outcome in new.items()
                )

    def _read(self, path: Path) -> None:
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            try:
                entry = read_json(line if line.isascii() else "")  # it was damaged
            except ValueError:
                continue
            self._known[entry["key"]] = entry["outcome"]

    def _append(self, lines: Iterable[str]) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(private, "a", encoding="ascii") as stream:
            stream.writelines(lines)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EvidenceError(
            f"the cache {path.parent} cannot be used ({error.strerror} at "
            f"{error.filename or path}). Give another folder with --cache, or leave the option "
            "out; the run can be resumed."
        ) from None
