"""Atomic writes, file hashes, and folders that are renamed out of the way."""

from __future__ import annotations

import hashlib
import os
import tempfile
from itertools import count
from pathlib import Path

__all__ = ["set_aside", "sha256_file", "write_atomically"]


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits; the file is read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file atomically: temporary file in the same folder, fsync, rename; mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def set_aside(folder: Path) -> Path:
    """Rename a folder to the first unused of `NAME-1`, `NAME-2`, ...; return the new path."""
    number = next(n for n in count(1) if not folder.with_name(f"{folder.name}-{n}").exists())
    return folder.rename(folder.with_name(f"{folder.name}-{number}"))
