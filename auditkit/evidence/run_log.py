"""Hash-chained evidence log: write, resume, read and verify.

Each line is `{"body", "prev", "seq", "sha256"}`; `prev` of the first line is the run key, later the
hash of the previous line, and the last hash is the *root* printed in every output. `sha256` is the
hash of the line as written, without the key `sha256`. A batch is written with one write of complete
lines. An incomplete last batch is moved to `evidence.torn`, and its requests are sent again; damage
anywhere else is an integrity failure. The chain reveals accidents and partial edits. It does not
reveal a complete rewrite, unless the root was also stored elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import AuditkitError, EvidenceError, IntegrityError
from auditkit.evidence.evidence_file import (
    EVIDENCE,
    Damage,
    batches_of,
    encode_batch,
    evidence_path,
)
from auditkit.evidence.free_space import TO_RECORD, TO_START, require_free_space
from auditkit.evidence.shared_values import SharedValues, with_shared_values
from auditkit.security.personal_data import mask_response
from auditkit.security.redaction import Redaction
from auditkit.serialization.canonical_json import canonical_json, sha256_bytes

__all__ = ["Record", "RunLog", "SealedLog", "lock_run", "read_chain", "read_log"]

Body = Mapping[str, Any]
# The hash shows that a line is as it was written, so a repeated key need not be looked for.
_PARSER = json.JSONDecoder()


@dataclass(frozen=True)
class Record:
    """One record of the evidence, with its position in the hash chain and its hash."""

    seq: int
    sha256: str
    body: Body


def _seal(body: Body, *, prev: str, seq: int) -> tuple[bytes, str]:
    """Return the line of a record, and its hash, which the next record contains as `prev`."""
    content = canonical_json({"body": body, "prev": prev, "seq": seq}).encode("ascii")
    digest = sha256_bytes(content)
    return content[:-1] + b',"sha256":"' + digest.encode("ascii") + b'"}\n', digest


def _read(line: bytes, *, prev: str, seq: int, records: Sequence[Body]) -> tuple[Body, str]:
    """Return the content and hash of the next record of the chain; the inverse of `_seal`."""
    link = f',"prev":"{prev}","seq":{seq}'.encode()
    content, found, rest = line.rpartition(b',"sha256":"')
    digest = sha256_bytes(content + b"}")
    if not found or not content.endswith(link) or rest != f'{digest}"}}\n'.encode():
        raise Damage(
            "the record does not continue the hash chain: seq, prev or sha256 is wrong, or the "
            "line was reformatted"
        )
    try:
        body = _PARSER.decode(content[: -len(link)].removeprefix(b'{"body":').decode("ascii"))
        if not isinstance(body, dict):
            raise TypeError("a record must be a JSON object")
        return with_shared_values(body, records), digest
    except (ValueError, TypeError, RecursionError) as error:
        raise Damage(f"the line is not a valid record ({error})") from None


def _batches(path: Path, run_key: str) -> Iterator[tuple[int, list[Record]]]:
    """Yield (end offset, records) of each complete part of the file.

    Raises:
        Damage: a record does not verify; the message begins with the place of the first such
            record.
    """
    prev, seq, bodies = run_key, 0, list[Body]()
    try:
        for end, lines in batches_of(path):
            batch = []
            for line in lines:
                body, prev = _read(line, prev=prev, seq=seq, records=bodies)
                batch.append(Record(seq, prev, body))
                bodies.append(body)
                seq += 1
            yield end, batch
    except Damage as damage:
        place = f"{path.name}:{seq + 1}, seq {seq}"
        raise Damage(f"{place}: {damage}", torn=damage.torn) from None


def read_chain(run: Path, run_key: str) -> Iterator[Record]:
    """Yield the records of a log and verify each; nothing is yielded if the run has no log.

    Raises:
        IntegrityError: a record is damaged; the message names the first damaged one.
    """
    path = evidence_path(run)
    if not path.exists():
        return
    try:
        for _, batch in _batches(path, run_key):
            yield from batch
    except Damage as damage:
        raise IntegrityError(
            f"{path} was altered or damaged at {damage}. Restore the file or run the audit again."
        ) from None


def read_log(run: Path, run_key: str) -> tuple[list[Body], str]:
    """Read and verify a complete log.

    Returns:
        The record bodies in order, and the root (the run key if the log is empty or missing).

    Raises:
        IntegrityError: a record is damaged; the message names the first damaged one.
    """
    records = list(read_chain(run, run_key))
    return [record.body for record in records], records[-1].sha256 if records else run_key


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
        run_key: hash that binds the first record to recipe, target, catalog and seed.
        keep_raw: whether personal data in responses are recorded unmasked. By default they are
            masked before the record is hashed, so the masked log verifies.

    Raises:
        EvidenceError: the file system has less than 64 MiB of free space.
    """

    def __init__(self, run: Path, run_key: str, *, keep_raw: bool = False) -> None:
        run.mkdir(parents=True, exist_ok=True, mode=0o700)
        require_free_space(run, TO_START)
        self.path = evidence_path(run)
        self.root = run_key
        self.records: list[Body] = []
        self._recovered_roots = [run_key]
        self._shared = SharedValues() if self.path.name == EVIDENCE else None
        self._redaction, self._keep_raw = Redaction(), keep_raw
        if self.path.exists():
            self._recover(run_key)
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _recover(self, run_key: str) -> None:
        """Load the complete batches; move an incomplete last batch to `evidence.torn`."""
        records, ends = list[Record](), [0]
        try:
            for end, batch in _batches(self.path, run_key):
                records += batch
                ends += [ends[-1]] * (len(batch) - 1) + [end]
        except Damage as damage:
            if not damage.torn:
                raise IntegrityError(
                    f"{self.path} was altered or damaged at {damage}. Restore the file, or start "
                    "a new run with --out."
                ) from None
        while records and records[-1].body["batch"][2] + 1 != records[-1].body["batch"][1]:
            records.pop()
        whole = ends[len(records)]
        self._set_aside(whole)
        for record in records:
            self._as_written(record.body, record.seq)  # to know its long values
            self.records.append(record.body)
            self._recovered_roots.append(record.sha256)
        self.root = self._recovered_roots[-1]

    def _set_aside(self, whole: int) -> None:
        """Move all bytes after the complete batches to `evidence.torn`."""
        torn = self.path.read_bytes()[whole:]
        if torn:
            path = self.path.parent / "evidence.torn"
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab") as stream:
                stream.write(torn)
            os.truncate(self.path, whole)

    def _as_written(self, body: Body, seq: int) -> Body:
        return self._shared.replace(body, seq) if self._shared else body

    def root_after(self, n: int) -> str | None:
        """Return the root of the first n records of earlier starts; None if there are fewer
        records.
        """
        return self._recovered_roots[n] if 0 <= n < len(self._recovered_roots) else None

    def append(self, bodies: Sequence[Body]) -> list[Body]:
        """Write one batch of complete lines with one write, then fsync; 16 MiB of disk stay free.

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
        whole, before = os.fstat(self._handle).st_size, (self.root, len(self.records))
        try:
            for seq, body in enumerate(sealed, start=len(self.records)):
                line, root = _seal(self._as_written(body, seq), prev=root, seq=seq)
                lines.append(line)
            content = encode_batch(self.path, b"".join(lines))
            require_free_space(self.path.parent, TO_RECORD + len(content))
            if os.write(self._handle, content) != len(content):
                raise OSError("only part of a batch could be written")
            os.fsync(self._handle)
            self.records.extend(sealed)
            self.root = root
        except BaseException as error:  # signals too
            os.ftruncate(self._handle, whole)
            self.root = before[0]
            del self.records[before[1] :]
            if self._shared:
                self._shared.forget(before[1])
            if not isinstance(error, OSError):
                raise
            raise EvidenceError(
                f"{self.path} cannot be written ({error}). Free some space and run the same "
                "command again; the run resumes from the last complete batch."
            ) from None
        return sealed

    def close(self) -> None:
        """Close the log file."""
        os.close(self._handle)


class SealedLog:
    """A finished log, read to recompute metrics; the file is not changed.

    Args:
        run: the run folder.
        run_key: the run key, with which the hash chain begins.

    Raises:
        IntegrityError: a record is damaged.
    """

    def __init__(self, run: Path, run_key: str) -> None:
        self.records, self.root = read_log(run, run_key)

    def append(self, bodies: Sequence[Body]) -> list[Body]:
        """Add responses that are copied from an equal request of another probe, in memory only."""
        self.records.extend(bodies)
        return list(bodies)
