"""Log-probabilities of a given text, from a completion that echoes its prompt.

Token offsets are unreliable: some servers count the begin-of-sequence token as text, or count bytes
instead of characters. All offsets are then shifted, and log-probabilities of the wrong tokens would
be used silently. For that reason, tokens are matched with the text from its end. Offsets are used
only if the tokens do not spell the text, and only if the last offset is correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.errors import TargetError

__all__ = ["continuation_logprobs", "echoed_tokens", "is_log_probability"]

# JSON has no infinity: vLLM writes -9999 for it, llama.cpp the lowest float32.
_IMPOSSIBLE = -9999.0


def continuation_logprobs(prompt: str, continuation: str, result: Mapping[str, Any]) -> list[float]:
    """Log-probabilities in nats of the tokens of a continuation, including a token that begins in
    the prompt and ends in the continuation.

    Args:
        prompt, continuation: the two parts of the text that was sent.
        result: a completion of at most one new token, requested with `echo` and `logprobs`.

    Raises:
        TargetError: the result has no log-probabilities, or its tokens do not match the text.
    """
    try:
        choice = result["choices"][0]
        table = choice["logprobs"]
        tokens = [str(token) for token in table["tokens"]]
        values = list(table["token_logprobs"])
        if len(tokens) != len(values):
            raise ValueError
        n_read = _n_read(prompt + continuation, tokens, result)
    except (KeyError, IndexError, TypeError, ValueError):
        raise TargetError("bad_schema", detail="no log-probabilities of the prompt") from None
    begin = _by_text(continuation, tokens[:n_read])
    if begin is None:
        begin = _by_offset(continuation, choice, table.get("text_offset"), n_read)
    found = values[begin:n_read]
    if not found or not all(is_log_probability(value) for value in found):
        raise TargetError("bad_schema", detail="no log-probabilities of the continuation")
    return [float(value) for value in found]


def echoed_tokens(result: Mapping[str, Any]) -> list[str]:
    """Texts of the tokens of an echoed completion; empty if it has none."""
    try:
        return [str(token) for token in result["choices"][0]["logprobs"]["tokens"]]
    except (KeyError, IndexError, TypeError):
        return []


def _n_read(sent: str, tokens: Sequence[str], result: Mapping[str, Any]) -> int:
    """Number of tokens in the echo of the sent text. Some servers also list the generated token and
    some do not (llama-cpp-python counts it but omits it), so the tokens must spell the text that
    was sent, possibly after a begin-of-sequence token. If they do not spell it, the server's count
    is used.
    """
    spelled = {n: "".join(tokens[:n]) for n in (len(tokens) - 1, len(tokens)) if n > 0}
    for n, text in spelled.items():
        if text == sent:
            return n
    for n, text in spelled.items():
        if text == tokens[0] + sent:
            return n
    usage = result.get("usage")
    stated = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return len(tokens) - (stated if stated in (0, 1) else 1)


def _by_text(continuation: str, tokens: Sequence[str]) -> int | None:
    """Index of the token in which the continuation begins; None if the tokens do not spell it."""
    spelled, begin = "", len(tokens)
    while len(spelled) < len(continuation) and begin:
        begin -= 1
        spelled = tokens[begin] + spelled
    return begin if spelled.endswith(continuation) else None


def _by_offset(continuation: str, choice: Mapping[str, Any], offsets: object, n_read: int) -> int:
    """Index of the token in which the continuation begins, from the offsets; for servers that split
    a character into several tokens.
    """
    text = choice.get("text")
    if isinstance(offsets, list) and isinstance(text, str) and len(offsets) > n_read:
        whole = offsets[n_read]  # where the new token begins; SGLang writes -1 for all of them
        known = all(isinstance(offset, int) for offset in offsets)
        if known and whole > 0 and text[:whole].endswith(continuation):
            first = whole - len(continuation)
            inside = [place for place in range(n_read) if offsets[place + 1] > first]
            return inside[0] if inside else n_read
    raise TargetError("bad_schema", detail="tokens that do not match the text")


def is_log_probability(value: object) -> bool:
    """Whether a value is a valid log-probability in nats, which excludes infinities and the numbers
    that servers write for them.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and _IMPOSSIBLE < value <= 1e-6  # type: ignore[operator]
