"""Canonical JSON: one byte representation for every value, and its hash.

Keys are sorted, and the text is ASCII without white space or NaN. Lone surrogates and U+2028 are
escaped, so a file is always valid UTF-8 and equal values have equal bytes on every machine. Source:
RFC 8785, except that floats use Python's `repr`, which round-trips exactly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = ["canonical_json", "json_list", "read_json", "sha256_bytes", "sha256_json", "sha256_text"]


def canonical_json(value: object, *, indent: int | None = None) -> str:
    """Serialize `value` so that equal values give equal bytes.

    Args:
        value: anything `json` can represent; floats must be finite.
        indent: spaces per level, 1 for files that people read; a list of plain values, such as the
            quantiles of an estimate, is written on one line. None writes the whole value on one
            line.

    Raises:
        ValueError: a float is NaN or infinite; write an undefined number as `null` with a reason.
    """
    if indent is None or not isinstance(value, dict | list | tuple) or not value:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
        )
    return _indented(value, indent, indent)


def _indented(value: dict[str, Any] | list[Any] | tuple[Any, ...], indent: int, depth: int) -> str:
    """Format a list or mapping on several lines, with the closing bracket one level less
    indented.
    """

    def written(inner: Any) -> str:
        nested = isinstance(inner, dict | list | tuple) and inner
        flat = isinstance(inner, list | tuple) and not any(
            isinstance(one, dict | list | tuple) for one in inner
        )
        if nested and not flat:
            return _indented(inner, indent, depth + indent)
        return canonical_json(inner)

    begin, end = "\n" + " " * depth, "\n" + " " * (depth - indent)
    if isinstance(value, dict):
        lines = [f"{canonical_json(str(key))}: {written(value[key])}" for key in sorted(value)]
        return "{" + begin + f",{begin}".join(lines) + end + "}"
    return "[" + begin + f",{begin}".join(map(written, value)) + end + "]"


def read_json(text: str, *, parse_float: Callable[[str], Any] = float) -> Any:
    """Parse JSON strictly: duplicate keys and NaN are errors.

    Args:
        text: the JSON text.
        parse_float: function that converts the text of a number with a fraction or an exponent.

    Raises:
        ValueError: the text is not JSON, or it contains a repeated key, NaN, Infinity, or brackets
            nested to a depth of about 1,000, the recursion limit of Python.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key occurs twice in one object")
        return result

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a valid JSON number")

    try:
        return json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_float=parse_float
        )
    except RecursionError:
        raise ValueError("the brackets of the JSON text are nested too deeply") from None


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def json_list(chunks: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the canonical JSON of one long list in pieces, without copying the whole list.

    Args:
        chunks: adjacent parts of the list, as lists.
    """
    separator = "["
    for chunk in chunks:
        if chunk:
            yield separator + canonical_json(chunk)[1:-1]
            separator = ","
    yield "]" if separator == "," else "[]"


def sha256_text(pieces: Iterable[str]) -> str:
    """Return the SHA-256, as 64 hex digits, of an ASCII text that is given in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.encode("ascii"))
    return digest.hexdigest()


def sha256_json(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of `value` as 64 hex digits."""
    return sha256_bytes(canonical_json(value).encode("ascii"))
