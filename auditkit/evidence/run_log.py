"""Hash-chained evidence log: write, resume, read and verify.

Each line is `{"body", "prev", "seq", "sha256"}`; `prev` of the first line is the run key, later the
hash of the previous line, and the last hash is the *root* printed in every output. A batch is
written with one write of complete lines. An incomplete last batch is moved to `evidence.torn`, and
its requests are sent again; damage anywhere else is an integrity failure. The chain reveals
accidents and partial edits. It does not reveal a complete rewrite, unless the root was kept
elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auditkit.errors import AuditkitError, EvidenceError, IntegrityError
from auditkit.evidence.free_space import TO_RECORD, TO_START, require_free_space
from auditkit.security.personal_data import mask_response
from auditkit.security.redaction import Redaction
from auditkit.serialization.canonical_json import canonical_json, read_json, sha256_json

__all__ = ["EVIDENCE", "RunLog", "SealedLog", "lock_run", "read_log"]

EVIDENCE = "evidence.jsonl"
_MAX_LINE_BYTES = 128 << 20

Body = Mapping[str, Any]


def _seal(body: Body, *, prev: str, seq: int) -> tuple[str, str]:
    """The line of a record, and the hash that the next record continues."""
    digest = sha256_json({"body": body, "prev": prev, "seq": seq})
    return canonical_json({"body": body, "prev": prev, "seq": seq, "sha256": digest}), digest


class _Damage(Exception):
    """Raised for a line that does not continue the hash chain."""


def _chain(path: Path, run_key: str) -> Iterator[tuple[int, Body, str]]:
    """Yield (end offset, body, hash) of each record; raise `_Damage` at the first mismatch."""
    prev, offset = run_key, 0
    with path.open("rb") as stream:
        for seq, line in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b"")):
            place = f"{path.name}:{seq + 1}, seq {seq}"
            if not line.endswith(b"\n"):
                raise _Damage(f"{place}: the line is cut off or longer than 128 MiB")
            try:
                record = read_json(line.decode("ascii"))
                body, digest = record["body"], record["sha256"]
                expected = sha256_json({"body": body, "prev": prev, "seq": seq})
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise _Damage(f"{place}: not a record ({type(error).__name__})") from None
            if (record.get("seq"), record.get("prev"), digest) != (seq, prev, expected) or len(
                record
            ) != 4:
                raise _Damage(
                    f"{place}: the record does not continue the hash chain "
                    "(wrong seq, prev or sha256, or an extra field)"
                )
            prev, offset = digest, offset + len(line)
            yield offset, body, digest


def read_log(run: Path, run_key: str) -> tuple[list[Body], str]:
    """Read and verify a complete log.

    Returns:
        The record bodies in order, and the root (the run key if the log is empty or missing).

    Raises:
        IntegrityError: a record is damaged; the message names the first.
    """
    path = run / EVIDENCE
    if not path.exists():
        return [], run_key
    bodies, root = [], run_key
    try:
        for _, body, digest in _chain(path, run_key):
            bodies.append(body)
            root = digest
    except _Damage as damage:
        raise IntegrityError(
            f"{run / EVIDENCE} was altered or damaged at {damage}. Restore the file or run the "
            "audit again."
        ) from None
    return bodies, root


@contextlib.contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Lock the run folder; if the process dies, the operating system releases the lock.

    Raises:
        AuditkitError: another process uses this folder.
    """
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(run / "run.lock", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read().strip() or "unknown"
            raise AuditkitError(
                f"{run} is locked by process {owner}. Wait for it, or give another --out folder."
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


class RunLog:
    """Append-only log of one run.

    Args:
        run: the run folder; created if absent.
        run_key: binds the first record to recipe, target, catalog and seed.
        keep_raw: whether personal data in responses are recorded as they are. By default they are
            masked before the record is hashed, so the log verifies as it is.

    Raises:
        EvidenceError: the file system has less than 64 MiB of free space.
    """

    def __init__(self, run: Path, run_key: str, *, keep_raw: bool = False) -> None:
        run.mkdir(parents=True, exist_ok=True, mode=0o700)
        require_free_space(run, TO_START)
        self.path = run / EVIDENCE
        self.root = run_key
        self.records: list[Body] = []
        self._recovered_roots = [run_key]
        self._redaction, self._keep_raw = Redaction(), keep_raw
        if self.path.exists():
            self._recover(run_key)
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _recover(self, run_key: str) -> None:
        """Load the complete batches; move an incomplete last batch to `evidence.torn`."""
        ends: list[tuple[int, str]] = []
        try:
            for end, body, digest in _chain(self.path, run_key):
                self.records.append(body)
                ends.append((end, digest))
        except _Damage as damage:
            rest = self.path.read_bytes()[ends[-1][0] if ends else 0 :]
            if b"\n" in rest:  # an interrupted write ends inside a line
                raise IntegrityError(
                    f"{self.path} was altered or damaged at {damage}. Restore the file, or start "
                    "a new run with --out."
                ) from None
        while self.records and self.records[-1]["batch"][2] + 1 != self.records[-1]["batch"][1]:
            self.records.pop()
        whole = ends[len(self.records) - 1] if self.records else (0, run_key)
        torn = self.path.read_bytes()[whole[0] :]
        if torn:
            path = self.path.parent / "evidence.torn"
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab") as stream:
                stream.write(torn)
            os.truncate(self.path, whole[0])
        self.root = whole[1]
        self._recovered_roots += [digest for _, digest in ends[: len(self.records)]]

    def root_after(self, n: int) -> str | None:
        """Root of the first n records that an earlier start wrote; None if it wrote fewer."""
        return self._recovered_roots[n] if 0 <= n < len(self._recovered_roots) else None

    def append(self, bodies: Sequence[Body]) -> list[Body]:
        """Write one batch: complete lines, one write, then fsync. Keep 16 MiB of space free.

        Returns:
            The recorded bodies, without secrets, with `batch` = [number, size, position]. Metrics
            are computed from these, so that a resumed run gives the same values.
        """
        number = self.records[-1]["batch"][0] + 1 if self.records else 0
        lines, root = [], self.root
        sealed: list[Body] = [
            {
                **self._redaction.tree(body if self._keep_raw else mask_response(body)),
                "batch": [number, len(bodies), i],
            }
            for i, body in enumerate(bodies)
        ]
        for seq, body in enumerate(sealed, start=len(self.records)):
            line, root = _seal(body, prev=root, seq=seq)
            lines.append(line + "\n")
        content = "".join(lines).encode("ascii")
        require_free_space(self.path.parent, TO_RECORD + len(content))
        whole, before = os.fstat(self._handle).st_size, (self.root, len(self.records))
        try:
            if os.write(self._handle, content) != len(content):
                raise OSError("only a part of a batch could be written")
            os.fsync(self._handle)
            self.records.extend(sealed)
            self.root = root
        except BaseException as error:  # signals too
            os.ftruncate(self._handle, whole)
            self.root = before[0]
            del self.records[before[1] :]
            if not isinstance(error, OSError):
                raise
            raise EvidenceError(
                f"{self.path} cannot be written ({error}). Free some space and run the same "
                "command again; it resumes from here."
            ) from None
        return sealed

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class SealedLog:
    """A finished log, read to derive metrics again; nothing is written to its file.

    Args:
        run: the run folder.
        run_key: the key of the run, with which its hash chain begins.

    Raises:
        IntegrityError: a record is damaged.
    """

    def __init__(self, run: Path, run_key: str) -> None:
        self.records, self.root = read_log(run, run_key)

    def append(self, bodies: Sequence[Body]) -> list[Body]:
        """Keep responses that the log holds for an equal request of another probe, in memory."""
        self.records.extend(bodies)
        return list(bodies)
