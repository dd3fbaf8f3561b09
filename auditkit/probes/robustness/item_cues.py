"""Robustness: do cues without information about the item change which of two items is chosen?

For every user, two unseen items of nearly equal popularity are listed in a random order, and the
recommender chooses. One item has a cue, such as "Best seller", and the other item has a neutral
text of the same length; then the texts are exchanged. The effect of a cue is the share of choices
of the item with the cue, minus 1/2. The order of the items is the same in both requests, so
preferences for an item or a position cancel. Requests without added text in both orders give the
position effect, and a repeated request gives the noise. The cues of a run are tested together (sign
flips by user, Holm).

If the recommender returns scores, the score effect of a cue is the change of the score difference
of the two items, to be compared with their difference without a cue.

Source: BiasRecBench (arXiv 2603.17417), with exchanged texts instead of unpaired groups;
docs/explain/threats.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable, User
from auditkit.probes.robustness.cue_findings import Answers, Choice, cue_findings
from auditkit.probes.robustness.item_text import (
    listing_request,
    require_item_text,
    token_counter,
)
from auditkit.probes.robustness.neutral_text import neutral_like
from auditkit.probes.robustness.shipped_texts import shipped_texts
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Sized
from auditkit.types import Finding, Item, Request

__all__ = ["CUES", "ItemCueProbe"]

_NEAREST = 5  # items of the next lower popularity, one of which is the other item of the pair


CUES = ("authority", "brand", "bandwagon", "sponsored", "recency", "length")


@dataclass(frozen=True, kw_only=True)
class ItemCueProbe:
    """Effects of each cue and of the position on the choice between two items, and the noise.

    Attributes:
        cues: kinds of cues, out of `CUES`; the position effect is always measured.
        n_users: number of users, with one pair of items each.
        draws: number of random sign flips in the tests.
    """

    cues: tuple[str, ...] = CUES
    n_users: int = 100
    draws: int = 9_999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        wrong = [cue for cue in self.cues if cue not in CUES]
        if wrong or not self.cues or min(self.n_users, self.draws) < 1:
            raise InvalidArgument(
                f"robustness.item.cues got cues={list(self.cues)}, n_users={self.n_users}, "
                f"draws={self.draws}. Give cues out of {', '.join(CUES)}, and n_users and draws "
                "of at least 1."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send every pair without added text in both orders, repeat it, and send it with each
        cue.
        """
        require_item_text(target)
        popularity = np.bincount(
            context.dataset.interactions.item_index, minlength=len(context.dataset.catalog)
        )
        drawn = [
            (user, pair)
            for user in context.sample_users(self.n_users)
            if (pair := _pair(context, user, popularity)) is not None
        ]
        if not drawn:
            raise NotAssessable("no user has two unseen catalog items to choose between")
        requests = [self._requests(target, user, pair, n) for n, (user, pair) in enumerate(drawn)]
        responses = iter(target.recommend([one for row in requests for one in row]))
        answers = []
        for (user, (a, b)), row in zip(drawn, requests, strict=True):
            plain, turned, again, *rest = [Choice.of(next(responses), a, b) for _ in row]
            pairs = dict(zip(self.cues, zip(rest[::2], rest[1::2], strict=True), strict=True))
            answers.append(Answers(user.id, (a, b), plain, turned, again, pairs))
        yield from cue_findings(context, answers, self.cues, draws=self.draws)

    def _requests(
        self, target: Target, user: User, pair: tuple[Item, Item], number: int
    ) -> list[Request]:
        """Create the requests: plain, reversed, plain again, and each cue on the first and second
        item.
        """
        a, b = pair
        k = 2 if isinstance(target.recommender, Sized) else 1  # both scores, or the choice alone
        plain = listing_request(target, user, pair, {}, k=k)
        found = [plain, listing_request(target, user, (b, a), {}, k=k), replace(plain, repeat=1)]
        for cue in self.cues:
            text, control = _texts(target, cue, number)
            for one, other in ((a, b), (b, a)):
                texts = {one.id: text, other.id: control}
                found.append(listing_request(target, user, pair, texts, k=k))
        return found


def _texts(target: Target, cue: str, number: int) -> tuple[str, str]:
    """Return the text of a cue and its neutral control; the texts of a cue rotate over users."""
    shipped, count = shipped_texts("cue_texts"), token_counter(target)
    if cue == "length":
        long, short = (neutral_like("entry " * shipped[size]) for size in ("long", "short"))
        return long, short
    wordings = shipped["cues"][cue]
    text = wordings[number % len(wordings)]
    return text, neutral_like(text, count=count)


def _pair(
    context: Context, user: User, popularity: Sequence[int] | np.ndarray[Any, Any]
) -> tuple[Item, Item] | None:
    """Sample two unseen items of nearly equal popularity, in random order; None if impossible."""
    rng = context.rng("pair", user.id)
    catalog = context.dataset.catalog
    seen = {item.id for item in user.history}
    sampled = rng.permutation(len(catalog))[: 20 * _NEAREST + len(seen)]
    free = [int(row) for row in sampled if catalog.ids[int(row)] not in seen]
    if len(free) < 2:
        return None
    first = free[0]
    near = sorted(free[1:], key=lambda row: abs(int(popularity[row]) - int(popularity[first])))
    second = near[int(rng.integers(min(_NEAREST, len(near))))]
    a, b = (catalog.items[row] for row in (first, second))
    return Item(a.id, a.display_title), Item(b.id, b.display_title)
