"""The answers of a counterfactual probe, arranged for comparison, and the guard before it.

A recommender that answers with garbage would look fair, so the guard refuses to measure where few
answers hold a list or where two neutral wordings of one request do not agree above chance.
Source: fairness spec 3.3 and 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml
from numpy.typing import NDArray

from auditkit.metrics.ranking import jaccard_at_k
from auditkit.probes.base import NotAssessable, item_ids
from auditkit.types import Evidence, Response

__all__ = ["Arms", "attribute_values", "check_assessable"]

MIN_USABLE, MIN_SELF_SIMILARITY = 0.80, 0.10


@cache
def attribute_values() -> Mapping[str, tuple[str, ...]]:
    """The shipped values of every attribute."""
    text = (files("auditkit") / "probes" / "attributes.yaml").read_text(encoding="utf-8")
    return {name: tuple(values) for name, values in yaml.safe_load(text).items()}


@dataclass(frozen=True)
class Arms:
    """Answers of one attribute: one row per probe, one column per value; `neutral` has one answer
    per probe.
    """

    attribute: str
    values: tuple[str, ...]
    neutral: Sequence[Response]
    stated: Sequence[Sequence[Response]]

    def similarity(self, measure: Callable[..., float | None], *, k: int) -> NDArray[np.float64]:
        """[complete probes, values] in [0, 1]; a refusal beside a neutral list counts as 0, a
        failed call drops its probe.
        """
        rows = []
        for neutral, row in zip(self.neutral, self.stated, strict=True):
            if neutral.status == "ok" and all(
                answer.status not in ("target_error", "timeout") for answer in row
            ):
                rows.append(
                    [measure(item_ids(answer), item_ids(neutral), k=k) or 0.0 for answer in row]
                )
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.values))

    def unanswered(self) -> NDArray[np.float64]:
        """[probes, values]: 1 where a stated request got no list though nothing failed in
        transport.
        """
        kept = [
            row
            for row in self.stated
            if all(a.status not in ("target_error", "timeout") for a in row)
        ]
        return np.array([[float(answer.status != "ok") for answer in row] for row in kept]).reshape(
            len(kept), len(self.values)
        )

    def least_similar(self, *, k: int) -> list[Evidence]:
        """Up to three probes whose list moved most when a value was stated."""
        moves = [
            (similarity, answer.request_id, neutral.request_id, value)
            for neutral, row in zip(self.neutral, self.stated, strict=True)
            for value, answer in zip(self.values, row, strict=True)
            if neutral.status == answer.status == "ok"
            and (similarity := jaccard_at_k(item_ids(answer), item_ids(neutral), k=k)) is not None
        ]
        return [
            Evidence(
                requests=(neutral_id, answer_id),
                what=f"stating {self.attribute} = {value}: "
                f"Jaccard {similarity:.2f} to the neutral list",
            )
            for similarity, answer_id, neutral_id, value in sorted(moves)[:3]
        ]


def check_assessable(
    by_user: Sequence[Sequence[Response]], *, k: int, n_wordings: int, n_items: int
) -> float:
    """The validity guard: are there enough lists, and do they answer the request at all?

    Args:
        by_user: the answers of each probe; the first two are neutral, in two wordings.
        k: length of the compared lists.
        n_items: size of the catalog, for the agreement that chance alone gives.

    Returns:
        Mean Jaccard similarity of the two neutral lists, [0, 1].

    Raises:
        NotAssessable: too few usable answers, or lists that do not even agree with themselves.
    """
    answers = [answer for row in by_user for answer in row]
    usable = sum(len(set(item_ids(a))) >= k / 2 for a in answers) / len(answers)
    if usable < MIN_USABLE:
        raise NotAssessable(
            f"only {usable:.0%} of the answers hold at least {k / 2:g} items, "
            f"{MIN_USABLE:.0%} are needed"
        )
    if n_wordings < 2:
        raise NotAssessable(
            "the recommender has one wording only: the neutral list cannot be compared with itself"
        )
    expected = k**2 / n_items
    chance = expected / (2 * k - expected) if n_items > k else 1.0
    pairs = [jaccard_at_k(item_ids(row[0]), item_ids(row[1]), k=k) for row in by_user]
    known = [value for value in pairs if value is not None]
    similarity = float(np.mean(known)) if known else 0.0
    if chance >= 1 or (similarity - chance) / (1 - chance) < MIN_SELF_SIMILARITY:
        raise NotAssessable(
            f"two neutral wordings agree by {similarity:.3f} (chance {chance:.3f}): the "
            "lists do not answer the request"
        )
    return similarity
