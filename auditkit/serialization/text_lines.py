"""Reader of the lines of a text file, whose error states what the file should contain."""

from __future__ import annotations

from pathlib import Path

from auditkit.errors import ConfigurationError

__all__ = ["read_lines"]


def read_lines(path: Path, *, what: str, hint: str) -> list[str]:
    """Read the lines of a UTF-8 file.

    Args:
        path: the file.
        what: expected content for the message, such as "a list of users".
        hint: second sentence of the message, which says what to give instead.

    Raises:
        ConfigurationError: the file is missing, or its content is not text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as {what} ({error}). {hint}") from None
