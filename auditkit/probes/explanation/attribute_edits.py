"""Requests with stated attributes and placebos, and edits that delete or exchange one of them.

Every request states all known attributes of its user and one value of each placebo attribute, in a
random order per user. Each attribute and each placebo is then deleted, or exchanged for another
value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from auditkit.attribution.spans import SpanKind, spans_of
from auditkit.attribution.values import Game
from auditkit.probes.base import User
from auditkit.probes.explanation.top_items import Explained, Outcome, measure_tops
from auditkit.recommenders.execution.target import Target
from auditkit.types import Request

__all__ = ["Change", "Edit", "measure_edits", "placebos", "stating_request"]

KINDS: tuple[SpanKind, ...] = ("history", "attribute")
_UNKNOWN = ("", "unknown")


@dataclass(frozen=True)
class Change:
    """Effect of one edit on one user's recommendation.

    Attributes:
        size: absolute change of the explained item's strength.
        overlap: share of the top items that remain top items, in [0, 1].
        request_id: id of the edited request.
    """

    size: float
    overlap: float
    request_id: str


Edit = tuple[str, str]  # name of the attribute, and `delete` or `swap`


@cache
def placebos() -> Mapping[str, tuple[str, ...]]:
    """Return the values of each placebo attribute, by name."""
    text = (files("auditkit.probes.explanation") / "placebo_attributes.yaml").read_text("utf-8")
    return {name: tuple(values) for name, values in yaml.safe_load(text).items()}


def stating_request(
    user: User, names: Sequence[str], *, n_items: int, k: int, rng: np.random.Generator
) -> Request:
    """Create a request that states the user's known attributes among `names`, and the placebos."""
    stated = {
        name: user.attributes[name]
        for name in names
        if user.attributes.get(name, "") not in _UNKNOWN
    }
    for name, values in placebos().items():
        stated[name] = values[int(rng.integers(len(values)))]
    order = [list(stated)[i] for i in rng.permutation(len(stated))]
    return Request(
        user_id=user.id,
        history=user.history[-n_items:],
        k=k,
        attributes={name: stated[name] for name in order},
    )


def measure_edits(
    target: Target,
    users: Sequence[Explained],
    values: Mapping[str, Sequence[str]],
    rngs: Sequence[np.random.Generator],
    *,
    top: int,
) -> list[dict[Edit, Change]]:
    """Measure the deletion of every span and the exchange of every attribute, in one call.

    Args:
        users: the users' recommendations.
        values: known values of every attribute and placebo.
        rngs: generator for each user's exchanges.
        top: number of top items whose overlap is measured.

    Returns:
        Changes by edit, for each user; an edit whose request failed is left out.
    """
    swapped = [_swapped(one, values, rng) for one, rng in zip(users, rngs, strict=True)]
    plans = [(one, [one.everything, *(one.without([i]) for i in range(one.n))]) for one in users]
    plans += [(other, [other.everything]) for own in swapped for other in own.values()]
    measure_tops(target, plans)
    found = []
    for one, own in zip(users, swapped, strict=True):
        whole = one.outcomes.get(one.everything)
        outcomes = {
            (list(one.request.attributes)[span.index], "delete"): one.outcomes.get(one.without([i]))
            for i, span in enumerate(one.spans)
            if span.kind == "attribute"
        }
        outcomes |= {
            (name, "swap"): other.outcomes.get(other.everything) for name, other in own.items()
        }
        found.append(
            {
                edit: _change(whole, after, top)
                for edit, after in outcomes.items()
                if whole is not None and after is not None
            }
        )
    return found


def _change(whole: Outcome, after: Outcome, top: int) -> Change:
    k = min(top, len(whole.ranking))
    kept = len(set(whole.ranking[:k]) & set(after.ranking[:k]))
    return Change(abs(whole.strength - after.strength), kept / k, after.request_id)


def _swapped(
    one: Explained, values: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> dict[str, Explained]:
    """Return, by attribute, the request with this attribute exchanged for another value."""
    found = {}
    for name, value in one.request.attributes.items():
        others = [other for other in values[name] if other != value]
        if not others:
            continue
        other = others[int(rng.integers(len(others)))]
        request = replace(one.request, attributes={**one.request.attributes, name: other})
        spans = spans_of(request, kinds=KINDS)
        game = None if one.game is None else Game(request, spans, one.candidates)
        found[name] = Explained(one.user, request, spans, one.item, one.candidates, game)
    return found
