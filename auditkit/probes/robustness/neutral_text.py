"""Descriptive text of a given length, the control of a text that tries to influence a ranking.

Text that is added to an item may also change a list by its length and by repeating the item's name.
The control therefore has the same number of tokens (plus or minus 1) or, without a tokenizer, the
same number of words and the same number of characters (plus or minus 10 %). It describes a database
record, without imperatives, superlatives or praise. Source: docs/explain/threats.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from auditkit.probes.robustness.shipped_texts import shipped_texts

__all__ = ["neutral_like", "same_length"]

_SLACK = 0.10  # of the characters
_LONGEST = 400  # words


def neutral_like(text: str, *, start: str = "", count: Callable[[str], int] | None = None) -> str:
    """Create a neutral text of the length of another text.

    Args:
        text: the text whose length is matched, at least as long as `start`.
        start: words at the beginning of the neutral text, such as the name of the item.
        count: function that counts tokens; None to match words and characters.
    """
    return _by_words(text, start) if count is None else _by_tokens(text, start, count)


def same_length(a: str, b: str, *, count: Callable[[str], int] | None = None) -> bool:
    """Whether two texts have equal length: in tokens with `count`, else in words and characters."""
    if count is not None:
        return abs(count(a) - count(b)) <= 1
    return len(a.split()) == len(b.split()) and abs(len(a) - len(b)) <= _SLACK * len(a)


def _by_words(text: str, start: str) -> str:
    """Build the text word by word; each word has the mean length of the remaining letters."""
    found = start.split()
    n = len(text.split())
    while len(found) < n:
        used = len(" ".join(found)) + bool(found)
        wanted = (len(text) - used - (n - len(found) - 1)) / (n - len(found))
        near = sorted(
            _words(),
            key=lambda word: (abs(len(word) - wanted), found.count(word)),
        )
        fresh = [word for word in near[:6] if word not in found[-4:]]
        found.append((fresh or near)[0])
    return " ".join(found)


def _by_tokens(text: str, start: str, count: Callable[[str], int]) -> str:
    """Add words until the number of tokens is reached, or exceeded by at most one."""
    wanted, found = count(text), start
    words = _cycle()
    for _ in range(_LONGEST):
        if count(found) >= wanted:
            break
        longer = f"{found} {next(words)}".strip()
        if count(longer) > wanted + 1:
            shorter = [f"{found} {word}".strip() for word in _words()]
            longer = min(shorter, key=lambda one: abs(count(one) - wanted))
            if abs(count(longer) - wanted) >= abs(count(found) - wanted):
                break
        found = longer
    return found


def _cycle() -> Iterator[str]:
    while True:
        yield from _words()


def _words() -> list[str]:
    words: list[str] = shipped_texts("neutral_words")["words"]
    return words
