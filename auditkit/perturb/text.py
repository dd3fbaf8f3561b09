"""Edits of the text around the slots of an instruction, which remain byte-equal, or of one title of
the history.

An edit changes the spans between `{slots}`, or returns them unchanged if it does not apply. All
random numbers come from the given generator. Sources: text transformations as in giskard and
PromptBench; homoglyphs from Unicode UTS 39 via confusable-homoglyphs; invisible characters as in
Boucher et al. 2021.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from auditkit.errors import MissingDependency

__all__ = [
    "EDITS", "MEANING_FREE", "NOISE_FLOOR_EDIT", "Edit", "edit_instruction", "edit_one_title",
    "edit_titles",
]  # fmt: skip


class Edit(NamedTuple):
    """A text edit, a function (text, random generator, number of edits) -> text.

    Edits with `everywhere` change all places and ignore the number.
    """

    change: Callable[[str, np.random.Generator, int], str]
    everywhere: bool = False


_SLOT = re.compile(r"(\{\w+\})")
_TITLE_YEAR = re.compile(r"\s*\(\d{4}\)$")
_ZERO_WIDTH = ("\u200b", "\u200c", "\u200d")


def edit_instruction(instruction: str, edit: Edit, rng: np.random.Generator, *, rate: float) -> str:
    """Apply an edit to the text of an instruction outside its slots.

    Args:
        rate: number of edits per character of editable text; at least one edit is made.
    """
    pieces = _SLOT.split(instruction)
    sizes = [len(piece) for piece in pieces[::2]]
    count = max(1, round(rate * sum(sizes)))
    places = sizes if edit.everywhere else _share(count, sizes, rng)
    for position, share in enumerate(places):
        if share:
            pieces[2 * position] = edit.change(pieces[2 * position], rng, share)
    return "".join(pieces)


def edit_one_title(titles: Sequence[str], edit: Edit, rng: np.random.Generator) -> list[str]:
    """Apply one edit to one title, drawn at random from the titles that the edit changes. A
    bracketed year at the end is not edited.

    Returns:
        The titles; unchanged if the edit changes none of them.
    """
    found = list(titles)
    for place in rng.permutation(len(titles)).tolist():
        year = _TITLE_YEAR.search(titles[place])
        end = year.start() if year else len(titles[place])
        core = titles[place][:end]
        changed = edit.change(core, rng, 1)
        if changed != core:
            found[place] = changed + titles[place][end:]
            break
    return found


def edit_titles(
    titles: Sequence[str], edit: Edit, rng: np.random.Generator, *, rate: float
) -> list[str]:
    """Apply an edit to titles; a bracketed year at the end of a title is not edited.

    Args:
        rate: number of edits per character of all titles; at least one edit is made.
    """
    cores = [_TITLE_YEAR.sub("", title) for title in titles]
    count = max(1, round(rate * sum(map(len, cores))))
    return [
        (edit.change(core, rng, share) if share else core) + title[len(core) :]
        for core, title, share in zip(
            cores, titles, _share(count, list(map(len, cores)), rng), strict=True
        )
    ]


def _share(count: int, sizes: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Number of edits for each span, drawn in proportion to `sizes`; the sum is `count`."""
    weights = np.array(sizes, dtype=float)
    if weights.sum() == 0:
        return [0] * len(sizes)
    return [int(n) for n in rng.multinomial(count, weights / weights.sum())]


def _replace_letters(
    text: str, rng: np.random.Generator, count: int, change: Callable[[str], str]
) -> str:
    """Change up to `count` letters at distinct random places."""
    letters = [i for i, character in enumerate(text) if change(character) != character]
    chosen = set(rng.permutation(letters)[:count].tolist()) if letters else set()
    return "".join(
        change(character) if i in chosen else character for i, character in enumerate(text)
    )


def _homoglyph(text: str, rng: np.random.Generator, count: int) -> str:
    table = _look_alikes()
    return _replace_letters(text, rng, count, lambda character: table.get(character, character))


@cache
def _look_alikes() -> Mapping[str, str]:
    """Map ASCII letters to their first homoglyph from Cyrillic or Greek, if there is one."""
    try:
        from confusable_homoglyphs import categories, confusables
    except ModuleNotFoundError:
        raise MissingDependency(
            "confusable-homoglyphs", extra="edits", purpose="The homoglyph edit"
        ) from None
    table = {}
    for code in (*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)):
        found = confusables.is_confusable(chr(code), greedy=True) or []
        options = [
            entry["c"] for hit in found for entry in hit["homoglyphs"] if len(entry["c"]) == 1
        ]
        foreign = [c for c in options if categories.alias(c) in ("CYRILLIC", "GREEK")]
        if foreign:
            table[chr(code)] = foreign[0]
    return MappingProxyType(table)


def _zero_width(text: str, rng: np.random.Generator, count: int) -> str:
    """Insert an invisible character inside words, between two letters."""
    inside = [i for i in range(1, len(text)) if text[i - 1].isalpha() and text[i].isalpha()]
    chosen = sorted(rng.permutation(inside)[:count].tolist(), reverse=True) if inside else []
    for i in chosen:
        text = text[:i] + _ZERO_WIDTH[rng.integers(len(_ZERO_WIDTH))] + text[i:]
    return text


def _case(text: str, rng: np.random.Generator, count: int) -> str:
    """Convert all letters to upper case, the strongest change of case, equal for every seed."""
    return text.upper()


def _space(text: str, rng: np.random.Generator, count: int) -> str:
    """Double or triple some spaces between words."""
    return _replace_letters(
        text, rng, count, lambda character: "   " if character == " " else character
    )


def _typo(text: str, rng: np.random.Generator, count: int) -> str:
    from auditkit.perturb.search import typo

    return typo(text, rng, count)


def _doubled_blank(text: str, rng: np.random.Generator, count: int) -> str:
    """Double the first space, an edit without meaning, to measure the noise floor."""
    return text.replace(" ", "  ", 1)


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "typo": Edit(_typo),
        "case": Edit(_case, everywhere=True),
        "space": Edit(_space),
        "homoglyph": Edit(_homoglyph),
        "zerowidth": Edit(_zero_width),
    }
)
NOISE_FLOOR_EDIT = Edit(_doubled_blank)
# The same request for every reader: a doubled blank, a blank before its last full stop, and other
# line ends. A line end after the request is left out: where the answer continues the prompt, it
# changes the form of the answer (70 % of the lists of p5-mini).
MEANING_FREE: tuple[Callable[[str], str], ...] = (
    lambda text: text.replace(" ", "  ", 1),
    lambda text: " .".join(text.rsplit(".", 1)),
    lambda text: text.replace("\n", "\r\n"),
)
