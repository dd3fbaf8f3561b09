"""The installed `auditkit` script as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("auditkit")


def console(*arguments, cwd, **variables):
    """Run the script in a folder, with further environment variables; None removes one."""
    changed = {**os.environ, **variables}
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        env={name: value for name, value in changed.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )
