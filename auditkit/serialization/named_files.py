"""Resolution of files that a recipe, a policy or a data description names.

A recipe may come from another person, so it may name only files in its own folder and in the
current folder. Paths with `../`, other absolute paths and links that lead outside are rejected
unless the user allows them. Paths on the command line come from the user and are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from auditkit.serialization.strict_yaml import Document
from auditkit.serialization.yaml_errors import located

__all__ = ["resolve_named_files"]


def resolve_named_files(
    document: Document,
    places: Iterable[Sequence[str | int]],
    *,
    folders: Sequence[Path],
    allow_outside: bool,
) -> list[tuple[int, str]]:
    """Resolve the files that a document names, and return errors for files outside of the folders.

    If a file is not in the first folder but in another one, its entry in the document is replaced
    by the path in that folder.

    Args:
        document: the document, whose entries at `places` may be changed.
        places: key paths, with positions in lists, of the entries that may name a file or folder.
            Entries that do not name a path remain unchanged.
        folders: folders in which relative paths are searched, in this order.
        allow_outside: whether files outside the folders are allowed.

    Returns:
        (line, message) of every file outside of the folders; empty if `allow_outside`.
    """
    errors = []
    for place in places:
        section, key = _section(document.data, place[:-1]), place[-1]
        named = section[key] if _holds(section, key) else None
        if not isinstance(named, str) or not named or "\0" in named:
            continue
        folder = next((one for one in folders if (one / named).exists()), folders[0])
        if folder != folders[0]:
            section[key] = str(folder / named)
        if not allow_outside and not any(_inside(folder / named, base) for base in folders):
            message = (
                f"{named!r} leads to {(folder / named).resolve()}, outside of {folder.resolve()}. "
                "Copy the file into this folder, or add --allow-outside if you trust the document "
                "that names it."
            )
            errors.append(located(document, place, message))
    return errors


def _section(data: Any, place: Sequence[str | int]) -> Any:
    """Return the mapping or list at a key path; an empty mapping if there is none."""
    for key in place:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict | list) else {}


def _holds(section: Any, key: str | int) -> bool:
    if isinstance(section, list):
        return isinstance(key, int) and key < len(section)
    return key in section


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
