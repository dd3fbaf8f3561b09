"""Claims about items: are the genres and years that the model states those of the knowledge graph?

First version of the claims dimension: the model is asked to describe items it was taught to
describe, genre labels and four-digit years are read from its answer, and the graph decides. Genre
is closed per item, year functional, so a wrong value is contradicted and an unknown one is
unverifiable, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from auditkit.catalog.catalog import Catalog
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, finding, split_by_status, unit_of
from auditkit.recommenders.protocols import Describes, Generates
from auditkit.recommenders.target import Target
from auditkit.seeding import generator
from auditkit.stats.rates import clustered_rate, rate
from auditkit.types import Detector, Evidence, Finding, Item, Request

__all__ = ["Claim", "DescriptionProbe", "extract_claims", "self_check"]

_YEAR = re.compile(r"(?<!\d)(?:18|19|20)\d{2}(?![\ds])")
_NEGATED = re.compile(r"\b(?:not|no|never|isn't|without)\b[^.,;]*", re.IGNORECASE)
PREFIX = "hallucination.claims"


@dataclass(frozen=True)
class Claim:
    """One stated fact about an item, with the graph's verdict."""

    item_id: str
    relation: str
    value: str
    verdict: str


def extract_claims(text: str, *, item_id: str, catalog: Catalog) -> list[Claim]:
    """Read genres and years out of a description and check each against the graph.

    A genre counts where a label of the catalog stands as a whole word, longest label first, so
    "Sci-Fi" is one claim; every four-digit year from 1800 on is a claim, a decade ("1990s") is not.
    Each value counts once. The item's own title is cut out first, and what a negation covers is not
    read: a missed claim lowers coverage, an invented one would accuse falsely.
    """
    genres = sorted(catalog.graph.labels("genre"), key=len, reverse=True)
    found: list[tuple[str, str]] = []
    rest = _NEGATED.sub(" ", text.replace(catalog[item_id].title, " "))
    for genre in genres:
        pattern = re.compile(rf"(?<![\w-]){re.escape(genre)}(?![\w-])", re.IGNORECASE)
        if pattern.search(rest):
            found.append(("genre", genre))
            rest = pattern.sub(" ", rest)
    found += [("year", year) for year in dict.fromkeys(_YEAR.findall(rest))]
    return [
        Claim(item_id, relation, value, catalog.graph.verdict(item_id, relation, value))
        for relation, value in found
    ]


def self_check(catalog: Catalog, *, form: str, seed: int) -> Detector:
    """Error rates of the claim reader on descriptions written from the catalog's own facts.

    Up to 500 items are described truly (every claim must be supported) and with one wrong genre
    and a wrong year (both must be contradicted). It measures reading, not the variety of language.

    Args:
        form: the description with the slots `{genres}` and `{year}`.
    """
    rng = generator(seed, "claim reader")
    labels = catalog.graph.labels("genre")
    known = [
        item
        for item in catalog.items
        if item.genres and item.year is not None and set(labels) - set(item.genres)
    ]
    chosen = [known[i] for i in rng.permutation(len(known))[:500]]
    right = caught = 0
    for item in chosen:
        true = form.format(genres=", ".join(item.genres), year=item.year)
        claims = extract_claims(true, item_id=item.id, catalog=catalog)
        right += len(claims) == len(item.genres) + 1 and all(
            claim.verdict == "supported" for claim in claims
        )
        others = [label for label in labels if label not in item.genres]
        false = form.format(genres=others[rng.integers(len(others))], year=(item.year or 0) + 3)
        claims = extract_claims(false, item_id=item.id, catalog=catalog)
        caught += len(claims) == 2 and all(claim.verdict == "contradicted" for claim in claims)
    unit = "fraction of descriptions"
    return Detector(
        name="claim reader",
        sensitivity=rate(caught, len(chosen), unit=unit, direction="higher").estimate,
        specificity=rate(right, len(chosen), unit=unit, direction="higher").estimate,
        method="descriptions in the recommender's own form, with wrong and with right facts",
    )


@dataclass(frozen=True, kw_only=True)
class DescriptionProbe:
    """How many of the facts that the model states about catalog items does the catalog contradict?

    Attributes:
        n_items: items described, sampled with the run's seed.
        max_new_tokens: length limit of an answer.
    """

    n_items: int = 200
    max_new_tokens: int = 40
    needs: ClassVar[tuple[type, ...]] = (Generates, Describes)

    def __post_init__(self) -> None:
        if self.n_items < 1 or self.max_new_tokens < 1:
            raise InvalidArgument(
                f"{PREFIX} got n_items={self.n_items}, max_new_tokens={self.max_new_tokens}. "
                "Give at least 1 of each."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask for descriptions, check every claim; the item is the sampling unit."""
        catalog = target.catalog
        describes = cast(Describes, target.recommender)
        rows = context.rng("items").permutation(len(catalog.items))[: self.n_items]
        items = [catalog.items[row] for row in rows]
        requests = [
            Request(
                k=1,
                prompt=describes.describe_prompt(Item(item.id, item.display_title)),
                candidates=(Item(item.id, item.display_title),),
            )
            for item in items
        ]
        responses = target.generate(requests, max_new_tokens=self.max_new_tokens)
        kept, missing = split_by_status(responses)
        claims = [
            extract_claims(responses[i].text or "", item_id=items[i].id, catalog=catalog)
            for i in kept
        ]
        n_missing = sum(missing.values())
        decided = [
            [claim.verdict == "contradicted" for claim in own if claim.verdict != "unverifiable"]
            for own in claims
        ]
        undecided = [[claim.verdict == "unverifiable" for claim in own] for own in claims]
        evidence = _contradictions(claims, [responses[i].request_id for i in kept], catalog)
        for metric, flags, shown in (
            ("claim_contradicted_rate", decided, evidence),
            ("claim_unverifiable_rate", undecided, []),
        ):
            unit, direction = unit_of(f"{PREFIX}.{metric}")
            measured = clustered_rate(
                [flag for own in flags for flag in own],
                [i for i, own in zip(kept, flags, strict=True) for _ in own],
                unit=unit,
                direction=direction,
                n_missing=n_missing + sum(not own for own in flags),
                reason="no answer holds such a claim",
            )
            yield finding(
                context,
                f"{PREFIX}.{metric}",
                measured,
                parameters={"n_items": self.n_items, "claims": sum(map(len, flags))},
                units=[
                    (items[i].id, float(sum(own)), float(len(own)))
                    for i, own in zip(kept, flags, strict=True)
                ],
                evidence=shown,
            )
        unit, direction = unit_of(f"{PREFIX}.claim_coverage")
        covered = sum(bool(own) for own in claims)
        yield finding(
            context,
            f"{PREFIX}.claim_coverage",
            rate(covered, len(kept), unit=unit, direction=direction, n_missing=n_missing),
            parameters={"n_items": self.n_items},
        )


def _contradictions(
    claims: Sequence[Sequence[Claim]], request_ids: Sequence[str], catalog: Catalog
) -> list[Evidence]:
    """Up to five contradicted claims with what the catalog holds instead."""
    shown = []
    for own, request_id in zip(claims, request_ids, strict=True):
        for claim in own:
            if claim.verdict == "contradicted":
                held = ", ".join(catalog.graph.values(claim.item_id, claim.relation))
                title = catalog[claim.item_id].display_title
                what = f"{title}: stated {claim.relation} {claim.value}, the catalog holds {held}"
                shown.append(Evidence(requests=(request_id,), what=what))
    return shown[:5]
