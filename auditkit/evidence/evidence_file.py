"""The evidence file: one gzip member per batch, so that a batch is appended with one write.

`zcat evidence.jsonl.gz` prints the lines. Earlier releases wrote uncompressed lines to
`evidence.jsonl`; both formats can be read and extended. Source: RFC 1952, section 2.2 (a file of
several members decompresses to their concatenation).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["EVIDENCE", "MAX_LINE_BYTES", "Damage", "batches_of", "encode_batch", "evidence_path"]

EVIDENCE = "evidence.jsonl.gz"
_UNCOMPRESSED = "evidence.jsonl"
MAX_LINE_BYTES = 128 << 20
_READ = 1 << 14  # small, because what is left of a block is copied at the end of every member
_PART = 1 << 20  # of decompressed bytes, so that a line that is too long is found early
_LEVEL = 6


class Damage(Exception):
    """Raised for bytes that are not a complete part of the evidence file.

    Attributes:
        torn: whether the file merely ends too early, as it does after an interrupted write.
    """

    def __init__(self, what: str, *, torn: bool = False) -> None:
        super().__init__(what)
        self.torn = torn


def evidence_path(run: Path) -> Path:
    """Return the path of the evidence: the compressed file, unless only an uncompressed one
    exists.
    """
    earlier = run / _UNCOMPRESSED
    return earlier if earlier.exists() and not (run / EVIDENCE).exists() else run / EVIDENCE


def encode_batch(path: Path, lines: bytes) -> bytes:
    """Encode the lines of one batch for appending to the evidence; equal lines give equal bytes."""
    return gzip.compress(lines, _LEVEL, mtime=0) if path.name == EVIDENCE else lines


def batches_of(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (end offset, lines) of each complete part of the file.

    A part is a gzip member, or a line of an uncompressed file.

    Raises:
        Damage: the rest of the file is not a complete part, or a line is longer than 128 MiB.
    """
    with path.open("rb") as stream:
        yield from _members(stream) if path.name == EVIDENCE else _plain_lines(stream)


def _plain_lines(stream: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    end = 0
    for line in iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""):
        if not line.endswith(b"\n"):
            raise Damage("the line is cut off or longer than 128 MiB", torn=not stream.read(1))
        end += len(line)
        yield end, [line]


def _members(stream: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    end, waiting = 0, b""
    while waiting := waiting or stream.read(_READ):
        content, waiting, size = _member(stream, waiting)
        end += size
        lines = content.splitlines(keepends=True)
        if not lines or not content.endswith(b"\n"):
            raise Damage("a batch has no lines, or its last line is cut off")
        if max(map(len, lines)) > MAX_LINE_BYTES:
            raise Damage("a line is longer than 128 MiB")
        yield end, lines


def _member(stream: BinaryIO, waiting: bytes) -> tuple[bytes, bytes, int]:
    """Read one member; return its content, the bytes read beyond it, and its compressed size."""
    reader, parts, size = zlib.decompressobj(wbits=31), [], 0
    since_newline = 0
    while not reader.eof:
        waiting = waiting or stream.read(_READ)
        if not waiting:
            raise Damage("the last batch is cut off", torn=True)
        size += len(waiting)
        try:
            part = reader.decompress(waiting, _PART)
        except zlib.error as error:
            raise Damage(f"a batch cannot be decompressed ({error})") from None
        waiting = reader.unconsumed_tail or reader.unused_data
        size -= len(waiting)
        parts.append(part)
        since_newline = (
            len(part) - part.rfind(b"\n") if b"\n" in part else since_newline + len(part)
        )
        if since_newline > MAX_LINE_BYTES:
            raise Damage("a line is longer than 128 MiB")
    return b"".join(parts), waiting, size
