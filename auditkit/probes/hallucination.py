"""Item checks against the catalog: exists, listed once, new to the user, and as many as asked for.

No language model judges: every title is linked by normalised form and year, or refused with a
reason. The linker's own error rates stand in every report. Source: catalog linking of the
hallucination spec; one rate per response, then the mean over users, because items of one list are
not independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.normalise import full_key
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, User, finding, neutral_request, split_by_status, unit_of
from auditkit.recommenders.protocols import Recommends
from auditkit.recommenders.target import Target
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Evidence, Finding, RankedItem, Response

__all__ = ["CatalogProbe", "item_rates"]

PREFIX = "hallucination.catalog"
METRICS = (
    "out_of_catalog_rate",
    "invented_rate",
    "year_conflict_rate",
    "ambiguous_rate",
    "duplicate_rate",
    "consumed_rate",
    "wrong_count_rate",
)
_FIXED_BY_TOKENS = {
    "out_of_catalog_rate": "an item token names a catalog item",
    "invented_rate": "an item token names a catalog item",
    "year_conflict_rate": "an item token has no year to get wrong",
    "ambiguous_rate": "an item token names one item",
    "duplicate_rate": "a ranking holds every item once",
}


def item_rates(
    items: Sequence[RankedItem], *, catalog: Catalog, history: Sequence[str], wanted: int
) -> Mapping[str, float | None]:
    """The checks of one list.

    Args:
        items: linked positions of a list, best first.
        history: item ids that the user has consumed.
        wanted: number of items asked for, or of candidates where there are fewer.

    Returns:
        Fractions in [0, 1], ideal 0; None where the denominator is empty: all titles ambiguous, or
        none linked. Titles that are ambiguous leave the denominator of the first three;
        `consumed_rate` is a fraction of linked items.
    """
    n = len(items)
    ambiguous = sum(item.link == "ambiguous" for item in items)
    conflicts = sum(item.link == "year_conflict" for item in items)
    linked = [_entry(catalog, item.item_id) for item in items if item.item_id is not None]
    refused = n - len(linked) - ambiguous
    seen = {_entry(catalog, item_id) for item_id in history if item_id in catalog.index}
    keys = [
        _entry(catalog, item.item_id) if item.item_id else ("raw", full_key(item.raw))
        for item in items
    ]
    decided = n - ambiguous
    return {
        "out_of_catalog_rate": refused / decided if decided else None,
        "invented_rate": (refused - conflicts) / decided if decided else None,
        "year_conflict_rate": conflicts / decided if decided else None,
        "ambiguous_rate": ambiguous / n if n else None,
        "duplicate_rate": (n - len(set(keys))) / n if n else None,
        "consumed_rate": sum(entry in seen for entry in linked) / len(linked) if linked else None,
        "wrong_count_rate": float(n != wanted),
    }


def _entry(catalog: Catalog, item_id: str) -> tuple[str, str | int | None]:
    """Title and year: ids that share both are the same film."""
    item = catalog[item_id]
    return item.title, item.year


@dataclass(frozen=True, kw_only=True)
class CatalogProbe:
    """How often does the recommender name items that do not exist, repeat, or are known to the
    user?

    Attributes:
        n_users: users asked once each with their history.
        k: items asked for.
    """

    n_users: int = 100
    k: int = 10
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.k < 1 or self.n_users < 1:
            raise InvalidArgument(
                f"{PREFIX} got k={self.k}, n_users={self.n_users}. Give at least 1 of each."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask, link, count; yields one finding per item check."""
        users = context.sample_users(self.n_users)
        responses = target.recommend([neutral_request(user, k=self.k) for user in users])
        kept, missing = split_by_status(responses)
        rows = [
            item_rates(
                responses[i].items,
                catalog=target.catalog,
                history=[item.id for item in users[i].history],
                wanted=self.k,
            )
            for i in kept
        ]
        by_tokens = any(item.link == "item_token" for i in kept for item in responses[i].items)
        decoding = context.manifest.get("decoding")
        hides_history = isinstance(decoding, dict) and decoding.get("exclude_history") is True
        same_catalog = _declared(context) == target.catalog.fingerprint
        for metric in METRICS:
            values = [(i, row[metric]) for i, row in zip(kept, rows, strict=True)]
            scored = [(i, value) for i, value in values if value is not None]
            unit, direction = unit_of(f"{PREFIX}.{metric}")
            measured = bootstrap_mean(
                [value for _, value in scored],
                rng=context.rng(metric),
                unit=unit,
                direction=direction,
                n_missing=sum(missing.values()) + len(values) - len(scored),
                reason="no answer holds an item that this check applies to",
                bounded_rate=True,
            )
            notes = []
            if (
                by_tokens
                and metric in _FIXED_BY_TOKENS
                and (same_catalog or metric == "duplicate_rate")
            ):
                notes.append(f"0 by construction: {_FIXED_BY_TOKENS[metric]}")
            if metric == "consumed_rate" and hides_history:
                notes.append("0 by construction: decoding leaves out the history it was given")
            yield finding(
                context,
                f"{PREFIX}.{metric}",
                measured,
                parameters={"k": self.k, "n_users": self.n_users},
                units=[(users[i].id, float(value), 1.0) for i, value in scored],
                evidence=_worst(scored, users, responses, metric),
                notes=notes,
            )


def _declared(context: Context) -> str | None:
    """Fingerprint of the catalog that the recommender says it was built for."""
    catalog = context.manifest.get("catalog")
    sha256 = catalog.get("sha256") if isinstance(catalog, dict) else None
    return sha256 if isinstance(sha256, str) else None


def _worst(
    scored: Sequence[tuple[int, float]],
    users: Sequence[User],
    responses: Sequence[Response],
    metric: str,
) -> list[Evidence]:
    """Up to five responses with the highest rate above zero."""
    worst = sorted((pair for pair in scored if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[
        :5
    ]
    words = metric.removesuffix("_rate").replace("_", " ")
    return [
        Evidence(
            requests=(responses[i].request_id,),
            what=f"user {users[i].id}: {words} {value:.0%} of this list",
        )
        for i, value in worst
    ]
