"""Description of the machine and installation: versions, cores, memory, disk, extras and caches.

Versions are read from the metadata of packages, so nothing heavy is imported, and packages that
fail to import are listed, too.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from auditkit.catalog.datasets.download import cache_dir

__all__ = ["CacheEntry", "Extra", "Machine", "describe_machine"]

_FOR_DEVELOPERS = frozenset({"dev", "docs", "test"})
_SHOWN = (
    "auditkit", "numpy", "scipy", "pydantic", "torch", "transformers", "peft", "opacus", "httpx",
)  # fmt: skip
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Extra:
    """An optional extra of auditkit: installed packages with versions, and missing packages.

    `command` installs the extra; it is empty if no package is missing.
    """

    name: str
    installed: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class CacheEntry:
    """A folder of the cache and its size in bytes."""

    name: str
    n_bytes: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine and the installation.

    Attributes:
        versions: versions of Python, the platform and the main packages; None if not installed.
        cores: number of CPU cores that this process may use, limited by affinity and container
            quota.
        memory_bytes: memory of the machine, or of its container; None if unknown.
        available_bytes: memory that is free now; None if unknown.
        disk_free_bytes: free disk space by folder, for the folder of runs and the cache.
        cache: folder of the cache.
        cached: entries of the cache.
    """

    versions: dict[str, str | None]
    cores: float
    memory_bytes: int | None
    available_bytes: int | None
    disk_free_bytes: dict[str, int]
    extras: tuple[Extra, ...]
    cache: str
    cached: tuple[CacheEntry, ...]


def describe_machine(folder: Path = Path()) -> Machine:
    """Describe this machine.

    Args:
        folder: where run folders will be written.
    """
    cache = cache_dir()
    return Machine(
        versions={
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{name: _version(name) for name in _SHOWN},
        },
        cores=_cores(),
        memory_bytes=_memory(),
        available_bytes=_available(),
        disk_free_bytes={str(path): _free(path) for path in (folder.resolve(), cache)},
        extras=tuple(_extras()),
        cache=str(cache),
        cached=tuple(_cached(cache)),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extras() -> Iterator[Extra]:
    """Yield every extra for users; extras that contain other extras were resolved by the build."""
    stated: dict[str, dict[str, str | None]] = {}
    for line in requires("auditkit") or ():
        if (package := _REQUIREMENT.match(line)) is not None:
            for extra in _EXTRA.findall(line):
                stated.setdefault(extra, {})[package[1]] = _version(package[1])
    for name, found in stated.items():
        if name in _FOR_DEVELOPERS:
            continue
        missing = tuple(package for package, number in found.items() if number is None)
        yield Extra(
            name,
            installed=tuple((package, number) for package, number in found.items() if number),
            missing=missing,
            command=f'pip install "auditkit[{name}]"' if missing else "",
        )


def _cores() -> float:
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _read(_CGROUP / "cpu.max").split()
    if len(quota) == 2 and all(part.isdigit() for part in quota) and int(quota[1]):
        return min(float(allowed), int(quota[0]) / int(quota[1]))
    return float(allowed)


def _memory() -> int | None:
    """Memory in bytes of the machine, or the limit of the container if lower; None if unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not on every system
        return None
    limit = _read(_CGROUP / "memory.max").strip()
    return min(total, int(limit)) if limit.isdigit() else total


def _available() -> int | None:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _read(Path("/proc/meminfo")), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _free(folder: Path) -> int:
    """Free bytes of the file system of a folder, which may not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def _cached(cache: Path) -> Iterator[CacheEntry]:
    for entry in sorted(cache.iterdir()) if cache.is_dir() else ():
        files = [entry] if entry.is_file() else list(entry.rglob("*"))
        sizes = [path.lstat().st_size for path in files if path.is_file() and not path.is_symlink()]
        yield CacheEntry(entry.name, sum(sizes))
