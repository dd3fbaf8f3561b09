"""The files that a recipe, a policy or a data description names, which must be beside it.

A recipe may come from somebody else. It reads only files of its own folder and of the current one;
`../`, other absolute paths and links that lead outside are refused unless the user allows them. A
path on the command line is the user's own and is not checked.
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
    """Find the files that a document names, and the errors of those outside.

    A file that is not in the first folder but in another one is written into the document with that
    folder.

    Args:
        document: its entries at `places` may be changed.
        places: key paths of the entries that may name a file or folder, with positions in lists;
            other names are left as they are.
        folders: where relative paths are looked for, in this order.
        allow_outside: whether files outside the folders are allowed.

    Returns:
        (line, message) of every file that is outside.
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
                f"{named!r} leads to {(folder / named).resolve()}, outside {folder.resolve()}. "
                "Copy the file there, or add --allow-outside if you trust this file."
            )
            errors.append(located(document, place, message))
    return errors


def _section(data: Any, place: Sequence[str | int]) -> Any:
    """The mapping or list at a key path; an empty mapping if there is none."""
    for key in place:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict | list) else {}


def _holds(section: Any, key: str | int) -> bool:
    if isinstance(section, list):
        return isinstance(key, int) and key < len(section)
    return key in section


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
