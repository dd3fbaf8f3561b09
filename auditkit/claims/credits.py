"""Claims about directors, actors and writers: person names next to a cue.

The rules are tried in order and the first match decides: "by NAME" with the word before it, a cue
before the name ("starring NAME"), a possessive ("NAME's thriller"), a cue after the name ("NAME
plays"), a kind of film after the name ("a NAME thriller"), a weak cue ("with NAME"), a bare name in
a list. A name that the graph does not contain counts only next to an unambiguous cue.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditkit.claims.clauses import Clause, Topic
from auditkit.claims.lexicon import lexicon, phrases
from auditkit.claims.statements import JOINING, Context, Scope, Stated, Subject, negators_of

__all__ = ["last_persons", "person_statements", "subjects_of"]

_Relation = tuple[str | None, int, tuple[Topic, ...] | None]
_IN_LISTS = frozenset(
    ("and", "&", "or", "both", "also", "again", "too", "plus", "himself", "herself", "by", "the",
     "as", "well", "great", "earlier", "film", "movie", "once", "more", "not", "with")
)  # fmt: skip
_APPOSED = frozenset((",", ":", "\u2014", "\u2013", "-", "("))
_SUPERLATIVE = ("best", "most", "finest", "peak", "worst", "usual")


def person_statements(scope: Scope) -> Iterator[Stated]:
    """Extract the statements about persons that the clause names or refers to."""
    for first, end in _groups(scope):
        relation, cue, topics = _relation(scope, first, end)
        for place in range(first, end):
            piece = scope.pieces[place]
            if relation is None or piece.kind != "person":
                continue
            for one in relation.split("+"):
                yield scope.say(one, piece.raw, place, cue, topics=topics, labels=piece.labels)
    yield from _continued(scope)


def subjects_of(clause: Clause, context: Context) -> tuple[Subject, ...]:
    """Persons at the beginning of a clause, to whom the next clause may refer."""
    negators = negators_of(clause.words)
    found: list[Subject] = []
    for place, piece in enumerate(clause.pieces):
        if piece.kind == "person":
            found.append(Subject(piece, any(begin < place for begin, _ in negators)))
        elif piece.lower == "'s":
            return ()
        elif piece.lower not in JOINING and piece.lower not in (
            "not",
            "all",
            "star",
            "but",
            "while",
        ):
            break
    else:
        return (*context.subjects, *found) if clause.opener == "," else tuple(found)
    if found or not any(p.kind == "person" for p in clause.pieces):
        return tuple(found) or context.subjects
    return ()


def last_persons(clause: Clause) -> tuple[Subject, ...]:
    """Persons at the end of a clause, to whom a following "who directed it" refers."""
    negators = negators_of(clause.words)
    found: list[Subject] = []
    for place in range(len(clause.pieces) - 1, -1, -1):
        piece = clause.pieces[place]
        if piece.kind == "person":
            near = any(begin < place and place - begin <= 3 for begin, _ in negators)
            found.append(Subject(piece, near))
        elif piece.lower not in JOINING and piece.lower not in (
            "rather",
            "than",
            "not",
            "instead",
            "of",
        ):
            break
    return tuple(reversed(found))


def _groups(scope: Scope) -> Iterator[tuple[int, int]]:
    """Return (first, end (exclusive)) of every run of coordinated persons.

    In "Hugh Grant, Andie MacDowell, Mike Newell at the helm" the last person is a separate run.
    """
    place = 0
    while place < len(scope.pieces):
        if scope.kind(place) != "person":
            place += 1
            continue
        members = [place]
        while True:
            ahead = members[-1] + 1
            while scope.word(ahead) in JOINING:
                ahead += 1
            if ahead == members[-1] + 1 or scope.kind(ahead) != "person":
                break
            members.append(ahead)
        last = members[-1]
        if len(members) > 1 and scope.word(last - 1) == "," and scope.cue("helm", last + 1):
            yield members[0], last - 1
            yield last, last + 1
        else:
            yield members[0], last + 1
        place = last + 1


def _relation(scope: Scope, first: int, end: int) -> _Relation:
    """Return (relation or None, index of the cue, films at the cue or None) for a run of
    persons.
    """
    known = any(p.labels for p in scope.pieces[first:end])
    rules = [_after_by, _after_cue, _possessive, _in_front_of_cue]
    if known:
        rules += [_as_kind, _after_weak_cue, _as_subject]
    for rule in rules:
        found = rule(scope, first, end)
        if found is not None:
            return found
    return (_listed(scope, first, end) if known else None), first, None


def _may(scope: Scope, first: int, end: int, relation: str, *, only: bool = False) -> bool:
    """Whether the graph has all these persons in the relation; with `only`, whether their full
    names occur in no other relation.
    """
    people = [p for p in scope.pieces[first:end] if p.kind == "person"]
    return all(
        relation in p.labels and not (only and len(p.labels) > 1 and "surname" not in p.values)
        for p in people
    )


# --- cues before the name -------------------------------------------------------------------------
def _after_by(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "a film by NAME", "a comedy from NAME", "written and directed by NAME"."""
    if scope.word(first - 1) == "the":
        first -= 1
    if first == 0 or scope.word(first - 1) not in ("by", "from"):
        return None
    left, table = scope.words[: first - 1], lexicon()["by"]
    made = "director" if scope.pieces[end - 1].labels or scope.word(first - 1) == "by" else None
    if scope.kind(first - 2) in ("genre", "title") or (
        phrases("film_nouns").ending_at(scope.words, first - 1) and left[-1] not in table[""]
    ):
        return made, first, None
    for place in range(len(left) - 1, -1, -1):
        relation = next((name for name, words in table.items() if left[place] in words), None)
        if relation is not None:
            near = left[max(0, place - 2) : place + 3]
            both = all(any(w in table[name] for w in near) for name in ("director", "writer"))
            twice = both and relation in ("director", "writer")
            return ("director+writer" if twice else relation or None), first, None
    if scope.kind(first - 2) in ("year", "place", "runtime") or not left:
        return made, first, None
    rest = [word for word in left if word not in ("TITLE", ",", '"', "\u201c", "\u201d", "*")]
    if scope.word(first - 1) == "by" and set(rest) <= set(lexicon()["before_by"]):
        return "director", first, None
    return None


def _after_cue(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "starring NAME", "director NAME", "written by NAME"; the longest cue decides."""
    cues = [
        (phrases(f"{name}_before").ending_at(scope.words, first), name)
        for name in ("other", "writer", "director", "actor")
    ]
    length, name = max(cues, key=lambda cue: cue[0])
    if scope.word(first - 1) == "of" and not scope.pieces[first].labels:
        return None
    if length and not (scope.word(end) == "'s" and _work_at(scope, end + 1) is not None):
        topics = _object_titles(scope, end) if name == "director" else None
        return (None if name == "other" else name), first, topics
    left = scope.words[:first]
    if first > 1 and scope.word(first - 1) in ("is", "was", "being", "remains", ":"):
        for name in ("director", "actor"):
            if any(word in left for word in lexicon()["copula"][name]):
                return name, first, None
    return None


def _after_weak_cue(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "with NAME", after the rules with stronger cues."""
    sent = scope.is_any(first - 1, "director_verbs") and "PERSON" in scope.words[:first]
    if sent or phrases("weak_actor_before").ending_at(scope.words, first):
        return "actor", first, None
    return None


# --- cues after the name --------------------------------------------------------------------------
def _possessive(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "NAME's thriller" (director) and "NAME's performance" (actor)."""
    if scope.word(end) != "'s":
        return None
    for name in ("other", "writer", "actor", "director"):
        if scope.cue(f"{name}_behind", end):
            return (None if name == "other" else name), end, None
    for place in range(end + 1, min(end + 6, len(scope.words))):
        role = lexicon()["roles"].get(scope.word(place))
        if role:
            return (None if role == "other" else role), end, None
        if scope.kind(place) not in ("word", "year"):
            break
    said_of = set(scope.words[:first]) - {"is", "was", "isn't", "wasn't", "and", "but", "while"}
    ends = all(p.kind == "mark" for p in scope.pieces[end + 1 :])
    copula = scope.word(first - 1) in ("is", "was", "isn't", "wasn't")
    if copula and ends and said_of <= _FILM_WORDS:
        return "director", end, None
    work = _work_at(scope, end + 1)
    of_title = work == end + 1 and scope.kind(work) == "title"
    if not scope.pieces[first].labels and " " not in scope.pieces[first].raw and not of_title:
        return None, end, None
    if work is not None:
        named = scope.pieces[work].entries if scope.kind(work) == "title" else ()
        return "director", end, (named,) if named else None
    alone = scope.clause.opener in ("", ":", "\u2014", "\u2013") and first == 0
    return (
        ("director" if alone and _may(scope, first, end, "director", only=True) else None),
        end,
        None,
    )


_FILM_WORDS = {
    "TITLE",
    "it",
    "this",
    "that",
    "one",
    "film",
    "movie",
    "version",
    "YEAR",
    "the",
    "original",
}


def _in_front_of_cue(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "NAME directs", "NAME plays", "NAME is behind the camera", "NAME-directed"."""
    if scope.word(end) == "-" and scope.word(end + 1) in ("directed", "helmed"):
        return "director", end, None
    at = _after_adverbs(scope, end)
    if scope.is_any(at, "director_verbs") and _may(scope, first, end, "director", only=True):
        return "director", at, None
    cues = [
        (scope.cue(f"{name}_behind", at), name) for name in ("other", "writer", "director", "actor")
    ]
    length, name = max(cues, key=lambda cue: cue[0])
    made = scope.word(at) in ("made", "makes", "shot", "filmed") and name == "director"
    passive = name == "director" and scope.word(at + 1) == "by"
    if name == "director" and length and scope.word(at + length) in ("himself", "herself"):
        return "director+actor", at, None
    if length and not passive and not (made and not _may(scope, first, end, "director")):
        topics = _object_titles(scope, at + length) if name == "director" else None
        return (None if name == "other" else name), at, topics
    if scope.word(at) == "at" and scope.word(at + 1) in ("his", "her", "their"):
        ending = scope.word(at + 2)
        if ending in _SUPERLATIVE or ending.endswith("est"):
            return _known_as(scope, first, end), at, None
    for place in range(at, min(at + 6, len(scope.words))):
        if scope.kind(place) == "person":
            break
        if scope.cue("helm", place):
            return "director", at, None
    return None


def _known_as(scope: Scope, first: int, end: int) -> str | None:
    for relation in ("director", "actor"):
        if _may(scope, first, end, relation):
            return relation
    return None


def _after_adverbs(scope: Scope, place: int) -> int:
    """Index of the first word that is not an adverb or a negation, such as "also", "did not"."""
    while scope.is_any(place, "adverbs") or any(begin == place for begin, _ in scope.negators):
        if scope.cue("director_behind", place) > 1 or scope.cue("actor_behind", place) > 1:
            break
        place += 1
    return place


def _as_kind(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "a NAME thriller"."""
    if scope.word(first - 1) == "the" and scope.is_any(first - 2, "of_another"):
        return None
    fronted = scope.is_any(first - 1, "in_front_of_kind")
    at = end
    if fronted and scope.kind(at) == "word" and scope.kind(at + 1) == "genre":
        at += 1
    if scope.kind(at) == "genre" or (fronted and scope.cue("film_nouns", at)):
        return ("actor" if scope.word(at) == "vehicle" else "director"), first, None
    return None


def _as_subject(scope: Scope, first: int, end: int) -> _Relation | None:
    """Match "NAME hunts replicants": an actor at the beginning of a clause, before a verb."""
    opening = {p.lower for p in scope.pieces[:first]} - {
        "and",
        "but",
        "while",
        "as",
        "\u201c",
        '"',
        "even",
        "only",
    }
    if opening or scope.kind(end) != "word" or scope.is_any(end, "not_verbs"):
        return None
    if "surname" in scope.pieces[first].values and not _may(scope, first, end, "actor"):
        return None
    return ("actor", end, None) if _may(scope, first, end, "actor") else None


def _continued(scope: Scope) -> Iterator[Stated]:
    """Match "NAME wrote it | and directed it" and "NAME | who directed it"."""
    words, before = scope.words, scope.context.before
    if before is None:
        return
    for at in range(len(words) - 1):
        if words[at : at + 2] in (["by", "him"], ["by", "her"]) and "directed" in words[:at]:
            people = [p for p in before.pieces if p.kind == "person"][-1:]
            for piece in people:
                yield Stated(
                    "director", piece.raw, scope.negated(at), piece.begin, piece.end, piece.labels
                )
            return
    at = 0
    while scope.word(at) in ("and", "also", "who", "both", "then", "he", "she", "too", "but"):
        at += 1
    relative = "who" in words[: at + 1]
    at = _after_adverbs(scope, at)
    for name in ("writer", "director", "actor"):
        length = scope.cue(f"{name}_behind", at)
        if not length or scope.word(at + length) == "by" or not scope.word(at).isalpha():
            continue
        topics = _object_titles(scope, at + length) if name == "director" else None
        subjects = last_persons(before) if relative else scope.context.subjects
        if relative and "it" not in before.words[:1]:
            subjects = tuple(Subject(piece, False) for piece, _ in subjects)
        for piece, negated in subjects:
            yield Stated(
                name, piece.raw, negated != scope.negated(at), piece.begin, piece.end,
                piece.labels, topics,
            )  # fmt: skip
        return


# --- bare names -----------------------------------------------------------------------------------
def _listed(scope: Scope, first: int, end: int) -> str | None:
    """Relation of a bare name in apposition, in a list or as a tag; None for any other name."""
    content = [p for p in scope.pieces[:first] if p.kind != "mark" and p.lower not in _IN_LISTS]
    rest = [p for p in scope.pieces[end:] if p.kind != "mark" and p.lower not in _IN_LISTS]
    if content or rest:
        return None
    before = scope.context.before
    if before is not None and scope.clause.opener in _APPOSED and not scope.negators:
        for name in ("director", "actor"):
            if any(word in before.words for word in lexicon()["shared_words"][name]):
                return name
    if scope.context.inherited is not None and scope.clause.opener in (",", "and", "(", "&", "/"):
        return scope.context.inherited
    return _known_as(scope, first, end) if scope.is_tag else None


# --- films after the cue --------------------------------------------------------------------------
def _work_at(scope: Scope, place: int) -> int | None:
    """Index of the noun for a film: "1993 dinosaur adventure", "Heat", "epic"; None without one."""
    year: int | None = None
    for at in range(place, min(place + 8, len(scope.pieces))):
        if scope.kind(at) in ("title", "genre") or scope.cue("film_nouns", at):
            return at
        if scope.kind(at) in ("year", "range"):
            year = at
        joined = "-" in (scope.word(at - 1), scope.word(at), scope.word(at + 1))
        if (
            joined
            or scope.kind(at) in ("year", "range", "place")
            or scope.word(at) in ('"', "\u201c", "*", "'", "\u2018", "_")
        ):
            continue
        if scope.kind(at) != "word" or scope.is_any(at, "verbs") or scope.is_any(at, "comparators"):
            return year
    return year


def _object_titles(scope: Scope, place: int) -> tuple[Topic, ...] | None:
    """Films that are the object of a cue: "NAME directed Heat and Thief"; else None."""
    titles: list[Topic] = []
    for piece in scope.pieces[place:]:
        if piece.kind == "title":
            titles.append(piece.entries)
        elif piece.lower in ("it", "this", "that") and not titles:
            titles += scope.clause.topics[:1]
        elif piece.kind == "word" and piece.lower not in _IN_LISTS:
            break
    named = any(piece.kind == "title" for piece in scope.pieces[place:])
    return tuple(dict.fromkeys(titles)) if titles and named else None
