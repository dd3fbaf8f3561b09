"""Redaction of secrets from the environment in everything that is written or printed.

A recommender may echo its own key in a response, a title or an exception. All output is therefore
searched for the values of variables whose names suggest a secret, in the usual forms: plain,
URL-encoded, base64 (also inside a longer text) and escaped as JSON. Only secrets of at least 8
characters are searched for, because shorter secrets would match by chance.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast
from urllib.parse import quote, quote_plus

__all__ = ["KEY_POINTER", "Redaction", "map_text", "redact_process", "redacted_streams"]

_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_SETTINGS = "AUDITKIT_"
KEY_POINTER = "AUDITKIT_API_KEY_ENV"  # names the variable that holds the key
_MIN_LENGTH = 8


class Redaction:
    """Replaces secrets by `[redacted:LENGTH]`.

    Args:
        environment: environment variables by name. A value is redacted if the name of its variable
            suggests a secret and the value is not an existing path.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        named = os.environ if environment is None else environment
        secrets = {
            value
            for name, value in named.items()
            if _is_secret(name, named) and len(value) >= _MIN_LENGTH and not _is_path(value)
        }
        self._lengths = {form: len(secret) for secret in secrets for form in _forms(secret)}
        longest_first = sorted(self._lengths, key=lambda form: (-len(form), form))
        self._pattern = (
            re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        )

    def __bool__(self) -> bool:
        """Whether there is any secret to replace."""
        return self._pattern is not None

    def text(self, text: str) -> str:
        """Replace the secrets in a text."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[redacted:{self._lengths[found[0]]}]", text)

    def tree(self, value: Any) -> Any:
        """Redact every string of a JSON value, including keys."""
        return value if self._pattern is None else map_text(value, self.text)


def map_text(value: Any, change: Callable[[str], str]) -> Any:
    """Apply a function to every string of a JSON value, including keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): map_text(held, change) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [map_text(held, change) for held in value]
    return value


def _is_secret(name: str, environment: Mapping[str, str]) -> bool:
    """Whether a variable contains a secret: its name suggests one, or it is the endpoint key.

    Settings of auditkit itself are not secrets.
    """
    if name.startswith(_SETTINGS):
        return False
    return name == environment.get(KEY_POINTER) or any(word in name.upper() for word in _NAMES)


def _is_path(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):
        return False


def _forms(secret: str) -> set[str]:
    """Return the forms in which a secret may occur, each of at least the minimum length."""
    import json  # only where a secret is set: every start of the command line loads this module

    raw = secret.encode("utf-8", "surrogateescape")
    quoted = [quote(raw, safe=""), quote(raw), quote_plus(raw)]
    forms = {
        secret,
        *quoted,
        *(re.sub("%..", lambda found: found[0].lower(), form) for form in quoted),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        repr(secret)[1:-1],
        *_base64_forms(raw),
    }
    return {form for form in forms if len(form) >= _MIN_LENGTH}


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield, for each of the three alignments, the part of the Base64 text that depends only on
    `raw`.
    """
    for offset in range(3):
        encoded = binascii.b2a_base64(b"\0" * offset + raw, newline=False).decode("ascii")
        own = encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        yield from (own, own.translate(str.maketrans("+/", "-_")))


class _RedactedStream:
    """Text stream that redacts its output and delegates all other methods."""

    def __init__(self, stream: TextIO, redaction: Redaction) -> None:
        self._stream, self._redaction = stream, redaction

    def write(self, text: str) -> int:
        """Write the text with secrets redacted."""
        self._stream.write(self._redaction.text(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_process() -> None:
    """Redact all output of this process until it ends.

    This includes the last output of the interpreter: tracebacks, the message of `sys.exit` and
    errors of exit handlers.
    """
    sys.excepthook = _show_redacted
    redaction = Redaction()
    if redaction:
        sys.stdout, sys.stderr = _wrapped(redaction)


@contextlib.contextmanager
def redacted_streams() -> Iterator[None]:
    """Context in which stdout and stderr are redacted."""
    redaction = Redaction()
    if not redaction:
        yield
        return
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _wrapped(redaction)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


def _wrapped(redaction: Redaction) -> tuple[TextIO, TextIO]:
    out, err = (_RedactedStream(stream, redaction) for stream in (sys.stdout, sys.stderr))
    return cast(TextIO, out), cast(TextIO, err)


def _show_redacted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print a traceback in which the secrets of the current environment are redacted.

    The environment is read again, because audited code may have set a key since the start.
    """
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(Redaction().text("".join(lines)))
