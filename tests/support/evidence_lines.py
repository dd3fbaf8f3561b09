"""The lines of a compressed evidence file, and a change in them."""

from __future__ import annotations

import gzip
import json

from auditkit.evidence.evidence_file import EVIDENCE


def evidence_text(run):
    """The decompressed lines, as one text."""
    return gzip.decompress((run / EVIDENCE).read_bytes()).decode("ascii")


def written_bodies(run):
    """The content of every record as it is written, with references to shared values."""
    return [json.loads(line)["body"] for line in evidence_text(run).splitlines()]


def replace_in_evidence(run, old, new):
    """Replace the first occurrence of a text, as someone does who edits the file."""
    text = evidence_text(run)
    assert old in text
    (run / EVIDENCE).write_bytes(gzip.compress(text.replace(old, new, 1).encode("ascii"), mtime=0))
