"""Claims about items: do the facts that the model states agree with the knowledge graph?

A model that was trained to describe items is asked to describe items of the catalog; a model that
reads prompt text is asked for a list with a reason for each title. Rules extract the claims
(`auditkit.claims`) and the knowledge graph verifies them; a claim that the graph cannot decide is
unverifiable, never false. No language-model judge is used. See docs/explain/hallucination.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, cast

from auditkit.catalog.catalog import Catalog
from auditkit.claims.claim import Claim, Reading
from auditkit.claims.reader import ClaimReader
from auditkit.errors import InvalidArgument
from auditkit.probes.base import (
    Context,
    NotAssessable,
    finding,
    neutral_request,
    split_by_status,
    unit_of,
)
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Describes, Generates
from auditkit.seeding import generator
from auditkit.stats.rates import clustered_rate, rate
from auditkit.types import Detector, Evidence, Finding, Item, Request, Response

__all__ = ["DescriptionProbe", "ReasonRequests", "requests_for_reasons", "self_check"]

PREFIX = "hallucination.claims"
REASONS = "reasons"
_TOKENS_A_REASON = 60
_MAX_ITEMS = 500
_N_SHOWN = 5


def self_check(catalog: Catalog, *, form: str, seed: int) -> Detector:
    """Measure the error rates of the claim reader on descriptions generated from catalog facts.

    Up to 500 items are described with correct facts (every claim must be supported) and with a
    wrong genre and a wrong year (both must be contradicted). This measures the claim reader only on
    the recommender's format; its error rates on free text are measured with the labeled texts in
    the repository.

    Args:
        catalog: catalog with the facts.
        form: template of a description with the slots `{genres}` and `{year}`.
        seed: seed of the sample of items.
    """
    rng = generator(seed, "claim reader")
    labels = catalog.graph.labels("genre")
    known = [
        item
        for item in catalog.items
        if item.genres and item.year is not None and set(labels) - set(item.genres)
    ]
    chosen = [known[row] for row in rng.permutation(len(known))[:_MAX_ITEMS]]
    true = [form.format(genres=", ".join(i.genres), year=i.year) for i in chosen]
    false = []
    for item in chosen:
        others = [label for label in labels if label not in item.genres]
        wrong = others[rng.integers(len(others))]
        false.append(form.format(genres=wrong, year=(item.year or 0) + 3))
    ids = [item.id for item in chosen]
    reader = ClaimReader(catalog)
    right = sum(
        len(reading.claims) == len(item.genres) + 1
        and all(claim.verdict == "supported" for claim in reading.claims)
        for item, reading in zip(chosen, reader.read(true, ids), strict=True)
    )
    caught = sum(
        len(reading.claims) == 2
        and all(claim.verdict == "contradicted" for claim in reading.claims)
        for reading in reader.read(false, ids)
    )
    unit = "fraction of descriptions"
    return Detector(
        name="claim reader",
        sensitivity=rate(caught, len(chosen), unit=unit, direction="higher").estimate,
        specificity=rate(right, len(chosen), unit=unit, direction="higher").estimate,
        method="descriptions in the recommender's format: correct facts must be supported, wrong "
        "facts contradicted",
    )


@dataclass(frozen=True, kw_only=True)
class DescriptionProbe:
    """Share of the facts stated about catalog items that the knowledge graph contradicts.

    Attributes:
        n_items: number of items to describe, sampled with the seed of the run.
        max_new_tokens: largest number of tokens of a description.
        n_users: number of users for whom lists with reasons are requested, if the recommender reads
            prompt text.
        k: number of titles in these lists.
    """

    n_items: int = 200
    max_new_tokens: int = 40
    n_users: int = 30
    k: int = 5
    needs: ClassVar[tuple[type, ...]] = (Generates,)

    def __post_init__(self) -> None:
        numbers = (self.n_items, self.max_new_tokens, self.n_users, self.k)
        if min(numbers) < 1:
            raise InvalidArgument(
                f"{PREFIX} got n_items={self.n_items}, max_new_tokens={self.max_new_tokens}, "
                f"n_users={self.n_users}, k={self.k}. Give at least 1 for each."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request descriptions and reasons, and verify every claim."""
        describes = isinstance(target.recommender, Describes)
        reasons = target.prompts.tasks.get("reasons") if target.reads_prompt else None
        if not describes and reasons is None:
            raise NotAssessable(
                "the recommender cannot describe items and has no prompt for lists with reasons"
            )
        if describes:
            yield from self._descriptions(target, context)
        if reasons is not None:
            found = list(self._reasons(target, context, reasons.ask[0]))
            yield from found
            if not describes:  # all claims that were measured, for rules without a group
                yield from (replace(one, group="all") for one in found if one.group == REASONS)

    def _descriptions(self, target: Target, context: Context) -> Iterator[Finding]:
        """Yield findings on descriptions of items; the sampling unit is the item."""
        catalog = target.catalog
        describe = cast(Describes, target.recommender).describe_prompt
        rows = context.rng("items").permutation(len(catalog.items))[: self.n_items]
        items = [Item(catalog.items[row].id, catalog.items[row].display_title) for row in rows]
        requests = [Request(k=1, prompt=describe(item), candidates=(item,)) for item in items]
        responses = target.generate(requests, max_new_tokens=self.max_new_tokens)
        ids = [item.id for item in items]
        parameters = {"n_items": self.n_items}
        yield from _findings(context, catalog, "all", ids, responses, ids, parameters)

    def _reasons(self, target: Target, context: Context, wording: str) -> Iterator[Finding]:
        """Yield findings on the reasons in lists; the sampling unit is the user."""
        asked = requests_for_reasons(target, context, wording, self.n_users, self.k)
        responses = target.generate(asked.requests, max_new_tokens=asked.max_new_tokens)
        subjects = [None] * len(asked.users)
        parameters = {"n_users": self.n_users, "k": self.k}
        yield from _findings(
            context, target.catalog, REASONS, asked.users, responses, subjects, parameters
        )


class ReasonRequests(NamedTuple):
    """Requests for lists with reasons, one per user."""

    users: list[str]
    requests: list[Request]
    max_new_tokens: int


def requests_for_reasons(
    target: Target, context: Context, wording: str, n_users: int, k: int
) -> ReasonRequests:
    """Create one request per user for `k` titles, each with a reason."""
    users = context.sample_users(n_users)
    asked = [_worded(neutral_request(user, k=k), wording) for user in users]
    requests = [
        Request(user_id=one.user_id, k=k, history=one.history, prompt=target.prompts.render(one))
        for one in asked
    ]
    return ReasonRequests([user.id for user in users], requests, _TOKENS_A_REASON * k)


def _worded(request: Request, wording: str) -> Request:
    return Request(
        user_id=request.user_id, history=request.history, k=request.k, instruction=wording
    )


def _findings(
    context: Context,
    catalog: Catalog,
    group: str,
    names: Sequence[str],
    responses: Sequence[Response],
    subjects: Sequence[str | None],
    parameters: dict[str, int],
) -> Iterator[Finding]:
    """Yield findings on the claims in all responses; the sampling unit is the response."""
    kept, missing = split_by_status(responses)
    readings = ClaimReader(catalog).read(
        [responses[i].text or "" for i in kept], [subjects[i] for i in kept]
    )
    n_missing = sum(missing.values())
    decided = [
        [c.verdict == "contradicted" for c in r.claims if c.verdict != "unverifiable"]
        for r in readings
    ]
    by_strength = list(_by_strength(readings, group))
    undecided = [[c.verdict == "unverifiable" for c in r.claims] for r in readings]
    covered = [
        [True] * (r.n_factual - len(r.unparsed)) + [False] * len(r.unparsed) for r in readings
    ]
    ids = [responses[i].request_id for i in kept]
    contradictions, n_contradicted = _contradictions(readings, ids, catalog)
    unparsed, n_unparsed = _unparsed(readings, ids)
    for metric, flags, evidence, n_cases, of in (
        ("claim_contradicted_rate", decided, contradictions, n_contradicted, group),
        ("claim_unverifiable_rate", undecided, [], None, group),
        ("claim_coverage", covered, unparsed, n_unparsed, group),
        *(("claim_contradicted_rate", part, [], None, name) for name, part in by_strength),
    ):
        unit, direction = unit_of(f"{PREFIX}.{metric}")
        measured = clustered_rate(
            [flag for own in flags for flag in own],
            [i for i, own in zip(kept, flags, strict=True) for _ in own],
            unit=unit,
            direction=direction,
            n_missing=n_missing + sum(not own for own in flags),
            reason="no response contains a claim or clause that this rate counts",
        )
        yield finding(
            context,
            f"{PREFIX}.{metric}",
            measured,
            group=of,
            parameters={**parameters, "claims": sum(map(len, flags))},
            units=[
                (names[i], float(sum(own)), float(len(own)))
                for i, own in zip(kept, flags, strict=True)
            ],
            evidence=evidence,
            n_cases=n_cases,
        )


def _by_strength(readings: Sequence[Reading], group: str) -> Iterator[tuple[str, list[list[bool]]]]:
    """Yield group name and decided claims, for stated and for implied claims.

    Nothing is yielded if all decided claims have one strength.
    """
    parts = {
        strength: [
            [
                c.verdict == "contradicted"
                for c in r.claims
                if c.strength == strength and c.verdict != "unverifiable"
            ]
            for r in readings
        ]
        for strength in ("stated", "implied")
    }
    if all(any(part) for part in parts.values()):
        for strength, part in parts.items():
            yield strength if group == "all" else f"{group}, {strength}", part


def _contradictions(
    readings: Sequence[Reading], ids: Sequence[str], catalog: Catalog
) -> tuple[list[Evidence], int]:
    """Cite a contradicted claim of up to five responses, with the values in the catalog.

    Returns the evidence, and the number of all responses with a contradicted claim.
    """
    firsts = (
        next((c for c in reading.claims if c.verdict == "contradicted"), None)
        for reading in readings
    )
    found = [(i, claim) for i, claim in zip(ids, firsts, strict=True) if claim is not None]
    shown = [
        Evidence(requests=(request_id,), what=_claim_sentence(claim, catalog))
        for request_id, claim in found[:_N_SHOWN]
    ]
    return shown, len(found)


def _claim_sentence(claim: Claim, catalog: Catalog) -> str:
    held = ", ".join(dict.fromkeys(value for _, _, value in claim.evidence))
    denied = "not " if claim.negated else ""
    title = catalog[claim.item_id].display_title
    return f"{title}: stated {claim.relation} {denied}{claim.value_text}; the catalog has {held}"


def _unparsed(readings: Sequence[Reading], ids: Sequence[str]) -> tuple[list[Evidence], int]:
    """Cite an unparsed factual clause of up to five responses.

    Returns the evidence, and the number of all responses with an unparsed clause.
    """
    clauses = [
        (request_id, clause)
        for reading, request_id in zip(readings, ids, strict=True)
        for clause in reading.unparsed[:1]
    ]
    shown = [
        Evidence(requests=(request_id,), what=f"not parsed: {clause}")
        for request_id, clause in clauses[:_N_SHOWN]
    ]
    return shown, len(clauses)
