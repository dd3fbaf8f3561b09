"""Put into the prompt what the recommender may choose from, and what the graph knows about it.

The list stands behind the request in the recommender's own words. Facts are the graph's labels: up
to three of genre, director and year, as many as fit 40 tokens. Source: hallucination recipe,
section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.types import Item, Request

__all__ = ["fact_line", "with_candidates"]

MAX_TOKENS = 40
_CHOOSE = "\nName only movies of this list:\n"
_N_VALUES = 3  # of one predicate


def with_candidates(request: Request, lines: Sequence[str], *, instruction: str) -> Request:
    """The request with a list to choose from, as words; `Request.candidates` stays empty, so that
    the recommender writes its list instead of ranking the candidates.

    Args:
        instruction: the template of a request that brings none.
    """
    words = (request.instruction or instruction) + _CHOOSE
    listed = "\n".join(f"- {_without_slots(line)}" for line in lines)
    return replace(request, instruction=words + listed, prompt="")


def fact_line(graph: KnowledgeGraph, item: Item, *, count: Callable[[str], int]) -> str:
    """`Fargo (1996): Crime, Drama; director Joel Coen`, with at most 40 tokens of facts.

    Args:
        count: tokens of a text.
    """
    labelled = {predicate.name for predicate in graph.predicates if predicate.labelled}
    said: list[str] = []
    for name, form in (("genre", "{}"), ("director", "director {}"), ("year", "year {}")):
        values = graph.values(item.id, name)[:_N_VALUES] if name in labelled else ()
        if not values or (name == "year" and item.title.endswith(f"({values[0]})")):
            continue
        fact = form.format(", ".join(values))
        if count("; ".join([*said, fact])) <= MAX_TOKENS:
            said.append(fact)
    return f"{item.title}: {'; '.join(said)}" if said else item.title


def _without_slots(text: str) -> str:
    """Words that stand in a template: braces would be read as slots."""
    return text.replace("{", "(").replace("}", ")")
