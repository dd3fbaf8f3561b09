"""Claims about awards, sources, sequels and shared attributes ("by the director of Heat")."""

from __future__ import annotations

from collections.abc import Iterator

from auditkit.claims.credits import last_persons
from auditkit.claims.lexicon import lexicon, phrases
from auditkit.claims.statements import Scope, Stated, entry_value

__all__ = ["connection_statements", "shared_statements"]

_BEFORE_TITLE = frozenset(
    ("the", "both", "that", "great", "film", "movie", "of", "also", "us", "\u201c", '"', "*", "'",
     "\u2018")
)  # fmt: skip


def connection_statements(scope: Scope) -> Iterator[Stated]:
    """Extract the statements of one clause about awards, sources and sequels."""
    words, pieces = scope.words, scope.pieces
    awards = list(phrases("award_words").places(words))
    if awards and scope.has_cue("award_verbs"):
        begin, end = awards[0]
        value = " ".join(piece.raw for piece in pieces[begin:end])
        span = pieces[begin].begin, pieces[end - 1].end
        yield Stated("award", value, scope.negated(begin), *span, {})
    for begin, end in phrases("based_on").places(words):
        rest = [piece.raw for piece in pieces[end:] if piece.kind != "mark"]
        if rest:
            yield scope.say("based_on", " ".join(rest), begin)
    for _, end in phrases("sequel_before").places(words):
        for at in range(end, min(end + 4, len(words))):
            if scope.kind(at) in ("title", "person"):
                known = scope.kind(at) == "title" and bool(pieces[at].entries)
                yield scope.say(
                    "sequel_of", entry_value(pieces[at]) if known else pieces[at].raw, at
                )
                break


def shared_statements(scope: Scope) -> Iterator[Stated]:
    """Extract the `same:director`, `same:actor` and `same:genre` statements of one clause."""
    for relation in ("director", "actor", "genre"):
        found = list(_named_path(scope, relation))
        yield from found or _shared(scope, relation)
    yield from _made_by_same(scope)


def _named_path(scope: Scope, relation: str) -> Iterator[Stated]:
    """Match "from the director of Heat"."""
    for _, end in phrases(f"same_{relation}").places(scope.words):
        at = end
        while scope.word(at) in _BEFORE_TITLE:
            at += 1
        while scope.kind(at) == "title" and scope.pieces[at].entries:
            yield scope.say(f"same:{relation}", entry_value(scope.pieces[at]), at)
            at += 1
            while scope.word(at) in (",", "and", "&"):
                at += 1


def _shared(scope: Scope, relation: str) -> Iterator[Stated]:
    """Match "Heat and Thief share a director", "it has its director in common with Heat"."""
    words = scope.words
    shares = any(w in words for w in ("share", "shares", "common", "same", "shared", "sharing"))
    if not shares or not any(w in words for w in lexicon()["shared_words"][relation]):
        return
    titles = [at for at, p in enumerate(scope.pieces) if p.kind == "title" and p.entries]
    led = scope.clause.topics if scope.clause.explicit else ()
    if len(led) > 1:
        for other in led[1:]:
            at = next((t for t in titles if scope.pieces[t].entries == other), None)
            if at is not None:
                value = entry_value(scope.pieces[at])
                yield scope.say(f"same:{relation}", value, at, topics=(led[0],))
        return
    for at in titles:
        if scope.pieces[at].entries not in led:
            yield scope.say(f"same:{relation}", entry_value(scope.pieces[at]), at)


def _made_by_same(scope: Scope) -> Iterator[Stated]:
    """Match "the man | who also made Heat", and "by the same director" after a clause on Heat."""
    words, before = scope.words, scope.context.before
    if before is None:
        return
    if words[:1] in (["who"], ["that"]) and not last_persons(before):
        at = 1
        while scope.is_any(at, "adverbs") or scope.is_any(at, "making"):
            at += 1
        if scope.kind(at) == "title" and scope.pieces[at].entries and at > 1:
            yield scope.say("same:director", entry_value(scope.pieces[at]), at)
    elif scope.has_cue("same_maker") and not any(p.kind == "title" for p in scope.pieces[-2:]):
        titles = [p for p in before.pieces if p.kind == "title" and p.entries]
        if titles:
            yield scope.say("same:director", entry_value(titles[-1]), words.index("same"))
