"""Noise operators with a rate, which imitate keyboards, scanners, editors and invisible characters.

Each operator changes a number of distinct places of a text; a text without such places is returned
unchanged. Unlike the typo edit, they need neither TextAttack nor torch.

Source: character noise as in giskard and PromptBench; bidirectional reordering and deletion
controls of Boucher et al. 2021, section III.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import as_file, files
from types import MappingProxyType

import numpy as np
from pydantic import TypeAdapter

from auditkit.perturb.text import EDITS, Edit
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["NOISE"]

Options = Mapping[str, tuple[str, ...]]


@cache
def _tables() -> Mapping[str, Options]:
    with as_file(files("auditkit.perturb") / "noise_tables.yaml") as path:
        found = validate(load_yaml(path), TypeAdapter(dict[str, dict[str, str | list[str]]]))
    return {name: {key: tuple(row) for key, row in rows.items()} for name, rows in found.items()}


def _at_places(
    text: str,
    rng: np.random.Generator,
    count: int,
    *,
    fits: Callable[[int], bool],
    change: Callable[[int], str],
    width: int = 1,
) -> str:
    """Replace `width` characters at up to `count` random places that do not overlap."""
    places = [i for i in range(len(text) - width + 1) if fits(i)]
    taken: set[int] = set()
    for at in rng.permutation(places).tolist() if places else []:
        if len(taken) == width * count:
            break
        if not taken & set(range(at, at + width)):
            taken |= set(range(at, at + width))
    begins, at, parts = sorted(taken)[::width], 0, list[str]()
    for begin in begins:
        parts += [text[at:begin], change(begin)]
        at = begin + width
    return "".join([*parts, text[at:]])


def _replaced_by(table: str) -> Callable[[str, np.random.Generator, int], str]:
    def change(text: str, rng: np.random.Generator, count: int) -> str:
        options = _tables()[table]

        def key(at: int) -> str:
            return text[at] if text[at] in options else text[at].lower()

        def other(at: int) -> str:
            choices = options[key(at)]
            chosen = choices[rng.integers(len(choices))]
            return chosen.upper() if text[at].isupper() and key(at) != text[at] else chosen

        return _at_places(text, rng, count, fits=lambda at: key(at) in options, change=other)

    return change


def _typing(text: str, rng: np.random.Generator, count: int) -> str:
    """Swap, drop or double letters inside words."""

    def fits(at: int) -> bool:
        return text[at : at + 2].isalpha() and text[at] != text[at + 1]

    def change(at: int) -> str:
        first, second = text[at], text[at + 1]
        return (second + first, first, first + first + second)[rng.integers(3)]

    return _at_places(text, rng, count, fits=fits, change=change, width=2)


def _punctuation(text: str, rng: np.random.Generator, count: int) -> str:
    """Drop punctuation marks, or add commas after words in a text without punctuation marks."""
    marks = [at for at, character in enumerate(text) if character in string.punctuation]
    if marks:
        return _at_places(text, rng, count, fits=lambda at: at in set(marks), change=lambda at: "")

    def fits(at: int) -> bool:
        return text[at] == " " and at > 0 and text[at - 1].isalnum()

    return _at_places(text, rng, count, fits=fits, change=lambda at: ", ")


def _joined_words(text: str, rng: np.random.Generator, count: int) -> str:
    """Drop spaces between words."""

    def fits(at: int) -> bool:
        return text[at] == " " and text[at - 1 : at].isalnum() and text[at + 1 : at + 2].isalnum()

    return _at_places(text, rng, count, fits=fits, change=lambda at: "")


def _bidi(text: str, rng: np.random.Generator, count: int) -> str:
    """Store two neighboring letters in the other order, with controls that display them in the
    right one.
    """

    def fits(at: int) -> bool:
        return text[at : at + 2].isalnum() and text[at] != text[at + 1]

    def change(at: int) -> str:
        first, second = text[at], text[at + 1]
        inner = f"\u202e\u2066{second}\u2069\u2066{first}\u2069\u202c"
        return f"\u202d\u2066{inner}\u2069\u202c"

    return _at_places(text, rng, count, fits=fits, change=change, width=2)


def _deletion_control(text: str, rng: np.random.Generator, count: int) -> str:
    """Insert a letter followed by a backspace."""

    def change(at: int) -> str:
        return text[at] + string.ascii_lowercase[rng.integers(26)] + "\b"

    return _at_places(text, rng, count, fits=lambda at: text[at].isalnum(), change=change)


NOISE: Mapping[str, Edit] = MappingProxyType(
    {
        "typing": Edit(_typing),
        "keyboard": Edit(_replaced_by("keyboard")),
        "ocr": Edit(_replaced_by("ocr")),
        "punctuation": Edit(_punctuation),
        "joined_words": Edit(_joined_words),
        "homoglyph": EDITS["homoglyph"],
        "zerowidth": EDITS["zerowidth"],
        "bidi": Edit(_bidi),
        "deletion_control": Edit(_deletion_control),
    }
)
