"""Mutated copies of valid files and answers, and the limits that a reader must keep on them.

Mutations know only bytes and the rough shape of a token, so one set serves JSON, tables and plain
text. Inputs stay small; a reader that needs much time or memory for them scales badly.
"""

from __future__ import annotations

import re
import resource
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

__all__ = ["limited_time", "mutated", "peak_bytes", "start_peak"]

_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|[^\s,;|"{}\[\]:]+', re.DOTALL
)
_PAIR = re.compile(rb'"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[-\w.]+)')
_WORDS = [
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"-0.0",
    b"1e5",
    b"1.50",
    b"1e300",
    b"-1e308",
    b"1e999",
    b"1e-999",
    b"NaN",
    b"-Infinity",
    b"9" * 30,
    b"9" * 400,
    b"9" * 5000,
    b'"' + b"1" * 5000 + b'"',
    b"1_000",
    b'"1_000"',
    b"[]",
    b"{}",
    b'""',
    b'" "',
    b"[null]",
    b'[""]',
    b'{"a":1}',
    b"[[1,{}]]",
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\\u2028"',
    b"\\N",
    b"nan",
    b"None",
    b'"',
    b'""""',
    b"'",
    b"['a',",
    b"['a', 'b']",
    b"{'a': 1}",
    b"1995-00-00",
    b"0000",
    b"99999",
    b"(1999)",
    b"&amp;",
    b"&#0;",
    b"&#1114112;",
    b"<think>",
    b"</think>",
    b"<|channel|>final<|message|>",
    b"```json",
    b"1. ",
    b"- ",
    "٣".encode(),
    "²".encode(),
    "①".encode(),
    "é".encode("latin-1"),
    "\ud800".encode("utf-8", "surrogatepass"),
]
_PIECES = [
    b"\x00",
    b"\x07",
    b"\x08",
    b"\x0b",
    b"\x0c",
    b"\x1b[31m",
    b"\x1c",
    b"\x7f",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b",",
    b";",
    b"|",
    b":",
    b"\\",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"\xff",
    b"\xc0\x80",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    "\x85".encode(),
    "\u2028".encode(),
    "\u202e".encode(),
    "\u200b".encode(),
    "\ufeff".encode(),
    "\U0001f600".encode(),
    "e\u0301".encode(),
    "\ufdfa".encode(),
]
_DEPTHS = (5, 60, 300, 480, 700, 900, 980, 1500, 4000)
_ENCODINGS = ("latin-1", "utf-16", "utf-16-le", "utf-8-sig", "cp1252")
_LONGEST = 20_000


def mutated(seed: bytes, others: list[bytes], rng: Random) -> bytes:
    """A copy of `seed` with 1 to 4 mutations; `others` are spliced in."""
    content = seed
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        content = rng.choice(_MUTATIONS)(content, others, rng)
    return content[:_LONGEST]


def _flip(content, others, rng):
    if not content:
        return content
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def _span(content, rng):
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 5, 20, 80)))


def _delete(content, others, rng):
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def _duplicate(content, others, rng):
    start, end = _span(content, rng)
    return content[:end] + content[start:end] * rng.choice((1, 2, 30)) + content[end:]


def _splice(content, others, rng):
    other = rng.choice(others)
    return content[: _span(content, rng)[0]] + other[_span(other, rng)[0] :]


def _truncate(content, others, rng):
    return content[: rng.randrange(len(content) + 1)]


def _insert(content, others, rng):
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.choice(_PIECES) * rng.choice((1, 1, 3, 200)) + content[place:]


def _replace_token(content, others, rng):
    tokens = list(_TOKEN.finditer(content))
    if not tokens:
        return content
    token, word = rng.choice(tokens), rng.choice(_WORDS)
    return content[: token.start()] + word + content[token.end() :]


def _nest(content, others, rng):
    """Replace a token by deeply nested lists or objects."""
    tokens = list(_TOKEN.finditer(content))
    token = rng.choice(tokens) if tokens else None
    depth = rng.choice(_DEPTHS)
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"title":', b"}]")))
    nested = opening * depth + rng.choice((b"1", b'"x"', b"")) + closing * depth
    start, end = token.span() if token else (0, 0)
    return content[:start] + nested + content[end:]


def _swap(content, others, rng):
    tokens = list(_TOKEN.finditer(content))
    if len(tokens) < 2:
        return content
    first, second = sorted(rng.sample(tokens, 2), key=lambda token: token.start())
    return (
        content[: first.start()]
        + second[0]
        + content[first.end() : second.start()]
        + first[0]
        + content[second.end() :]
    )


def _repeat_pair(content, others, rng):
    """Repeat a key with its value in the same object, or in an object elsewhere."""
    pairs = list(_PAIR.finditer(content))
    if not pairs:
        return content
    pair, place = rng.choice(pairs), rng.choice(pairs).start()
    return content[:place] + pair[0] + b"," + content[place:]


def _recode(content, others, rng):
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(_ENCODINGS), "replace")


_MUTATIONS = (
    _flip,
    _flip,
    _delete,
    _duplicate,
    _splice,
    _truncate,
    _insert,
    _insert,
    _replace_token,
    _replace_token,
    _replace_token,
    _nest,
    _swap,
    _repeat_pair,
    _recode,
)


class TooSlow(BaseException):
    """A reader used more processor time than allowed; no handler of `Exception` may hide it."""


@contextmanager
def limited_time(seconds: float):
    """A function that starts the clock anew; TooSlow is raised `seconds` of this process's
    processor time later, so that a busy machine does not matter.
    """

    def stop(signum, frame):
        raise TooSlow(f"over {seconds} seconds of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def start_peak() -> int:
    """Reset the peak of the resident memory where the system can, and return it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    """Peak of the resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
