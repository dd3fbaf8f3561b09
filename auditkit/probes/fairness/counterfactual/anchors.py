"""Anchors of the counterfactual probe: user histories or single titles.

An anchor is the history of a real user, rendered with the recommender's own templates, or one liked
title, rendered with the shipped templates of a domain. Source: FaiRLLM (Zhang et al. 2023) for
one-title anchors; its templates are not used. See docs/explain/fairness.md.
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
    """Create one neutral request per anchor, a user's history or one title, without an instruction.

    Titles are sampled in turn from the most, medium and least popular third of the catalog.
    All requests of an anchor have the same candidates, which exclude the items of the anchor's
    history.
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
