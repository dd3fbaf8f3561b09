"""Start-up cost of the command line, as ratios to a bare interpreter measured in one run.

python tests/bench/cli_startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
COMMANDS = {
    "bare python": [sys.executable, "-c", "pass"],
    "import auditkit": [sys.executable, "-c", "import auditkit"],
    "auditkit --help": [sys.executable, "-c", "from auditkit.cli import main; main(['--help'])"],
}


def main() -> None:
    """Interleave the commands, print the median of each and its ratio to the bare interpreter."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - started)
    bare = statistics.median(seconds["bare python"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:18} {median * 1000:7.1f} ms  {median / bare:5.2f} x a bare interpreter")


if __name__ == "__main__":
    main()
