"""Anchors of the counterfactual probe: the user histories or titles in its requests.

An anchor is the history of a real user, with the recommender's own templates, or one liked title
with shipped templates for a domain. Source: one-title anchors as in FaiRLLM (Zhang et al. 2023),
whose templates are not used; see docs/explain/fairness.md.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from auditkit.probes.base import Context
from auditkit.probes.fairness.candidates import draw_items
from auditkit.types import Item, Request

__all__ = ["anchors_of"]


def anchors_of(context: Context, *, n: int, history: bool, n_candidates: int) -> list[Request]:
    """One neutral request per anchor, without instruction: a user's history, or one title.

    Titles are sampled in turn from the most, medium and least popular third of the catalog.
    Candidates are the same in all requests of an anchor and contain no item of its history.
    """
    catalog = context.dataset.catalog
    rng = context.rng("anchors")
    if history:
        anchors = [
            Request(user_id=user.id, history=user.history) for user in context.sample_users(n)
        ]
    else:
        counts = np.bincount(context.dataset.interactions.item_index, minlength=len(catalog))
        ranked = np.argsort(-counts, kind="stable")
        thirds = [rng.permutation(third) for third in np.array_split(ranked, 3)]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*thirds))
        rows = itertools.islice((int(row) for row in turns if row is not None), n)
        entries = [catalog.items[row] for row in rows]
        drawn = [Item(entry.id, entry.display_title) for entry in entries]
        anchors = [Request(user_id=f"anchor {item.id}", history=(item,)) for item in drawn]
    if not n_candidates:
        return anchors
    found = []
    for anchor in anchors:
        seen = {item.id for item in anchor.history}
        listed = draw_items(context, anchor.user_id, n=n_candidates, without=seen)
        found.append(replace(anchor, candidates=listed))
    return found
