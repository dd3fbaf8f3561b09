"""Check of free disk space, before the first request and before every record.

On a full disk, a run would fail after computing a batch, and the result and the report of the
recorded responses might not fit.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from auditkit.errors import EvidenceError

__all__ = ["TO_RECORD", "TO_START", "require_free_space"]

TO_START = 64 << 20
TO_RECORD = 16 << 20  # result, report and manifest of a large run


def require_free_space(folder: Path, n_bytes: int) -> None:
    """Require that the file system of a folder has at least `n_bytes` of free space.

    Raises:
        EvidenceError: there is less free space; the message names both amounts.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise EvidenceError(
            f"The file system of {folder} has {free >> 20} MiB of free space, but a run needs "
            f"{n_bytes >> 20} MiB. Free some space and run the same command again; a run that has "
            "begun is then resumed."
        )
