"""Check of users' regular expressions, which rejects slow patterns before they are applied.

Python's engine backtracks, and a repetition of a group with a repetition inside, such as `(a+)+`,
takes exponential time on a text that almost matches. Such patterns are detected by their structure.
Overlapping alternatives, such as `(a|a)*`, are not detected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["check_pattern", "has_nested_repetition"]

# An escaped character, a set of characters, a group's begin or end, a repetition without a limit
# or with a large one, or any other character.
_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?[:=!]|\?<?[=!]|\?P?<\w+>)?)"
    r"|(?P<close>\))|(?P<repeat>[*+]|\{\d*,\d*\})|(?P<other>.)",
    re.DOTALL,
)


def check_pattern(pattern: str) -> None:
    """Reject a pattern that is invalid, matches every text, or may take exponential time.

    Raises:
        ValueError: the pattern is rejected; the message states the reason.
    """
    try:
        found_in_nothing = re.search(pattern, "") is not None
    except re.error as error:
        raise ValueError(f"`matches` is not a valid regular expression: {error}") from None
    if found_in_nothing:
        raise ValueError(
            "`matches` also matches the empty text, so every answer would be a violation"
        )
    if has_nested_repetition(pattern):
        raise ValueError(
            "`matches` repeats a group that contains a repetition, which may take hours on one "
            "text; write the pattern without nested repetitions, or use `contains`"
        )


def has_nested_repetition(pattern: str) -> bool:
    """Whether a repeated group contains a repetition at any depth, as in `((a+)b)*`."""
    repeated = [False]  # for each open group, whether it has a repetition so far
    closed: bool | None = None  # of the group that the last token closed
    for kind in _tokens(pattern):
        if kind == "repeat":
            if closed:
                return True
            repeated[-1] = True
        inner = repeated.pop() if kind == "close" and len(repeated) > 1 else None
        if kind == "open":
            repeated.append(False)
        closed = inner
        repeated[-1] = repeated[-1] or bool(inner)
    return False


def _tokens(pattern: str) -> Iterator[str]:
    for token in _TOKEN.finditer(pattern):
        yield str(token.lastgroup)
