"""File of user ids, such as users who asked to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditkit.errors import ConfigurationError
from auditkit.serialization.text_lines import read_lines

__all__ = ["read_user_ids"]


def read_user_ids(path: Path, user_ids: Sequence[str]) -> list[int]:
    """Read a file with one user id per line; return the users' positions in the data, ascending.

    Raises:
        ConfigurationError: the file is missing or empty, or an id is not in the data.
    """
    lines = read_lines(
        path, what="a list of users", hint="Give a text file with one user id per line."
    )
    named = [line.strip() for line in lines if line.strip()]
    index = {user: position for position, user in enumerate(user_ids)}
    unknown = [user for user in named if user not in index]
    if unknown or not named:
        what = f"names {unknown[0]!r}, which is not a user of the data" if unknown else "is empty"
        raise ConfigurationError(f"{path} {what}. Give one user id of the data per line.")
    return sorted({index[user] for user in named})
