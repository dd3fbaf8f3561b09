"""Everything that one clause states. Source: hallucination recipe 4.5, steps 4 and 6."""

from __future__ import annotations

from auditkit.catalog.claims.attributes import attribute_statements
from auditkit.catalog.claims.connections import connection_statements, shared_statements
from auditkit.catalog.claims.persons import person_statements
from auditkit.catalog.claims.segments import Clause
from auditkit.catalog.claims.statements import Context, Scope, Stated

__all__ = ["stated"]


def stated(clause: Clause, context: Context) -> list[Stated]:
    """Statements of one clause, without what stands in a taste frame or behind a hedge."""
    scope = Scope(clause, context)
    found = [*person_statements(scope), *attribute_statements(scope), *connection_statements(scope)]
    named = {statement.relation for statement in found}
    found += [s for s in shared_statements(scope) if s.relation.removeprefix("same:") not in named]
    if clause.silent_from >= len(clause.pieces):
        return found
    silent = clause.pieces[clause.silent_from].begin
    return [statement for statement in found if statement.begin < silent]
