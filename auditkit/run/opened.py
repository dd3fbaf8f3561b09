"""Load a recommender for a few requests outside an audit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auditkit.catalog.dataset import Dataset
from auditkit.recommenders.loading.load import LoadedRecommender, load_recommender
from auditkit.recommenders.target_uri import restriction_for
from auditkit.run.declared_facts import with_declared_facts
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.security.network_guard import restricted_network

__all__ = ["deadline_of", "opened_recommender"]


@contextmanager
def opened_recommender(
    target: str, recipe: AuditRecipe, dataset: Dataset, options: AuditOptions
) -> Iterator[LoadedRecommender]:
    """Load a recommender with its declared facts, and restrict the network while it is used.

    Args:
        target: TARGET argument, as for `run_audit`.
        recipe: recipe that the audit would use.
        dataset: users and items of the requests.
        options: permissions of code and network.

    Raises:
        TargetUnavailable: the recommender cannot be loaded.
        NetworkForbidden: code of the recommender tried to connect, even if it suppressed the error.
    """
    restriction = restriction_for(target, online=options.online)
    with restricted_network(restriction):
        loaded = load_recommender(
            target, dataset=dataset, prompts=options.prompts, allow_code=options.allow_code
        )
        yield with_declared_facts(loaded, recipe, dataset, options)
        if restriction is not None:
            restriction.check()


def deadline_of(loaded: LoadedRecommender, options: AuditOptions) -> float | None:
    """Seconds that one call may take; None for no limit. Only user code, which may hang, has a
    limit.
    """
    return options.call_seconds if loaded.kind == "python" or loaded.code else None
