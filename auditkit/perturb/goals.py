"""Goals of attacks on rankings: replace items of the top k, or move one item into or out of the top
k.

A goal compares the ranking before and after an edit and gives a margin, which searches increase.
With the scores of all candidates, success is a strict margin: a tie, or a margin within the
rounding of the engine, is a near tie and not a success. Without scores, the condition on the list
itself decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from auditkit.errors import InvalidArgument
from auditkit.metrics.robustness import breaking_count, rbo_ext, replaced
from auditkit.recommenders.execution.item_identity import item_ids
from auditkit.types import Request, Response

__all__ = ["NEAR_TIE", "Goal", "Judgment", "Ranking"]

NEAR_TIE = 1e-3  # nats; the bound between executors of the engine


@dataclass(frozen=True)
class Ranking:
    """A list of distinct item ids, best first, and the scores of all candidates.

    Attributes:
        scores: scores by item id; None unless every candidate has a score.
    """

    ids: tuple[str, ...]
    scores: Mapping[str, float] | None = None

    @classmethod
    def of(cls, response: Response, request: Request) -> Ranking:
        """Build the ranking of a response; an item without a catalog id is identified by its
        title.
        """
        listed = item_ids(response)
        ids = tuple(dict.fromkeys(listed))
        pairs = zip(listed, response.items, strict=True)
        scores = {name: item.score for name, item in pairs if item.score is not None}
        seen = {item.id for item in request.history}
        asked = {item.id for item in request.candidates or ()}
        complete = bool(asked) and asked - seen <= scores.keys() and len(scores) == len(ids)
        return cls(ids, scores if complete else None)

    def rank(self, item: str) -> int:
        """Rank of an item from 1; the length of the list + 1 if it is absent."""
        return self.ids.index(item) + 1 if item in self.ids else len(self.ids) + 1


@dataclass(frozen=True)
class Judgment:
    """Distance of an edited ranking from the goal of an attack.

    Attributes:
        margin: higher is nearer; in nats with scores. Without scores, in ranks or, for
            `untargeted`, by the overlap of the lists. reached: whether the goal is reached.
        near_tie: whether the margin is within rounding error; the goal then counts as not reached.
    """

    margin: float
    reached: bool
    near_tie: bool = False


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What an attack is to achieve.

    Attributes:
        kind: replace at least m items of the top k (`untargeted`), move an item into the top k
            (`promote`) or out of it (`demote`).
        k: length of the attacked part of the list.
        m: number of replaced items of an `untargeted` goal; None for ceil(k / 3).
        item: id of the promoted or demoted item.
        near_tie: largest margin of scores, in nats, that counts as a tie.

    Raises:
        InvalidArgument: a number is out of range, `item` is missing for `promote` or `demote`, or
            `item` is given for `untargeted`.
    """

    kind: Literal["untargeted", "promote", "demote"] = "untargeted"
    k: int = 10
    m: int | None = None
    item: str = ""
    near_tie: float = NEAR_TIE

    def __post_init__(self) -> None:
        if self.k < 1 or not 1 <= self.n_replaced <= self.k or self.near_tie < 0:
            raise InvalidArgument(
                f"A goal got k={self.k}, m={self.m}, near_tie={self.near_tie}. Give k of at "
                "least 1, m in 1..k and a near_tie of at least 0."
            )
        if (self.kind == "untargeted") == bool(self.item):
            raise InvalidArgument(
                f"A goal of kind {self.kind!r} got item={self.item!r}. Give the item to promote "
                "or demote; an untargeted goal takes no item."
            )

    @property
    def n_replaced(self) -> int:
        """Number of items that an untargeted attack must replace."""
        return breaking_count(self.k) if self.m is None else self.m

    def why_not_eligible(self, clean: Ranking) -> str | None:
        """Why a clean ranking cannot be attacked; None if it can be attacked."""
        if self.kind == "untargeted":
            short = len(clean.ids[: self.k]) < self.n_replaced
            return f"a list of fewer than {self.n_replaced} items" if short else None
        inside = clean.rank(self.item) <= min(self.k, len(clean.ids))
        if inside == (self.kind == "promote"):
            return f"the item is already {'in' if inside else 'outside'} the top {self.k}"
        return None

    def judge(self, clean: Ranking, after: Ranking) -> Judgment:
        """Judge whether the ranking after an edit reaches the goal, given the clean ranking."""
        both = clean.scores is not None and after.scores is not None
        if both and clean.scores.keys() == after.scores.keys():  # type: ignore[union-attr]
            margin = self._score_margin(clean, after.scores)  # type: ignore[arg-type]
            if margin is not None:
                return Judgment(margin, margin > self.near_tie, abs(margin) <= self.near_tie)
        return self._judge_lists(clean, after)

    def _score_margin(self, clean: Ranking, scores: Mapping[str, float]) -> float | None:
        """Margin in nats; None if there are too few candidates."""
        if self.kind == "untargeted":
            top = set(clean.ids[: self.k])
            inside = sorted(score for item, score in scores.items() if item in top)
            outside = sorted((s for item, s in scores.items() if item not in top), reverse=True)
            if min(len(inside), len(outside)) < self.n_replaced:
                return None
            return outside[self.n_replaced - 1] - inside[self.n_replaced - 1]
        others = sorted((s for i, s in scores.items() if i != self.item), reverse=True)
        if self.item not in scores or len(others) < self.k:
            return None
        margin = scores[self.item] - others[self.k - 1]
        return margin if self.kind == "promote" else -margin

    def _judge_lists(self, clean: Ranking, after: Ranking) -> Judgment:
        if self.kind == "untargeted":
            reached = replaced(clean.ids, after.ids, k=self.k) >= self.n_replaced
            overlap = rbo_ext(clean.ids, after.ids, k=self.k)
            return Judgment(float(reached) - (overlap or 0.0), reached)
        # An absent item is outside the top k, however short the list is.
        rank = after.rank(self.item) if self.item in after.ids else max(len(after.ids), self.k) + 1
        margin = self.k + 0.5 - rank
        return Judgment(margin, margin > 0) if self.kind == "promote" else Judgment(
            -margin, margin < 0
        )  # fmt: skip
