"""Add a list of candidates and their facts to a prompt (retrieval-augmented generation).

The list follows the request in the recommender's own template. Facts are labels of the knowledge
graph, those that the domain pack names, with up to three values each, as many as fit into 40
tokens. See
docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.domains.pack import Fact
from auditkit.types import Item, Request

__all__ = ["fact_line", "with_candidates"]

MAX_TOKENS = 40
_N_VALUES = 3  # of one predicate


def with_candidates(
    request: Request, lines: Sequence[str], *, instruction: str, choose: str
) -> Request:
    """Write candidates into the prompt of a request. `Request.candidates` stays empty, so that the
    recommender generates a list instead of ranking the candidates.

    Args:
        lines: one text per candidate.
        instruction: template for a request without an instruction.
        choose: words between the request and the list.
    """
    words = (request.instruction or instruction) + choose
    listed = "\n".join(f"- {_without_slots(line)}" for line in lines)
    return replace(request, instruction=words + listed, prompt="")


def fact_line(
    graph: KnowledgeGraph, item: Item, facts: Sequence[Fact], *, count: Callable[[str], int]
) -> str:
    """A title with at most 40 tokens of facts: `Fargo (1996): Crime, Drama; director Joel Coen`.

    Args:
        facts: predicates to show, in order, each with the phrase for its values.
        count: returns the number of tokens of a text.
    """
    labeled = {predicate.name for predicate in graph.predicates if predicate.labeled}
    said: list[str] = []
    for stated in facts:
        name = stated.predicate
        values = graph.values(item.id, name)[:_N_VALUES] if name in labeled else ()
        if not values or (name == "year" and item.title.endswith(f"({values[0]})")):
            continue
        fact = stated.form.replace("{value}", ", ".join(values))
        if count("; ".join([*said, fact])) <= MAX_TOKENS:
            said.append(fact)
    return f"{item.title}: {'; '.join(said)}" if said else item.title


def _without_slots(text: str) -> str:
    """Text without braces, which would be read as slots of the template."""
    return text.replace("{", "(").replace("}", ")")
