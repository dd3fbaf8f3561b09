"""Lines of a text file that a user names, with an error that says what the file should be."""

from __future__ import annotations

from pathlib import Path

from auditkit.errors import ConfigurationError

__all__ = ["read_lines"]


def read_lines(path: Path, *, what: str, hint: str) -> list[str]:
    """The lines of a UTF-8 file.

    Args:
        what: what the file is read as, such as "a list of users". hint: what to give instead.

    Raises:
        ConfigurationError: the file is missing, or its content is not text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as {what} ({error}). {hint}") from None
