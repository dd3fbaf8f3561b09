"""Log-probabilities of a text that a server read, from a completion that echoes its prompt.

Servers disagree on where a token begins: a text of its own for the begin-of-sequence token, or
bytes instead of characters, shift all offsets, and the numbers of other tokens would be taken
without a word. So tokens are matched with the text from its end; offsets count only where those of
the tokens do not spell it, and only if the last one is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.errors import TargetError

__all__ = ["behind"]


def behind(continuation: str, result: Mapping[str, Any]) -> list[float]:
    """Nats of the tokens of a continuation, one that stands across its beginning included.

    Args:
        continuation: what the echoed prompt ends with.
        result: a completion of at most one new token, asked for with `echo` and `logprobs`.

    Raises:
        TargetError: no log-probabilities, or tokens that do not fit the text.
    """
    try:
        choice = result["choices"][0]
        table = choice["logprobs"]
        tokens = [str(token) for token in table["tokens"]]
        values = list(table["token_logprobs"])
        if len(tokens) != len(values):
            raise ValueError
        n_read = len(tokens) - _n_new(result)
    except (KeyError, IndexError, TypeError, ValueError):
        raise TargetError("bad_schema", detail="no log-probabilities of the prompt") from None
    begin = _by_text(continuation, tokens[:n_read])
    if begin is None:
        begin = _by_offset(continuation, choice, table.get("text_offset"), n_read)
    found = values[begin:n_read]
    if not found or not all(_is_log_probability(value) for value in found):
        raise TargetError("bad_schema", detail="no log-probabilities of the continuation")
    return [float(value) for value in found]


def _n_new(result: Mapping[str, Any]) -> int:
    """Tokens behind the echo: as counted by the server, else the one that was asked for."""
    usage = result.get("usage")
    stated = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return stated if stated in (0, 1) else 1


def _by_text(continuation: str, tokens: Sequence[str]) -> int | None:
    """Place of the token in which the continuation begins; None where they do not spell it."""
    spelled, begin = "", len(tokens)
    while len(spelled) < len(continuation) and begin:
        begin -= 1
        spelled = tokens[begin] + spelled
    return begin if spelled.endswith(continuation) else None


def _by_offset(continuation: str, choice: Mapping[str, Any], offsets: object, n_read: int) -> int:
    """The same by the offsets of a server whose characters several tokens share."""
    text = choice.get("text")
    if isinstance(offsets, list) and isinstance(text, str) and len(offsets) > n_read:
        whole = offsets[n_read]  # where the new token begins
        if isinstance(whole, int) and text[:whole].endswith(continuation):
            first = whole - len(continuation)
            inside = [place for place in range(n_read) if offsets[place + 1] > first]
            return inside[0] if inside else n_read
    raise TargetError("bad_schema", detail="tokens that do not fit the text")


def _is_log_probability(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value <= 1e-6  # type: ignore[arg-type, operator]
