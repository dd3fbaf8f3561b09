"""A file that names users, such as those who asked to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditkit.errors import ConfigurationError
from auditkit.serialization.text_lines import read_lines

__all__ = ["read_user_ids"]


def read_user_ids(path: Path, user_ids: Sequence[str]) -> list[int]:
    """Positions of the users that a file names, one id in each line, in the order of the data.

    Raises:
        ConfigurationError: no such file, no id, or an id that the data lack.
    """
    lines = read_lines(
        path, what="a list of users", hint="Give a text file with one user id in each line."
    )
    named = [line.strip() for line in lines if line.strip()]
    index = {user: position for position, user in enumerate(user_ids)}
    unknown = [user for user in named if user not in index]
    if unknown or not named:
        what = f"names {unknown[0]!r}, which is not a user of the data" if unknown else "is empty"
        raise ConfigurationError(f"{path} {what}. Give one user id of the data in each line.")
    return sorted({index[user] for user in named})
