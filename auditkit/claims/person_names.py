"""Detect person names, whether or not the graph contains them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from auditkit.catalog.linking.vocabulary import english_words
from auditkit.claims.entity_names import Names, name_key
from auditkit.claims.lexicon import Token, has_no_capital, lexicon, phrases
from auditkit.claims.span import Span

__all__ = ["capital_at", "full_names", "name_at"]

_PARTICLES = frozenset(("de", "van", "von", "der", "del", "di", "la", "le", "du", "da"))
_LONGEST = 8  # tokens of a name
_NEVER = frozenset(
    ("i", "i'm", "i'd", "i've", "i'll", "ok", "oh", "you", "your", "we", "our", "they", "he", "she",
     "it", "this", "that", "will")
)  # fmt: skip
_IN_FRONT_OF_NAMES = frozenset(
    ("by", "director", "filmmaker", "from", "starring", "with", "and", ",", "&", "actor", "actress",
     "stars", "featuring", "opposite", "directed", "alongside", "was", "is", "for")
)  # fmt: skip


def full_names(text: str, tokens: Sequence[Token], names: Names) -> list[tuple[int, int, Span]]:
    """Find full names of the graph; return (first token, end token (exclusive), person) for
    each.
    """
    found = []
    for first, token in enumerate(tokens):
        if not token.lower[0].isalpha():
            continue
        for after in range(first + 2, min(first + _LONGEST, len(tokens)) + 1):
            last = tokens[after - 1]
            if last.lower in ("\n", ","):
                break
            if not last.lower[0].isalpha():
                continue
            labels = names.people.get(name_key(text[token.begin : last.end]))
            if labels:
                found.append((first, after, _person(text, token.begin, last.end, labels, "full")))
    return found


def name_at(
    text: str, tokens: Sequence[Token], masked: Sequence[str], place: int, names: Names
) -> tuple[int, Span | None]:
    """Find the surname or unknown name that begins at a token.

    Args:
        masked: the tokens in lower case; "\\0" for tokens of spans that were already found.

    Returns:
        Index of the next token to read, and the name; the name is None if no name begins here.
    """
    if has_no_capital(text):
        labels = names.surnames.get(name_key(masked[place]))
        known = labels and masked[place] not in english_words()
        token = tokens[place]
        return place + 1, _person(
            text, token.begin, token.end, labels, "surname"
        ) if known else None
    end = _capitals_end(text, tokens, masked, place)
    if end == place:
        return place + 1, None
    begins, ends = tokens[place].begin, tokens[end - 1].end
    labels = names.surnames.get(name_key(text[begins:ends]))
    if labels is not None and end == place + 1 and masked[place] in english_words():
        labels = labels if _is_used_as_name(masked, place) else None
    opens = place == 0 or not masked[place - 1][0].isalpha()
    if labels is None and opens and _only_opens(text, tokens, masked, place, end, names):
        return place + 1, None
    if labels is None and all(
        text[t.begin : t.end].isupper() and len(t.lower) > 2 for t in tokens[place:end]
    ):
        return place + 1, None  # words in capitals only
    if end - place > 1 and masked[place] in lexicon()["openers"]:
        return place + 1, None
    if labels is None and masked[place - 1] == "the":
        labels = names.surnames.get(name_key(text[begins:ends]).removesuffix("s"))
    if labels is not None:
        return end, _person(text, begins, ends, labels, "surname")
    term = max(phrases(name).at(masked, place) for name in ("award_words", "film_nouns"))
    if term or masked[place] in _NEVER:
        return place + max(term, 1), None
    return end, _person(text, begins, ends, None, "unknown")


def capital_at(text: str, tokens: Sequence[Token], place: int) -> bool:
    """Whether the token is a capitalized word, as in "French Morocco"."""
    if place >= len(tokens) or tokens[place].lower in ("film", "movie"):
        return False
    return tokens[place].lower[0].isalpha() and text[tokens[place].begin].isupper()


def _is_used_as_name(masked: Sequence[str], place: int) -> bool:
    """Whether a surname that is also an English word is a name here, as in "by Stone"."""
    if masked[place] in _NEVER:
        return False
    before = masked[place - 1] if place else ""
    after = masked[place + 1] if place + 1 < len(masked) else ""
    cues = ("director_behind", "actor_behind", "writer_behind")
    told = after in ("'s", "'", "\u2019", "and", ",") or any(
        phrases(name).at(masked, place + 1) for name in cues if after
    )
    verb = after in lexicon()["director_verbs"]
    return before in _IN_FRONT_OF_NAMES or told or verb


def _person(
    text: str, begin: int, end: int, labels: dict[str, list[str]] | None, found_as: str
) -> Span:
    raw = text[begin:end]
    return Span("person", raw.lower(), begin, end, raw, values=(found_as,), labels=labels or {})


def _only_opens(
    text: str, tokens: Sequence[Token], masked: Sequence[str], place: int, end: int, names: Names
) -> bool:
    """Whether the capital of the first word only marks the beginning of a sentence."""
    if masked[place] in _never_names():
        return True
    if masked[place] not in english_words():
        return False
    rest = text[tokens[place + 1].begin : tokens[end - 1].end] if end > place + 1 else ""
    return not rest or name_key(rest) in names.surnames


@cache
def _never_names() -> frozenset[str]:
    """Words that may begin a sentence before a name and are not part of the name."""
    words = lexicon()
    return frozenset(
        word
        for name in ("verbs", "comparators", "not_before_genre", "adverbs", "before_by", "openers")
        for word in words[name]
    )


def _capitals_end(text: str, tokens: Sequence[Token], masked: Sequence[str], at: int) -> int:
    """End (exclusive) of the run of capitalized tokens that begins at `at`; `at` if there is no
    such run.
    """

    def capital(i: int) -> bool:
        return (
            i < len(tokens) and masked[i] != "\0" and masked[i][0].isalpha()
            and text[tokens[i].begin].isupper()
        )  # fmt: skip

    end = at
    while capital(end):
        end += 1
        if end >= len(tokens):
            break
        mark, glued = tokens[end].lower, tokens[end].begin == tokens[end - 1].end
        if (mark == "." and len(tokens[end - 1].lower) <= 2 and capital(end + 1)) or (
            mark == "-" and glued and capital(end + 1) and tokens[end + 1].begin == tokens[end].end
        ):
            end += 1
        else:
            after = end
            while after < len(tokens) and masked[after] in _PARTICLES:
                after += 1
            if after > end and capital(after):
                end = after
    return end
