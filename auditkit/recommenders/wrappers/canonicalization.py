"""Canonical text: invisible characters removed and look-alike letters replaced by ASCII letters.

Invisible characters (Unicode category Cf) and deletion controls are resolved in the whole text,
except joiners between letters of a script that uses them. Tokens with other characters beyond ASCII
are then normalized (NFKC) and folded by the confusables of UTS 39, unless the catalog has the token
or it is written in one script other than Latin that the catalog uses. Only characters with an ASCII
letter or digit as prototype are folded: `skeleton` of UTS 39 would also map 1 to l.

Source: Unicode Technical Standard 39, section 4, with the data of confusable-homoglyphs 3.3.1; the
invisible characters and controls are those of Boucher et al. 2021.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from auditkit.errors import MissingDependency
from auditkit.types import Item, Request

__all__ = ["Canonicalizer"]

_JOINERS = "\u200c\u200d"
_DELETIONS = "\b\x7f"
_TOKEN = re.compile(r"\S+")
_BLANKS = re.compile(r"[^\S\n]+")


class Canonicalizer:
    """Removes invisible characters and replaces look-alike letters by ASCII letters.

    Args:
        titles: titles of the catalog; tokens that occur in them are never changed.
    """

    def __init__(self, titles: Iterable[str]) -> None:
        tokens = {token for title in titles if not title.isascii() for token in title.split()}
        self._kept = frozenset(token for token in tokens if not token.isascii())
        scripts = {script for token in self._kept for script in _scripts(token)}
        self._foreign = frozenset(scripts - {"LATIN"})

    def text(self, text: str) -> str:
        """Return the canonical form of a text."""
        if not text.isascii() or any(control in text for control in _DELETIONS):
            text = _without_invisible(_with_deletions(text))
            text = _TOKEN.sub(lambda found: self._token(found[0]), text)
        return _BLANKS.sub(" ", text)

    def request(self, request: Request) -> Request:
        """Return the request with canonical texts; ids are unchanged."""
        candidates = request.candidates
        return replace(
            request,
            history=tuple(map(self._item, request.history)),
            candidates=None if candidates is None else tuple(map(self._item, candidates)),
            who=self.text(request.who),
            instruction=self.text(request.instruction),
            messages=tuple(
                replace(turn, content=self.text(turn.content)) for turn in request.messages
            ),
            prompt=self.text(request.prompt),
        )

    def _item(self, item: Item) -> Item:
        return replace(item, title=self.text(item.title))

    def _token(self, token: str) -> str:
        if token.isascii() or token in self._kept:
            return token
        scripts = _scripts(token)
        normal = unicodedata.normalize("NFKC", token)
        if normal in self._kept or (len(scripts) == 1 and scripts <= self._foreign):
            return normal
        # NFKC alone would turn some look-alikes into letters that resemble nothing.
        folded = unicodedata.normalize("NFKC", "".join(map(_folded, token)))
        return "".join(map(_folded, folded))


def _with_deletions(text: str) -> str:
    """Apply the backspace and delete controls of a text, each of which removes a character."""
    kept: list[str] = []
    for character in text:
        if character not in _DELETIONS:
            kept.append(character)
        elif kept and kept[-1] != "\n":
            kept.pop()
    return "".join(kept)


def _without_invisible(text: str) -> str:
    """The text without format characters, except joiners between letters that are not Latin."""
    return "".join(
        character
        for i, character in enumerate(text)
        if unicodedata.category(character) != "Cf"
        or (character in _JOINERS and _joins(text[i - 1 : i], text[i + 1 : i + 2]))
    )


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between two characters has a meaning: letters of Arabic and Indic scripts,
    and symbols such as emoji.
    """
    return all(
        one and not one.isascii() and "LATIN" not in _scripts(one) for one in (before, after)
    )


def _scripts(text: str) -> frozenset[str]:
    """Scripts of the letters of a text; characters that all scripts share have none."""
    found = {_script(character) for character in text}
    return frozenset(found - {"COMMON", "INHERITED", None})  # type: ignore[arg-type]


@cache
def _script(character: str) -> str | None:
    from confusable_homoglyphs import categories

    return str(categories.alias(character))


def _folded(character: str) -> str:
    return character if character.isascii() else _prototypes().get(character, character)


@cache
def _prototypes() -> Mapping[str, str]:
    """Map each character that looks like an ASCII letter or digit to this letter or digit.

    Of several look-alikes (l, I and 1), one of the same case is chosen, and a letter rather than a
    digit.
    """
    try:
        from confusable_homoglyphs import confusables
    except ModuleNotFoundError:
        raise MissingDependency(
            "confusable-homoglyphs", extra="edits", purpose="canonical:"
        ) from None
    found = {}
    for character, entries in confusables.confusables_data.items():
        if character.isascii() or len(character) > 1:
            continue
        options = [e["c"] for e in entries if len(e["c"]) == 1 and e["c"].isascii()]
        options = [option for option in options if option.isalnum()]
        if options:
            upper = character.isupper()
            found[character] = min(
                options, key=lambda one: (one.isdigit(), one.isupper() != upper, one)
            )
    return found
