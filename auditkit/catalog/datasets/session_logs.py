"""Read logs of sessions with one JSON object per line, which `auditkit check-users` compares."""

from __future__ import annotations

from pathlib import Path

from auditkit.errors import ConfigurationError
from auditkit.serialization.canonical_json import read_json
from auditkit.serialization.text_lines import read_lines

__all__ = ["read_sessions"]

_KEYS = ("length", "acceptances", "repeats")
_EXAMPLE = '{"length": 7, "acceptances": 3, "repeats": 1}'


def read_sessions(path: Path) -> list[tuple[int, int, int]]:
    """Read (length, acceptances, repeats) of every session of a JSON-lines file; other keys are
    ignored.

    Raises:
        ConfigurationError: the file cannot be read, or a line is not a session; the message names
            the line.
    """
    lines = read_lines(path, what="a log of sessions", hint="Give a JSON-lines file.")
    return [
        _session(line, f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _session(line: str, place: str) -> tuple[int, int, int]:
    try:
        row = read_json(line)
    except ValueError as error:
        raise ConfigurationError(
            f"{place} is not valid JSON ({error}). Write {_EXAMPLE}."
        ) from None
    stated = [row.get(key) for key in _KEYS] if isinstance(row, dict) else [None]
    whole = [n for n in stated if isinstance(n, int) and not isinstance(n, bool)]
    if len(whole) < len(_KEYS) or min(whole) < 0 or whole[0] < 1 or max(whole[1:]) > whole[0]:
        raise ConfigurationError(
            f"{place} is not a session: length must be at least 1, acceptances and repeats between "
            f"0 and the length. Write {_EXAMPLE}."
        )
    length, acceptances, repeats = whole
    return length, acceptances, repeats
