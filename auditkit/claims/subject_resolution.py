"""Resolution of the films that each clause is about.

A clause is about the films that open it, about the film that it follows in apposition or in
brackets, about the referents of "the former" or "both", or otherwise about the films of the
previous clause. Claims are attached by clause, not by distance (docs/explain/hallucination.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.claims.clauses import OPENING, Clause, Topic
from auditkit.claims.lexicon import lexicon, phrases
from auditkit.claims.span import QUOTES, Span

__all__ = ["find_topics"]

_AROUND_TITLES = QUOTES | {",", "and", "&", "or", "/", "both", "nor", "plus", "neither", "either"}
_BULLETS = ("-", "*", "\u2022", "\u2013", "#")
_DASHES = (":", "\u2014", "\u2013", "-")


def find_topics(found: Sequence[Clause], own: Topic | None) -> None:
    """Set the topics of every clause.

    Args:
        own: catalog entries of the film that is the known subject of the text; None if unknown.
    """
    current: tuple[Topic, ...] = (own,) if own is not None else ()
    group: tuple[Topic, ...] = ()  # the last films that were named together
    mentioned: list[Topic] = []
    outside: Clause | None = None  # the last clause of the sentence that is not in brackets
    for place, clause in enumerate(found):
        before = found[place - 1] if place else None
        if before is not None and before.sentence != clause.sentence:
            if own is None and _new_block(before, clause):
                current, group = (), ()
            before = outside = None
        group = current if len(current) > 1 else group
        led, apposed = _leading_titles(clause.pieces), _apposed(before, clause)
        if clause.words[:2] == ["not", "TITLE"] and len(clause.pieces) == 2:
            clause.topics = led  # "Alien, not Aliens, was directed by ..."
            continue
        following = found[place + 1] if place + 1 < len(found) else None
        if not led and _names_unknown_film(clause, following):
            led = ((),)
        referred = _referred(clause, mentioned, group)
        mentioned += [p.entries for p in clause.pieces if p.kind == "title"]
        if not led:
            clause.contrasted = _compared(clause)
        if clause.in_brackets and before is not None:
            clause.topics = apposed or before.topics
            continue
        if referred or led:
            clause.explicit = True
            follows = not referred and outside is not None and _is_list(outside)
            clause.topics = (*outside.topics, *led) if follows and outside else referred or led
        elif own is not None and before is not None and clause.words[:1] == ["this"]:
            clause.topics = (own,)
        elif _says_both(clause) and len(mentioned) + (own is not None) > 1:
            every = mentioned if own is None else [*mentioned, own]
            clause.topics = tuple(dict.fromkeys(every))[-2:]
            continue
        elif outside is not None and clause.opener in (")", "]"):
            clause.topics, clause.explicit = outside.topics, outside.explicit
        elif apposed:
            clause.topics = apposed
            if before is not None and not before.explicit:
                continue
        elif before is None and own is not None and not _has_pronoun(clause):
            clause.topics = (own,)
        else:
            clause.topics = current or _first_named(clause)
        picked = {"latter": -1, "former": -2}.get("".join(clause.words[-1:]))
        if picked is not None and clause.words[-2:-1] == ["the"] and len(mentioned) > 1:
            current = (mentioned[picked],)
        else:
            current = clause.topics or current
        outside = clause


def _first_named(clause: Clause) -> tuple[Topic, ...]:
    """First title of a clause that is not part of a comparison."""
    pieces = clause.pieces
    for place, piece in enumerate(pieces):
        compared = place > 0 and pieces[place - 1].lower in ("like", "than", "unlike")
        if piece.kind == "title" and not compared:
            return (piece.entries,)
    return ()


def _new_block(before: Clause, clause: Clause) -> bool:
    """Whether the clause begins a line about another film, perhaps outside the catalog."""
    ended = bool(before.pieces) and before.pieces[-1].lower == "\n"
    first = clause.pieces[0].lower if clause.pieces else ""
    listed = first.isdecimal() or first in _BULLETS or (not first and before.pieces[-1:] != [])
    return ended and (listed or any(p.kind == "title" for p in clause.pieces))


def _names_unknown_film(clause: Clause, following: Clause | None) -> bool:
    """Whether an unknown name is a film: "Bogus Flick is a comedy", "Bogus Flick: a comedy"."""
    pieces = clause.pieces
    if not pieces or "unknown" not in pieces[0].values:
        return False
    words = clause.words
    if words[1:2] in (["is"], ["was"], ["'s"]) and words[2:3] in (["a"], ["an"], ["the"]):
        return any(p.kind == "genre" for p in pieces) or phrases("film_nouns").anywhere(words[3:])
    alone = len(pieces) == 1 and clause.opener in ("", "\n")
    return alone and following is not None and following.opener in _DASHES


def _is_list(clause: Clause) -> bool:
    """Whether the clause contains only titles, so that the next clause continues the list."""
    only = all(p.kind == "title" or p.lower in _AROUND_TITLES for p in clause.pieces)
    return clause.explicit and only and clause.opener != "but"


def _leading_titles(pieces: Sequence[Span]) -> tuple[Topic, ...]:
    """The coordinated titles that open a clause."""
    place = 0
    while place < len(pieces) and pieces[place].kind != "title":
        if not _may_precede_title(pieces, place):
            return ()
        place += 1
    titles: list[Topic] = []
    for piece in pieces[place:]:
        if piece.kind == "title":
            titles.append(piece.entries)
        elif piece.lower not in _AROUND_TITLES:
            break
    return tuple(titles)


def _may_precede_title(pieces: Sequence[Span], place: int) -> bool:
    """Whether a span may precede a title that opens a clause: "Mann's great thriller Heat"."""
    piece = pieces[place]
    if piece.kind != "word":
        return piece.kind != "runtime"
    if piece.lower in lexicon()["leading"] or piece.lower.isdigit() or piece.lower == "'s":
        return True
    if piece.lower in lexicon()["verbs"] or piece.lower in lexicon()["comparators"]:
        return False
    first = next((p.lower for p in pieces[:place] if p.kind == "word"), "")
    described = first in ("the", "a", "an", "his", "her", "this", "another")
    return described or any(p.lower == "'s" for p in pieces[:place])


def _referred(
    clause: Clause, mentioned: Sequence[Topic], group: Sequence[Topic]
) -> tuple[Topic, ...]:
    """Film that "the latter" or "only the first" refers to; empty without such words."""
    words = clause.words
    if len(mentioned) < 2 or "TITLE" in words:
        return ()
    opening = [
        word for word in words if word not in ("but", "and", "only", "while", "though", "whereas")
    ]
    order = list(group) if len(group) > 1 else list(dict.fromkeys(mentioned))
    named = {"former": mentioned[-2], "latter": mentioned[-1]}
    if opening[:1] == ["the"] and len(order) > 1:
        named |= {"first": order[0], "second": order[1], "last": order[-1], "other": order[-1]}
        named |= {"third": order[2]} if len(order) > 2 else {}
    return (named[opening[1]],) if opening[1:2] and opening[1] in named else ()


def _says_both(clause: Clause) -> bool:
    """Whether "both" refers to two films named earlier: "James Cameron made both"."""
    words = [word for word in clause.words if word.isalpha()]
    if "both" not in words or "TITLE" in words:
        return False
    after = words[words.index("both") + 1 :]
    return not after or after[0] in ("films", "movies", "of", "picks", "pictures")


def _compared(clause: Clause) -> list[tuple[Topic, bool]]:
    """(film, whether "like") for each film after an opening "like" or "unlike"."""
    shown = [p for p in clause.pieces if p.lower not in QUOTES]
    words = [p.lower if p.kind == "word" else p.kind.upper() for p in shown]
    at = 1 if words[:1] and words[0] in ("and", "but", "so", "just", "quite", "much") else 0
    if at >= len(words):
        return []
    contrast, like = phrases("contrast").at(words, at), phrases("likeness").at(words, at)
    end = at + (contrast or like)
    first = end
    while end < len(words) and end < first + 5 and words[end] != "TITLE":
        if words[end] in lexicon()["verbs"]:
            return []
        end += 1
    if first == at or end >= len(words) or words[end] != "TITLE":
        return []
    found = []
    for piece in shown[end:]:
        if piece.kind == "title":
            found.append((piece.entries, not contrast))
        elif piece.lower not in (",", "and", "or", "&"):
            break
    return found


def _apposed(before: Clause | None, clause: Clause) -> tuple[Topic, ...]:
    """Titles that this clause describes, in brackets or in apposition: "Heat, a crime drama"."""
    pieces = [p for p in before.pieces if p.lower not in QUOTES] if before is not None else []
    if before is None or not pieces or pieces[-1].kind != "title" or before.contrasted:
        return ()
    only = (pieces[-1].entries,)
    first = clause.pieces[0].lower if clause.pieces else ""
    if clause.opener in OPENING or first in ("which", "whose"):
        return only
    if clause.opener in _DASHES:
        return before.topics if _is_list(before) else only
    if clause.opener != ",":
        return ()
    if first in ("a", "an", "the", "another", "itself", "his", "her"):
        return only
    participle = first in ("directed", "starring", "released", "made")
    return only if participle and (len(before.pieces) <= 3 or before.explicit) else ()


def _has_pronoun(clause: Clause) -> bool:
    """Whether the clause begins with a pronoun, which refers to the previous sentence."""
    words = clause.words
    at = 1 if words[:1] and words[0] in lexicon()["leading"] and words[0] != "both" else 0
    return at < len(words) and words[at] != "this" and bool(phrases("pronouns").at(words, at))
