"""Annotation of a text with spans: titles, persons, genres, years, minutes and plain words.

Titles and full names are matched first and the longest match wins, so that "Crime" in a title is
not read as a genre and "Mann" in a name is not read as a title. The remaining tokens are matched
with the names of the graph and the lexicon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditkit.claims.entity_names import Names
from auditkit.claims.lexicon import Token, has_no_capital, phrases
from auditkit.claims.person_names import capital_at, full_names, name_at
from auditkit.claims.quantities import minutes_at, years_at
from auditkit.claims.span import QUOTES, Kind, Span
from auditkit.claims.title_mentions import Window, is_mention

__all__ = ["spans_of"]

_SIBLINGS = frozenset(("brothers", "bros", "sisters", "siblings"))
_LONGEST_GENRE, _LONGEST_PLACE = 4, 3


def spans_of(
    text: str,
    tokens: Sequence[Token],
    titles: Sequence[tuple[Window, tuple[int, ...]]],
    names: Names,
    own: Callable[[int], bool],
) -> list[Span]:
    """Split one text into spans, in order.

    Args:
        titles: windows whose key matches catalog entries, each with these entries.
        own: returns whether an entry is the known subject of the text.
    """
    genre_words = frozenset(run[0] for run in names.genres if len(run) == 1)
    claimed = full_names(text, tokens, names)
    for window, entries in titles:
        if is_mention(text, tokens, window, any(map(own, entries)), genre_words):
            begin, end = tokens[window.first].begin, tokens[window.behind - 1].end
            raw = text[begin:end]
            piece = Span("title", raw.lower(), begin, end, raw, entries=entries)
            claimed.append((window.first, window.behind, piece))
    taken: list[Span | None] = [None] * len(tokens)
    for first, after, piece in sorted(
        claimed, key=lambda c: (c[0] - c[1], c[2].kind == "title", c[0])
    ):
        if all(place is None for place in taken[first:after]):
            taken[first:after] = [piece] * (after - first)
    _fill(taken, text, tokens, names)
    found: list[Span] = []
    for token, taker in zip(tokens, taken, strict=True):
        if taker is None:
            kind: Kind = "word" if token.lower[0].isalnum() or token.lower == "'s" else "mark"
            raw = text[token.begin : token.end]
            found.append(Span(kind, token.lower, token.begin, token.end, raw))
        elif not found or found[-1] is not taker:
            found.append(taker)
    return _with_years(_tidied(found))


def _fill(taken: list[Span | None], text: str, tokens: Sequence[Token], names: Names) -> None:
    """Find years, minutes, genres, places and names in the tokens without a span."""
    masked = [
        "\0" if piece is not None else token.lower
        for piece, token in zip(taken, tokens, strict=True)
    ]
    place = 0
    while place < len(tokens):
        after, piece = place + 1, None
        if masked[place] != "\0":
            after, piece = _read_at(text, tokens, masked, place, names)
        if piece is not None:
            taken[place:after] = [piece] * (after - place)
        place = after


def _read_at(
    text: str, tokens: Sequence[Token], masked: Sequence[str], place: int, names: Names
) -> tuple[int, Span | None]:
    """Return the index of the next token to read, and the span that begins at `place`, or None."""

    def piece(kind: Kind, after: int, *values: str) -> tuple[int, Span]:
        begin, end = tokens[place].begin, tokens[after - 1].end
        return after, Span(
            kind, text[begin:end].lower(), begin, end, text[begin:end], values=values
        )

    after, minutes = minutes_at(masked, place)
    if after:
        return piece("runtime", after, str(minutes))
    after, bound = years_at(masked, place)
    if after:
        return piece("year" if bound.startswith("=") else "range", after, bound)
    for length in range(min(_LONGEST_GENRE, len(tokens) - place), 0, -1):
        values = names.genres.get(tuple(masked[place : place + length]))
        if values:
            return piece("genre", place + length, *values)
    if text[tokens[place].begin].isupper() or has_no_capital(text):
        for length in range(min(_LONGEST_PLACE, len(tokens) - place), 0, -1):
            meant = names.places.get(tuple(masked[place : place + length]))
            if meant and not capital_at(text, tokens, place + length):
                after, found = piece("place", place + length)
                found.labels = {relation: [label] for relation, label in meant.items()}
                return after, found
    return name_at(text, tokens, masked, place, names)


# --- tidying --------------------------------------------------------------------------------------
def _tidied(pieces: Sequence[Span]) -> list[Span]:
    """Correct spans by their neighbors.

    The mark of "Lucas' film" is read as "'s", "the Coen brothers" as two persons, "!" as the end of
    the title "Airplane!", and "Batman" in "a Batman film" as a word.
    """
    found: list[Span] = []
    for piece, after in zip(pieces, [*pieces[1:], None], strict=False):
        before = found[-1] if found else None
        kind = before.kind if before is not None else None
        if before is not None and kind == "person" and _is_genitive(piece, before):
            found.append(Span("word", "'s", piece.begin, piece.end, piece.raw))
        elif before is not None and kind == "person" and piece.lower in _SIBLINGS:
            found[-1:] = _each(before, end=piece.end)
        elif (
            before is not None
            and kind == "title"
            and piece.lower in ("!", "?")
            and _continues(after)
        ):
            before.end = piece.end
        elif piece.kind == "title" and after is not None and _modifies(piece, after, before):
            found.append(Span("word", piece.lower, piece.begin, piece.end, piece.raw))
        else:
            found.append(piece)
    return found


def _is_genitive(mark: Span, before: Span) -> bool:
    return mark.lower in ("'", "\u2019") and before.end == mark.begin and before.lower.endswith("s")


def _continues(after: Span | None) -> bool:
    """Whether the sentence continues after "Airplane!"."""
    return after is not None and (after.raw[:1].islower() or after.lower in (",", "(", ";"))


def _modifies(title: Span, after: Span, before: Span | None) -> bool:
    """Whether the title only modifies a noun, as in "a Batman film"."""
    noun = phrases("film_nouns").at([after.lower], 0) or after.lower in (
        "universe",
        "fans",
        "fan",
    )
    owned = before is not None and before.lower == "'s"
    return bool(noun) and after.begin == title.end + 1 and not owned


def _each(person: Span, *, end: int) -> list[Span]:
    """Split "the Farrelly brothers" into the persons that the graph knows by this name."""
    names = person.labels.get("director") or next(iter(person.labels.values()), [person.raw])
    found: list[Span] = []
    for name in names:
        if found:
            found.append(Span("word", "and", person.begin, person.begin, "and"))
        labels = {"director": [name]}
        found.append(
            Span("person", "brothers", person.begin, end, name, values=("full",), labels=labels)
        )
    return found


def _is_unknown_title(pieces: Sequence[Span], place: int) -> bool:
    """Whether a name in quotes or with a year in brackets is a title outside the catalog."""
    piece = pieces[place]
    if "unknown" not in piece.values and not (piece.kind == "word" and piece.raw[:1].isupper()):
        return False
    after = [p.lower if p.kind == "mark" else p.kind for p in pieces[place + 1 : place + 5]]
    if after[:3] in (["(", "year", ")"], ["[", "year", "]"]):
        return True
    before = pieces[place - 1].lower if place else ""
    quoted = before in QUOTES and bool(after) and after[0] in QUOTES
    return quoted and "unknown" in piece.values


def _with_years(pieces: Sequence[Span]) -> list[Span]:
    """Merge "Heat (1995)" into one span: a title that states its year."""
    found: list[Span] = []
    place = 0
    while place < len(pieces):
        piece = pieces[place]
        found.append(piece)
        place += 1
        unknown = _is_unknown_title(pieces, place - 1)
        if unknown:
            piece.kind, piece.entries, piece.values = "title", (), ()
        if piece.kind != "title":
            continue
        at = place + 1 if place < len(pieces) and pieces[place].lower in QUOTES else place
        inside = [p.lower if p.kind == "mark" else p.kind for p in pieces[at : at + 3]]
        if inside in (["(", "year", ")"], ["[", "year", "]"]):
            piece.values, piece.end = pieces[at + 1].values, pieces[at + 2].end
            place = at + 3
    return found
