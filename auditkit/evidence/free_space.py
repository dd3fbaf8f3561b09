"""Free space that a run needs, checked before the first request and before every record.

A full disk would end a run after it has computed a batch, and could leave no room for the result
and the report of what is recorded already.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from auditkit.errors import EvidenceError

__all__ = ["TO_RECORD", "TO_START", "require_free_space"]

TO_START = 64 << 20
TO_RECORD = 16 << 20  # result, report and manifest of a large run


def require_free_space(folder: Path, n_bytes: int) -> None:
    """Require that the file system of a folder has room for so many bytes.

    Raises:
        EvidenceError: it has less; the message names both amounts.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise EvidenceError(
            f"{folder} has {free >> 20} MiB of free space, and a run needs {n_bytes >> 20} MiB. "
            "Free some space and run the same command again; a run that has begun is resumed."
        )
