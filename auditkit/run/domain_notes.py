"""Notes of a run on its domain pack."""

from __future__ import annotations

from auditkit.catalog.catalog import Catalog
from auditkit.domains.mismatch import mismatches
from auditkit.recommenders.execution.target import Target

__all__ = ["domain_notes"]


def domain_notes(catalog: Catalog, target: Target) -> list[str]:
    """Return signs that the domain pack does not fit the catalog or the recommender's templates."""
    predicates = [predicate.name for predicate in catalog.graph.predicates]
    prompts = target.prompts.recommend if target.reads_prompt else ()
    return mismatches(target.pack, predicates, prompts)
