"""Propagation of statements between clauses: contrast, lists and shared attributes."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from auditkit.claims.attributes import attribute_statements
from auditkit.claims.clauses import Clause, Topic
from auditkit.claims.credits import last_persons, person_statements, subjects_of
from auditkit.claims.entity_names import PERSON_RELATIONS
from auditkit.claims.film_relations import connection_statements, shared_statements
from auditkit.claims.lexicon import lexicon
from auditkit.claims.span import Span
from auditkit.claims.statements import Context, Scope, Stated

__all__ = ["ClauseStatements", "stated", "statements_of"]


def stated(clause: Clause, context: Context) -> list[Stated]:
    """Extract the statements of one clause, except in statements of taste and after hedges."""
    scope = Scope(clause, context)
    found = [*person_statements(scope), *attribute_statements(scope), *connection_statements(scope)]
    named = {statement.relation for statement in found}
    found += [s for s in shared_statements(scope) if s.relation.removeprefix("same:") not in named]
    if clause.silent_from >= len(clause.pieces):
        return found
    silent = clause.pieces[clause.silent_from].begin
    return [statement for statement in found if statement.begin < silent]


class ClauseStatements(NamedTuple):
    """A clause and its statements."""

    clause: Clause
    said: list[Stated]


def statements_of(clauses: list[Clause]) -> list[ClauseStatements]:
    """Extract the statements of every clause, in the context of the preceding clauses."""
    verbs = {c.sentence for c in clauses if any(w in lexicon()["verbs"] for w in c.words)}
    facts = {c.sentence for c in clauses if any(_is_fact(p) for p in c.pieces)}
    if facts:
        facts |= {c.sentence for c in clauses if all(p.kind in ("year", "mark") for p in c.pieces)}
    rows: list[ClauseStatements] = []
    context = Context()
    for clause in clauses:
        if not rows or rows[-1].clause.sentence != clause.sentence:
            subjects = context.subjects if clause.words[:1] in (["he"], ["she"]) else ()
            context = Context(clause.sentence in verbs, clause.sentence in facts, subjects=subjects)
        said = stated(clause, context)
        rows.append(ClauseStatements(clause, said))
        context = _after(clause, said, context)
    _drop_named_paths(rows)
    for place, row in enumerate(rows):
        for topic, alike in row.clause.contrasted:
            _contrast(rows, place, topic, alike=alike)
    return _distributed(rows)


def _after(clause: Clause, said: list[Stated], context: Context) -> Context:
    """Context that a clause passes to the next one."""
    persons = [s.relation for s in said if s.relation in PERSON_RELATIONS]
    waits = clause.words[-1:] in (["not"], ["isn't"], ["never"]) or context.negated
    return context._replace(
        inherited=persons[-1] if persons and last_persons(clause) else None,
        subjects=subjects_of(clause, context),
        before=clause,
        negated=waits and not said,  # "it is not, whatever they say, a war film"
    )


def _is_fact(piece: Span) -> bool:
    known = piece.kind == "person" and bool(piece.labels)
    return known or piece.kind in ("genre", "title", "runtime") or piece.lower == "year"


def _drop_named_paths(rows: list[ClauseStatements]) -> None:
    """Drop the redundant path of "They share a director, NAME": the director is the claim."""
    for (clause, said), (follows, named) in pairwise(rows):
        relations = {f"same:{s.relation}" for s in named}
        paths = [s for s in said if s.relation in relations]
        if not paths or follows.sentence != clause.sentence or follows.explicit:
            continue
        others = {(int(s.value.removeprefix("entry:")),) for s in paths}
        follows.topics = (*clause.topics, *sorted(others - set(clause.topics)))
        said[:] = [s for s in said if s.relation not in relations]


def _contrast(rows: list[ClauseStatements], place: int, topic: Topic, *, alike: bool) -> None:
    """Copy the statements next to "like X" to X, and negate those next to "unlike X"."""
    clause = rows[place].clause
    opens = place == 0 or rows[place - 1].clause.sentence != clause.sentence
    opens = opens or clause.words[:1] in (["and"], ["but"])
    for near in (place, place + 1) if opens else (place, place - 1, place + 1):
        if not 0 <= near < len(rows) or rows[near].clause.sentence != clause.sentence:
            continue
        said = rows[near].said
        own = [s for s in said if s.topics is None and not s.relation.startswith("same:")]
        if own:
            said += [s._replace(topics=(topic,), negated=s.negated is alike) for s in own]
            return


def _distributed(rows: list[ClauseStatements]) -> list[ClauseStatements]:
    """Assign the values of "A and B were directed by C and D, respectively" in order."""
    respectively = {row.clause.sentence for row in rows if "respectively" in row.clause.words}
    return [
        ClauseStatements(clause, _one_each(clause, said)) if clause.sentence in respectively
        else ClauseStatements(clause, said)
        for clause, said in rows
    ]  # fmt: skip


def _one_each(clause: Clause, said: list[Stated]) -> list[Stated]:
    by_relation: dict[str, list[Stated]] = {}
    for statement in said:
        by_relation.setdefault(statement.relation, []).append(statement)
    found: list[Stated] = []
    for group in by_relation.values():
        for number, statement in enumerate(group):
            topics = statement.topics or clause.topics
            single = len(group) == len(topics) > 1
            found.append(statement._replace(topics=(topics[number],)) if single else statement)
    return found
