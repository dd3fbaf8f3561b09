"""Test-time neutralization: replace phrases that state an attribute by a neutral phrase.

Only listed phrases are found: those of `templates/attributes.yaml` and the descriptions of the data
set's users. For these it works by construction, so its recall is measured on other wordings
(`alternatives`, which are not in the lexicon). Titles of the request's items are not edited, nor
are titles of the catalog that contain a phrase and other words. Source: test-side neutralization in
LMRec (Shen et al. 2022); lexicon and pattern are different, so results are not numerically equal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from auditkit.errors import TargetUnavailable, did_you_mean
from auditkit.recommenders.prompting.attribute_phrases import Wordings
from auditkit.recommenders.prompting.prompts import describe_user, escape
from auditkit.types import Request

__all__ = ["Neutralizer"]


class _Group(NamedTuple):
    """An attribute, and the name of its capturing group in the regular expression."""

    group: str
    attribute: str


class Neutralizer:
    """Replaces attribute phrases in texts and requests.

    Args:
        wordings: attribute phrases and the neutral phrases that replace them.
        values: attribute values in the data set, from `attribute_phrases.known_values`.
        allow: attributes that are not replaced, such as an age for which the films must be
            suitable.
        catalog: provides the titles that are not edited in any text.

    Attributes:
        patterns: regular expressions that are searched for.
        titles: titles of the catalog that contain a phrase. A title that is equal to a phrase is
            not included, because in a prompt "a woman" usually describes the user.

    Raises:
        TargetUnavailable: `allow` contains an attribute that neither `wordings` nor `values` has.
    """

    def __init__(
        self,
        wordings: Wordings,
        values: Mapping[str, Sequence[str]],
        *,
        allow: Collection[str] = (),
        catalog: Iterable[str] = (),
    ) -> None:
        known = {*wordings.attributes, *values}
        for name in allow:
            if name not in known:
                raise TargetUnavailable(
                    f"neutralized(allow={name}) names an unknown attribute."
                    f"{did_you_mean(name, known)} Known: {', '.join(sorted(known))}."
                )
        self._allow = frozenset(allow)
        self._neutral = _listed(wordings, self._allow)
        self._by_phrase = {phrase.casefold(): text for phrase, text in self._neutral.items()}
        self._groups = [_Group(f"a{i}", name) for i, name in enumerate(values)]
        self.patterns = _patterns(_described(values, self._groups), _any_of(list(self._neutral)))
        self._search = [re.compile(pattern, re.IGNORECASE) for pattern in self.patterns]
        self.titles = sorted({title for title in catalog if self._holds_a_phrase(title)})

    def text(
        self, text: str, *, titles: Collection[str] = (), in_words_of_the_data: bool = False
    ) -> str:
        """Replace the phrases of a text that state an attribute by neutral phrases.

        Args:
            titles: further titles that are not edited.
            in_words_of_the_data: whether a listed phrase that is also a description of a user of
                the data set, such as "a student", is replaced by "a user" instead of the listed
                neutral phrase.
        """
        kept = [title for title in {*titles, *self.titles} if title.strip()]
        named = [m.span() for m in re.finditer(rf"(?<!\w)(?:{_any_of(kept)})(?!\w)", text)]

        def replacement(found: re.Match[str]) -> str:
            inside = any(a <= found.start() and found.end() <= b for a, b in named)
            return found[0] if inside else self._replacement(found)

        return self._search[in_words_of_the_data].sub(replacement, text)

    def request(self, request: Request) -> Request:
        """Return the request with attributes removed from all of its fields."""
        edit = partial(self.text, in_words_of_the_data=bool(request.attributes and not request.who))
        titles = {item.title for item in (*request.history, *(request.candidates or ()))}
        return replace(
            request,
            attributes={n: v for n, v in request.attributes.items() if n in self._allow},
            who=edit(request.who),
            instruction=edit(request.instruction, titles=titles),
            messages=tuple(
                replace(turn, content=edit(turn.content, titles=titles))
                for turn in request.messages
            ),
            prompt=edit(request.prompt, titles=titles),
        )

    def _holds_a_phrase(self, title: str) -> bool:
        return any(s.search(title) and not s.fullmatch(title) for s in self._search)

    def _replacement(self, found: re.Match[str]) -> str:
        if found["listed"] is not None:
            return self._by_phrase[found["listed"].casefold()]
        stated = {one.attribute: found[one.group] for one in self._groups if found[one.group]}
        kept = {name: value for name, value in stated.items() if name in self._allow}
        return describe_user(kept) if stated else found[0]


def _listed(wordings: Wordings, allow: Collection[str]) -> dict[str, str]:
    """Map each attribute phrase to the neutral phrase of its language."""
    found = {}
    for name, attribute in wordings.attributes.items():
        for value in () if name in allow else attribute.values:
            found[value.phrase] = wordings.neutral[0]
            if value.german and wordings.neutral_german:
                found[value.german] = wordings.neutral_german[0]
    return found


def _patterns(described: str, phrases: str) -> tuple[str, str]:
    """Two patterns, each of which matches user descriptions and listed phrases: the first prefers
    listed phrases, the second descriptions.
    """
    listed = f"(?P<listed>{phrases})"
    return (
        rf"(?<!\w)(?:{listed}|{described})(?!\w)",
        rf"(?<!\w)(?:{described}|{listed})(?!\w)",
    )


def _described(values: Mapping[str, Sequence[str]], groups: Sequence[_Group]) -> str:
    """Regular expression for the texts of `describe_user`: article, gender, occupation or "user",
    age, and others.
    """
    parts = {one.attribute: f"(?P<{one.group}>{_any_of(values[one.attribute])})" for one in groups}
    gender = f"(?: {parts['gender']})?" if "gender" in parts else ""
    noun = f"(?:{parts['occupation']}|user)" if "occupation" in parts else "user"
    age = f"(?: aged {parts['age']})?" if "age" in parts else ""
    others = [parts[name] for name in values if name not in ("gender", "occupation", "age")]
    return f"an?{gender} {noun}{age}{''.join(f'(?: {part})?' for part in others)}"


def _any_of(words: Sequence[str]) -> str:
    """Regular expression for any of the words, as typed or as escaped in a prompt with item
    references.
    """
    forms = dict.fromkeys(form for word in words for form in (word, escape(word)))
    longest_first = sorted(forms, key=len, reverse=True)
    return "|".join(map(re.escape, longest_first)) or r"(?!)"
