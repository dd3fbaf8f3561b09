"""Edits as spans of the original text, and the edits of a word that operators propose.

Every edit refers to the original text, so no index moves when other edits are added, and invisible
characters do not split words. An edit replaces one whole editable word; protected spans remain
byte-equal by construction.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from auditkit.perturb.noise import NOISE
from auditkit.perturb.threat_model import EditableText, Span

__all__ = [
    "Edits", "SpanEdit", "applied", "deletion", "edits_between", "n_edited_words",
    "proposals", "random_edit",
]  # fmt: skip

_WORD = re.compile(r"\S+")
_TOKEN = re.compile(r"\s+|\S+")


class SpanEdit(NamedTuple):
    """Replace the characters from `begin` to `end` (exclusive) of the original text by `text`."""

    begin: int
    end: int
    text: str


Edits = tuple[SpanEdit, ...]


def applied(text: str, edits: Iterable[SpanEdit]) -> str:
    """Apply edits that do not overlap to a text."""
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [text[at : edit.begin], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def proposals(
    text: EditableText, word: Span, kinds: Sequence[str], rng: np.random.Generator
) -> list[SpanEdit]:
    """Draw one random edit of a word for every kind of operator that changes the word."""
    original = text.text[word.begin : word.end]
    changed = [NOISE[kind].change(original, rng, 1) for kind in kinds]
    return [SpanEdit(*word, new) for new in dict.fromkeys(changed) if new != original]


def random_edit(
    text: EditableText, word: Span, kinds: Sequence[str], rng: np.random.Generator
) -> SpanEdit | None:
    """Draw a random edit of a word by a random kind of operator; None if no kind changes the
    word.
    """
    original = text.text[word.begin : word.end]
    for i in rng.permutation(len(kinds)).tolist():
        new = NOISE[kinds[i]].change(original, rng, 1)
        if new != original:
            return SpanEdit(*word, new)
    return None


def deletion(word: Span) -> SpanEdit:
    """The edit that removes a word, to measure its importance."""
    return SpanEdit(*word, "")


def edits_between(original: EditableText, text: str) -> Edits:
    """Find the edits of whole words that change the original into a text with the same protected
    spans.

    Returns:
        Edits of the changed runs of words and spaces, in order; empty for equal texts.
    """
    found: list[SpanEdit] = []
    at = 0
    for gap, following in zip(original.gaps(), [*original.protected, None], strict=True):
        if following is None:
            end = len(text)
        else:
            end = text.index(original.text[following.begin : following.end], at)
        found += _changed_words(original.text[gap.begin : gap.end], text[at:end], gap.begin)
        if following is not None:
            at = end + following.end - following.begin
    return tuple(found)


def _changed_words(before: str, after: str, begin: int) -> Iterator[SpanEdit]:
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    starts = [begin, *(begin + end for end in accumulate(map(len, old)))]
    if len(old) == len(new):  # word by word, because a diff may move words that are repeated
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                yield SpanEdit(starts[i], starts[i + 1], other)
        return
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for tag, i, j, k, m in codes:
        if tag != "equal":
            yield SpanEdit(starts[i], starts[j], "".join(new[k:m]))


def n_edited_words(original: str, edits: Sequence[SpanEdit]) -> int:
    """Number of whitespace-separated words that edits touch; an edit between words counts as one
    word.
    """
    words = [match.span() for match in _WORD.finditer(original)]
    touched: set[tuple[int, int]] = set()
    for edit in edits:
        hit = [w for w in words if w[0] <= edit.end and edit.begin <= w[1]]
        inside = [w for w in hit if w[0] < edit.end and edit.begin < w[1]]
        touched |= set(inside or hit[:1] or [(edit.begin, edit.end)])
    return len(touched)
