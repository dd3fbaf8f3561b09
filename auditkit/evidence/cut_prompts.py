"""Prompts that a server shortened without an error, found by the tokens that it counts.

A server whose context window is shorter than the prompt may cut it and answer all the same. The
response then counts fewer prompt tokens than the text needs, and every figure from it describes
another prompt than the one that was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

__all__ = ["cut_prompts"]

# More characters in a token than any text in words has; English has 4 to 5.
_MAX_CHARACTERS = 12
_FEWEST_CHARACTERS = 2_000  # of such a prompt
_FEWEST_PROMPTS = 10  # to compare prompts with each other


class _Sent(NamedTuple):
    characters: int
    tokens: int
    plain: bool  # ASCII only: look-alike letters and invisible characters need more tokens


def cut_prompts(records: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """A note on prompts whose number of tokens shows that they were cut.

    A prompt was cut if it has more than 12 characters per token, or if it is at least twice as long
    as the median prompt and counts no more tokens. What a server adds to every prompt only raises
    the counts, so it raises no false alarm.

    Returns:
        The note; an empty tuple if no prompt is known to have been cut.
    """
    sent = [found for record in records if (found := _sent(record)) is not None]
    plain = [one for one in sent if one.plain]
    # A server that states one number for all prompts does not count.
    comparable = len(plain) >= _FEWEST_PROMPTS and len({one.tokens for one in plain}) > 1
    length = 2 * median(one.characters for one in plain) if comparable else 0
    usual = median(one.tokens for one in plain) if comparable else 0
    cut = [
        one
        for one in sent
        if one.characters > max(_FEWEST_CHARACTERS, _MAX_CHARACTERS * one.tokens)
        or (one.plain and one.characters >= length and one.tokens <= usual)
    ]
    if not cut:
        return ()
    longest = max(cut)
    return (
        f"{len(cut)} of {len(sent)} prompts were cut by the server without an error: one of "
        f"{longest.characters:,} characters counts as {longest.tokens:,} tokens. Figures from them "
        "describe other prompts than those that were sent. Start the server with a longer context "
        "window and audit again.",
    )


def _sent(record: Mapping[str, Any]) -> _Sent | None:
    """Length and tokens of one prompt; None if the response does not count its tokens."""
    asked = record["request"]
    tokens = record["usage"].get("prompt_tokens")
    # The tokens of a score are a sum over several prompts, and a conversation has other texts.
    if asked["op"] not in ("recommend", "generate") or not tokens:
        return None
    texts = [asked["prompt"], *(turn["content"] or "" for turn in asked.get("messages", ()))]
    return _Sent(sum(map(len, texts)), tokens, all(map(str.isascii, texts)))
