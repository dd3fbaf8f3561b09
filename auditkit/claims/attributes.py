"""Claims about genre, year, running time, country and language of a film.

These words count only if they describe the film. "A war film" is a genre, "during the war" is plot;
"from 1944" is the year of the film, "set in 1944" that of its story; "over three hours" is not an
exact running time.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditkit.claims.clauses import Topic
from auditkit.claims.lexicon import lexicon, phrases
from auditkit.claims.statements import JOINING, Scope, Stated

__all__ = ["attribute_statements"]

_DETERMINERS = frozenset(
    ("a", "an", "another", "this", "that", "'s", "pure", "straight", "those", "these")
)
_QUOTES = frozenset(('"', "\u201c", "\u201d", "'", "\u2018", "\u2019", "*", "_"))
_NOT_FIRST = frozenset(
    ("first", "last", "final", "opening", "closing", "every", "within", "another", "few", "next",
     "for")
)  # fmt: skip
SHORTEST = 40  # minutes; a shorter time is that of a scene


def attribute_statements(scope: Scope) -> Iterator[Stated]:
    """Extract the statements of one clause about genre, year, minutes, country and language."""
    yield from _genres(scope)
    yield from _years(scope)
    yield from _runtimes(scope)
    yield from _places(scope)


# --- genres ---------------------------------------------------------------------------------------
def _genres(scope: Scope) -> Iterator[Stated]:
    accepted = False
    for place, piece in enumerate(scope.pieces):
        if piece.kind == "genre":
            accepted = _classifies(scope, place, accepted)
            for value in piece.values if accepted else ():
                yield scope.say("genre", value, place, topics=_premodified(scope, place))
        elif piece.kind == "word" and piece.lower not in (
            *JOINING,
            "a",
            "an",
            "both",
            "part",
            "but",
        ):
            accepted = False


def _classifies(scope: Scope, place: int, after_genre: bool) -> bool:
    """Whether the genre word classifies the film."""
    before = scope.word(place - 1)
    ahead = place + 1
    if scope.word(ahead) == "-" and scope.kind(ahead + 1) != "genre":
        ahead += 1
    if scope.cue("not_behind_genre", ahead) or (
        before == "two" and scope.word(place - 2) == "between"
    ):
        return False
    names_film = scope.kind(ahead) in ("genre", "title") or scope.cue("film_nouns", ahead)
    if scope.pieces[place].lower.split("'")[0] in lexicon()["only_in_front_of_film"]:
        while scope.word(ahead) in _QUOTES or scope.word(ahead) == "'s":
            ahead += 1
        listed = after_genre or before == ":" or (scope.is_tag and _only_tags(scope))
        return bool(listed or scope.kind(ahead) == "genre" or scope.cue("film_nouns", ahead))
    if scope.pieces[place].lower in lexicon()["always_classifies"] or after_genre:
        return True
    if names_film:
        return True
    joined = scope.word(ahead) == "-" or scope.word(ahead) in JOINING
    if joined and scope.kind(ahead + 1) == "genre" and before not in ("of", "the"):
        return True
    if before in _QUOTES and scope.word(place + 1) in _QUOTES:
        return True
    if _is_denied(scope, place) or phrases("blends").anywhere(scope.words[:place]):
        return True
    if before in lexicon()["in_front_of_genre"]:
        return True
    if before in ("both", "all") and any(word in ("are", "were") for word in scope.words):
        return True
    if (scope.is_tag and _only_tags(scope)) or (place == 0 and _is_fragment(scope)):
        return True
    return _has_determiner(scope, place)


def _is_fragment(scope: Scope) -> bool:
    """Whether the clause has no verb: "Noir in color." but not "Crime pays."."""
    continues = scope.kind(1) != "word" or scope.word(1) in (
        "in",
        "at",
        "with",
        "from",
        "of",
        "on",
        "for",
    )
    return continues and not scope.has_verb()


def _is_denied(scope: Scope, place: int) -> bool:
    """Whether a negation is right before the genre: "no comedy", "not a comedy"."""
    article = scope.word(place - 1) in ("a", "an")
    at = place - 2 if article else place - 1
    ends = [end for _, end in phrases("negators").places(scope.words[: at + 1])]
    return at + 1 in ends


def _has_determiner(scope: Scope, place: int) -> bool:
    """Whether "a", "this" or a possessive precedes the word, with only adjectives in between."""
    for at in range(place - 1, max(place - 8, -1), -1):
        word = scope.word(at)
        if word in _DETERMINERS:
            return True
        between = scope.words[at + 1 : place]
        best = any(w in ("best", "only", "first") or w.endswith("est") for w in between)
        if word == "the" and ("YEAR" in between or best):
            return True
        described = scope.kind(at) in ("year", "range", "place", "genre", "person")
        if (
            described
            or word in ("-", ",", *_QUOTES)
            or "-" in (scope.word(at - 1), scope.word(at + 1))
        ):
            continue
        if (
            scope.kind(at) != "word"
            or scope.is_any(at, "not_before_genre")
            or scope.is_any(at, "verbs")
        ):
            return False
    return False


def _only_tags(scope: Scope) -> bool:
    """Whether the clause consists of genres, years and the like and at most one other word."""
    fillers = ("and", "&", "genre", "genres", "also", "again")
    return sum(p.kind == "word" and p.lower not in fillers for p in scope.pieces) <= 1


def _premodified(scope: Scope, place: int) -> tuple[Topic, ...] | None:
    """Film whose title ends the phrase at `place`: "the 1995 crime drama Heat"; else None."""
    for at in range(place + 1, min(place + 6, len(scope.pieces))):
        if scope.kind(at) == "title":
            return (scope.pieces[at].entries,)
        known = scope.kind(at) in ("genre", "year", "place") or scope.word(at) in (
            "'s",
            "-",
            *_QUOTES,
        )
        if not known and not scope.cue("film_nouns", at) and scope.word(at) != "classic":
            return None
    return None


# --- years ----------------------------------------------------------------------------------------
def _years(scope: Scope) -> Iterator[Stated]:
    accepted = False
    for place, piece in enumerate(scope.pieces):
        if piece.kind == "title" and piece.values:
            value = piece.values[0]
            yield Stated("year", value, False, piece.begin, piece.end, {}, (piece.entries,))
        elif piece.kind in ("year", "range"):
            follows = accepted and scope.word(place - 1) in JOINING
            accepted = follows or _dates_film(scope, place)
            if accepted:
                topics = _premodified(scope, place)
                yield scope.say("year", piece.values[0], place, topics=topics)


def _dates_film(scope: Scope, place: int) -> bool:
    """Whether the year at `place` is the film's own, not the year of its story or an event."""
    left = scope.words[:place]
    before = scope.word(place - 1)
    names_film = _names_film(scope, place)
    if before in ("a", "an", "another", "this", "'s", "that", "the", "any") and names_film:
        return True
    if (
        scope.pieces[place].lower.startswith(("pre", "post"))
        or "predates" in scope.pieces[place].lower
    ):
        return True
    if scope.word(place + 1) == "-" and scope.word(place + 2) == "era":
        return False
    if phrases("other_version").anywhere(left):
        return False
    if "from" in left[-4:] and not scope.has_cue("award_verbs"):
        return True
    if phrases("setting").anywhere(left) or scope.is_any(place - 1, "months"):
        return False
    if before in ("in", "of", "for") and any(word in lexicon()["award_verbs"] for word in left):
        return False
    if scope.clause.in_brackets:
        return True
    released = any(word in lexicon()["released"] for word in left)
    said_of_film = any(
        scope.kind(at) in ("genre", "title") or scope.cue("film_nouns", at) for at in range(place)
    )
    if scope.kind(place) == "range":
        dated = scope.context.before is not None and any(
            p.kind in ("year", "range") for p in scope.context.before.pieces
        )
        best_of = before == "the" and scope.word(place - 2) == "of" and "one" in left
        return (
            names_film
            or released
            or (dated and len(scope.words) <= place + 2)
            or best_of
            or (scope.is_tag and scope.context.sentence_has_fact)
            or (said_of_film and before in ("the", "early", "mid", "late", "of", "from", "'s"))
        )
    if before in ("in", "of", "'s", "the", "year", ":"):
        alone = place <= 1 and scope.context.before is not None and scope.context.sentence_has_fact
        return released or names_film or said_of_film or before == ":" or alone
    near = left[-3:]
    if names_film or any(word in lexicon()["released"] for word in near):
        return True
    if scope.kind(place - 1) in ("title", "genre", "person", "place"):
        return True
    return (place == 0 or scope.is_tag) and scope.context.sentence_has_fact


def _names_film(scope: Scope, place: int) -> bool:
    """Whether a noun for a film follows the year, with only adjectives in between."""
    for at in range(place + 1, min(place + 5, len(scope.words))):
        if scope.kind(at) in ("genre", "title") or scope.cue("film_nouns", at):
            return True
        if scope.is_any(at, "verbs") or scope.is_any(at, "comparators"):
            return False
    return False


# --- minutes --------------------------------------------------------------------------------------
def _runtimes(scope: Scope) -> Iterator[Stated]:
    for place, piece in enumerate(scope.pieces):
        if piece.kind != "runtime" or phrases("inexact").ending_at(scope.words, place):
            continue
        if scope.word(place - 1) in _NOT_FIRST or scope.word(place + 1) in ("into", "later"):
            continue
        if int(piece.values[0]) < SHORTEST:
            continue
        if scope.word(place - 1) in JOINING and scope.word(place - 2).isdecimal():
            yield scope.say("runtime", scope.word(place - 2), place - 2)
        yield scope.say("runtime", piece.values[0], place, topics=_premodified(scope, place))


# --- countries and languages ----------------------------------------------------------------------
def _places(scope: Scope) -> Iterator[Stated]:
    for place, piece in enumerate(scope.pieces):
        if piece.kind != "place":
            continue
        relation = _place_relation(scope, place)
        if relation in piece.labels:
            label = piece.labels[relation][0]
            yield scope.say(relation, label, place, topics=_premodified(scope, place))


def _place_relation(scope: Scope, place: int) -> str:
    words, labels = scope.words, scope.pieces[place].labels
    at = place - 1 if scope.word(place - 1) != "the" else place - 2
    left, right = words[: at + 1], words[place + 1 : place + 4]
    if "language" in right[:2] or "speaking" in right[:2]:
        return "language"
    if any(word in right for word in ("subtitles", "dialogue", "dialog")):
        return "language"
    if scope.word(at) in ("in", "spoken") and "language" in labels:
        return "language"
    if place == 0 and scope.word(1) in ("made", "produced"):
        return "country"
    if scope.word(at) in ("from", "in"):
        film = any(scope.kind(i) == "genre" or scope.cue("film_nouns", i) for i in range(at))
        made = any(word in left for word in lexicon()["made_in"])
        copula = scope.word(at - 1) in ("is", "'s", "was", "isn't", "wasn't", "not")
        source = scope.word(at) == "from" and (film or copula or len(left) <= 2)
        return "country" if made or source else ""
    for after in range(place + 1, min(place + 5, len(words))):
        if scope.kind(after) == "genre" or scope.cue("film_nouns", after):
            return "country"
        if scope.is_any(after, "verbs") or scope.is_any(after, "comparators"):
            break
        if scope.kind(after) not in ("word", "year", "place", "range") and scope.word(
            after
        ) not in ("-", "/"):
            break
    if scope.is_tag and _only_tags(scope):
        return "language" if "language" in labels else "country"
    return ""
