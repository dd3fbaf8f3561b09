"""Candidates for recommenders that cannot generate lists of titles.

A small language model generates titles of items that do not exist, but it can rank candidates by
their log-probability. See docs/explain/fairness.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from auditkit.domains.pack import DomainPack
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, User, neutral_request
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Sized
from auditkit.types import Item, Request

__all__ = [
    "Wording",
    "cannot_list_titles",
    "draw_candidates",
    "draw_items",
    "instructions",
    "requests_for_utility",
]


Wording = Literal["phrases", "described", "typo", "german", "named"]


SMALL = 1e9  # parameters


def cannot_list_titles(target: Target) -> bool:
    """Whether the target is a language model of fewer than 1e9 parameters that reads titles."""
    recommender = target.recommender
    if target.prompts.history != "titles" or not isinstance(recommender, Sized):
        return False
    return recommender.n_parameters < SMALL


def requests_for_utility(
    target: Target, context: Context, users: Sequence[User], *, k: int, n_candidates: int
) -> list[Request]:
    """Create the neutral request of every user, with candidates if `n_candidates` is above 0.

    Candidates are listed in the prompt only if the recommender reads the prompt text and does not
    score candidates itself.
    """
    plain = [neutral_request(user, k=k) for user in users]
    if not n_candidates:
        return plain
    by_tokens = target.prompts.history == "item_tokens"
    scores_items = isinstance(target.recommender, Sized)
    shown = ""
    if target.reads_prompt and not by_tokens and not scores_items:
        own = target.prompts.recommend
        (shown,) = instructions(own, n=1, pack=target.pack, history=True, listing=True)["phrases"]
    return [
        replace(
            request,
            candidates=draw_candidates(context, user, n=n_candidates),
            instruction=shown or request.instruction,
        )
        for user, request in zip(users, plain, strict=True)
    ]


def draw_candidates(context: Context, user: User, *, n: int) -> tuple[Item, ...]:
    """Sample candidates: the user's held-out items and random items that are new to the user,
    shuffled.

    Args:
        n: total number of items; fewer are returned if the catalog is smaller, more if the user has
            more than n held-out items.

    Returns:
        The candidates, which are the same in the same order for every request of this user in a
        run.
    """
    held_out = {item.id: item for item in user.test_items}
    taken = {item.id for item in user.history} | held_out.keys()
    others = draw_items(context, user.id, n=max(0, n - len(held_out)), without=taken)
    listed = [*held_out.values(), *others]
    order = context.rng("order of candidates", user.id).permutation(len(listed))
    return tuple(listed[row] for row in order)


@cache
def _templates() -> Mapping[str, object]:
    text = (files("auditkit.recommenders.prompting") / "templates/counterfactual.yaml").read_text(
        "utf-8"
    )
    loaded: Mapping[str, object] = yaml.safe_load(text)
    return loaded


def instructions(
    own: Sequence[str], *, n: int, pack: DomainPack, history: bool, listing: bool
) -> dict[Wording, tuple[str, ...]]:
    """Return instructions by wording: the recommender's templates, or shipped ones for single
    titles.

    Args:
        own: templates of the recommender.
        n: number of templates per wording.
        pack: the domain pack.
        history: whether requests contain a history.
        listing: whether the prompt must list the candidates.

    Raises:
        InvalidArgument: there are fewer than `n` templates.
    """
    shipped = _templates()
    suffix = str(shipped["choose"]) if listing else ""
    plain = list(own) if history else list(shipped["templates"])  # type: ignore[call-overload]
    if not 1 <= n <= len(plain):
        raise InvalidArgument(
            f"fairness.counterfactual got templates={n}. Give at most {len(plain)}, the number of "
            "templates for this recommender."
        )

    words = (lambda template: template) if history else pack.filled
    chosen = tuple(words(template) + suffix for template in plain[:n])
    german = (pack.filled(str(shipped["german"])) + suffix,)
    return {
        "phrases": chosen, "described": chosen, "typo": chosen[:1], "named": chosen[:1],
        "german": german,
    }  # fmt: skip


def draw_items(
    context: Context, name: str, *, n: int, without: Collection[str]
) -> tuple[Item, ...]:
    """Sample candidates in random order; in a run, equal names always get equal candidates.

    Args:
        name: name of the user or anchor, which seeds the sampling.
        n: number of items; fewer are returned if the catalog is smaller.
        without: ids of items to exclude.
    """
    catalog = context.dataset.catalog
    order = context.rng("candidates", name).permutation(len(catalog.items))
    drawn = (catalog.items[int(row)] for row in order)
    free = (Item(entry.id, entry.display_title) for entry in drawn if entry.id not in without)
    return tuple(itertools.islice(free, n))
