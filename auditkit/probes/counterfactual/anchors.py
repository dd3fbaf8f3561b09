"""What the requests of a counterfactual probe are about, and in which words.

An anchor is a user's real history, asked in the recommender's own words, or one liked title in
FaiRLLM's manner, asked in shipped templates for a domain. Source: fairness recipe, 4.1; FaiRLLM's
templates are not used.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context
from auditkit.probes.counterfactual.design import Wording
from auditkit.types import Item, Request

__all__ = ["DOMAINS", "anchors_of", "draw_items", "instructions"]

DOMAINS = ("movies", "music", "books", "generic")


@cache
def _templates() -> Mapping[str, object]:
    text = (files("auditkit") / "recommenders/templates/counterfactual.yaml").read_text("utf-8")
    loaded: Mapping[str, object] = yaml.safe_load(text)
    return loaded


def instructions(
    own: Sequence[str], *, n: int, domain: str, history: bool, listing: bool
) -> dict[Wording, tuple[str, ...]]:
    """Instructions by wording: the recommender's own about a history, or those about one title.

    Args:
        own: the recommender's wordings; n: how many templates.
        listing: whether candidates must stand in the request.
    """
    shipped = _templates()
    nouns = shipped["domains"][domain]  # type: ignore[index]
    suffix = str(shipped["choose"]) if listing else ""
    plain = list(own) if history else list(shipped["templates"])  # type: ignore[call-overload]
    if not 1 <= n <= len(plain):
        raise InvalidArgument(
            f"fairness.counterfactual got templates={n}. This recommender can be asked in "
            f"{len(plain)}."
        )

    def filled(template: str, noun: str) -> str:
        return template.replace("{items}", nouns[noun]) + suffix

    chosen = tuple(filled(template, "items") for template in plain[:n])
    german = (filled(str(shipped["german"]), "german"),)
    return {
        "phrases": chosen, "described": chosen, "typo": chosen[:1], "named": chosen[:1],
        "german": german,
    }  # fmt: skip


def anchors_of(context: Context, *, n: int, history: bool, n_candidates: int) -> list[Request]:
    """One neutral request per probe, without wording: a user's history, or one title.

    Titles are drawn from the thirds of the catalog by popularity, in turn. Candidates are the same
    in all requests of a probe and hold no item of its history.
    """
    catalog = context.dataset.catalog
    items = [Item(entry.id, entry.display_title) for entry in catalog.items]
    rng = context.rng("anchors")
    if history:
        anchors = [
            Request(user_id=user.id, history=user.history) for user in context.sample_users(n)
        ]
    else:
        counts = np.bincount(context.dataset.interactions.item_index, minlength=len(items))
        ranked = np.argsort(-counts, kind="stable")
        thirds = [rng.permutation(third) for third in np.array_split(ranked, 3)]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*thirds))
        drawn = [items[int(row)] for row in turns if row is not None][:n]
        anchors = [Request(user_id=f"anchor {item.id}", history=(item,)) for item in drawn]
    if not n_candidates:
        return anchors
    found = []
    for anchor in anchors:
        seen = {item.id for item in anchor.history}
        listed = draw_items(context, anchor.user_id, n=n_candidates, without=seen)
        found.append(replace(anchor, candidates=listed))
    return found


def draw_items(
    context: Context, name: str, *, n: int, without: Collection[str]
) -> tuple[Item, ...]:
    """Items to choose from, in random order: the same for every request of one name in a run.

    Args:
        name: of the user or anchor. n: how many, fewer where the catalog has no more.
        without: ids of items that are not drawn.
    """
    catalog = context.dataset.catalog
    order = context.rng("candidates", name).permutation(len(catalog.items))
    drawn = (catalog.items[int(row)] for row in order)
    free = (Item(entry.id, entry.display_title) for entry in drawn if entry.id not in without)
    return tuple(itertools.islice(free, n))
