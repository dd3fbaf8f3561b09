"""Mitigations of hallucination: what does each mitigation improve, and what does it cost?

All variants get the same requests, and each is compared with the recommender without mitigation,
paired by request. A list of catalog items is not necessarily useful, because constrained decoding
can replace an invented title by a wrong item, so utility, returned items, calls and tokens are
reported with every rate. Run times are not reported, because a result contains no clock times. See
docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from auditkit.claims.reader import ClaimReader
from auditkit.errors import InvalidArgument
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    finding,
    require_unseen_test_items,
    unit_of,
)
from auditkit.probes.hallucination.abstention import abstention_findings, agreement_findings
from auditkit.probes.hallucination.constrained_requests import ConstrainedRequest
from auditkit.probes.hallucination.item_checks import item_rates
from auditkit.probes.hallucination.mitigation_variants import (
    DEFAULT_VARIANTS,
    VARIANTS,
    Variant,
    VariantResponses,
    Variants,
    requests_of,
)
from auditkit.probes.hallucination.sampled_lists import Sampling
from auditkit.probes.utility.ranking import list_utility
from auditkit.recommenders.execution.readable_form import unreadable_form
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import bootstrap_mean, bootstrap_ratio, paired_difference
from auditkit.types import BY_CONSTRUCTION, Evidence, Finding, Response

__all__ = ["MitigationProbe"]

PREFIX = "hallucination.mitigation"
CHECKS = (
    "out_of_catalog_rate", "ambiguous_rate", "duplicate_rate", "consumed_rate",
    "constraint_violation_rate", "wrong_count_rate",
)  # fmt: skip
UTILITY = ("recall@10", "ndcg@10")
COLUMNS = (*CHECKS, "claim_contradicted_rate", "answered_share", *UTILITY)
_FIXED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "grounding": (
        "titles that were not linked are dropped",
        ("out_of_catalog_rate", "ambiguous_rate"),
    ),
    "grounding_asked_again": (
        "titles that were not linked are dropped",
        ("out_of_catalog_rate", "ambiguous_rate"),
    ),
    "trie": ("only titles of the catalog can be generated", ("out_of_catalog_rate",)),
    "trie_filtered": (
        "only titles that the request allows can be generated",
        ("out_of_catalog_rate", "duplicate_rate", "consumed_rate", "constraint_violation_rate"),
    ),
}
Column = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class MitigationProbe:
    """Responses with each mitigation compared with those without, and a risk-coverage curve.

    Attributes:
        n_users: number of users, with one request each per variant, one in three with a constraint.
        k: requested number of items.
        variants: names of the mitigations; `free`, without mitigation, is always included.
            `agreement` and `vote` are not in the default, because they cost `n_samples` calls per
            request.
        n_samples: number of sampled lists per request for `agreement` and `vote`.
        temperature: sampling temperature of these lists, above 0.
    """

    n_users: int = 100
    k: int = 10
    variants: tuple[Variant, ...] = DEFAULT_VARIANTS
    n_samples: int = 8
    temperature: float = 0.7
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.k < 1 or self.n_users < 1 or not self.variants:
            raise InvalidArgument(
                f"{PREFIX} got k={self.k}, n_users={self.n_users}, variants={self.variants}. Give "
                "k and n_users of at least 1, and at least one variant."
            )
        Sampling(self.n_samples, self.temperature)

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Run every variant; yield one finding per metric and variant, and one per difference."""
        asked = requests_of(target, context, n_users=self.n_users, k=self.k)
        sampling = Sampling(self.n_samples, self.temperature)
        variants = Variants(target, context, asked, sampling)
        found: dict[Variant, VariantResponses] = {"free": variants.free}
        reasons: dict[str, str] = {}
        curve: list[Finding] = []
        for name in VARIANTS:
            if name not in self.variants or name == "free":
                continue
            if target.stop.stopped:
                reasons[name] = (
                    f"the run stopped before this variant was tested ({target.stop.stopped})"
                )
                continue
            try:
                if name == "abstention":
                    curve += abstention_findings(target, context, asked, variants.free)
                elif name == "agreement":
                    curve += agreement_findings(context, asked, variants.free, variants.samples)
                else:
                    found[name] = variants.answers(name)
            except NotAssessable as why:
                reasons[name] = str(why)
        reader = ClaimReader(target.catalog)
        columns = {
            name: _columns(target, context, asked, one, reader) for name, one in found.items()
        }
        for name, answers in found.items():
            unreadable = unreadable_form((one.items for one in answers.responses), target.catalog)
            if unreadable:
                columns[name]["out_of_catalog_rate"] = [None] * len(asked)
            yield from self._compared(context, asked, name, columns, reasons, answers, unreadable)
            yield from _cost(context, name, answers, found["free"])
            if name.startswith("grounding"):
                yield from _origins(target, context, asked, name, answers)
        yield from curve

    def _compared(
        self,
        context: Context,
        asked: Sequence[ConstrainedRequest],
        name: Variant,
        columns: Mapping[Variant, Mapping[str, Column]],
        reasons: Mapping[str, str],
        answers: VariantResponses,
        unreadable: str | None,
    ) -> Iterator[Finding]:
        """Yield findings on all metrics of one variant, and on their changes from no mitigation."""
        for metric in COLUMNS:
            concerned = [
                i
                for i, one in enumerate(asked)
                if metric != "constraint_violation_rate" or one.constraints
            ]
            own = {i: v for i in concerned if (v := columns[name][metric][i]) is not None}
            first: dict[str, JsonValue] = {"k": self.k, "n_users": self.n_users}
            is_first = name == "free" and metric == COLUMNS[0]
            unit, direction = unit_of(f"{PREFIX}.{metric}")
            why, fixed = _FIXED.get(name, ("", ()))
            notes = [f"{BY_CONSTRUCTION}{why}"] if metric in fixed else []
            if is_first:
                notes += [f"not tested: {variant}, {reason}" for variant, reason in reasons.items()]
            worst = _worst(metric, own, asked, answers.responses)
            yield finding(
                context,
                f"{PREFIX}.{metric}",
                bootstrap_mean(
                    list(own.values()),
                    rng=context.rng(metric),
                    unit=unit,
                    direction=direction,
                    n_missing=len(concerned) - len(own),
                    reason=(
                        unreadable
                        if unreadable and metric == "out_of_catalog_rate"
                        else "no response contains an item or a claim for this rate"
                        if concerned
                        else "no request had a constraint"
                    ),
                    limits=(0, 1),
                ),
                group=f"variant={name}",
                parameters={**first, **({"not_tested": dict(reasons)} if is_first else {})},
                units=[(asked[i].user.id, value, 1.0) for i, value in own.items()],
                evidence=worst,
                n_cases=sum(map(bool, own.values())) if worst else None,
                notes=notes,
            )
            if name == "free":
                continue
            free = columns["free"][metric]
            pairs = [(before, own[i]) for i in own if (before := free[i]) is not None]
            change = f"{PREFIX}.{metric.removesuffix('_rate').removesuffix('_share')}_change"
            unit, direction = unit_of(change)
            yield finding(
                context,
                change,
                paired_difference(
                    [before for before, _ in pairs],
                    [after for _, after in pairs],
                    rng=context.rng(metric, "change"),
                    unit=unit,
                    direction=direction,
                    n_missing=len(concerned) - len(pairs),
                    reason="no request has a defined rate both with and without the mitigation",
                    limits=(0, 1),
                ),
                group=f"variant={name}",
            )


def _columns(
    target: Target,
    context: Context,
    asked: Sequence[ConstrainedRequest],
    answers: VariantResponses,
    reader: ClaimReader,
) -> dict[str, Column]:
    """Compute all metrics of one variant, one value per request; None if undefined."""
    found: dict[str, list[float | None]] = {name: [None] * len(asked) for name in COLUMNS}
    for i, (one, response) in enumerate(zip(asked, answers.responses, strict=True)):
        if response.status in UTILITY_STATUSES:
            found["answered_share"][i] = min(1.0, len(response.items) / one.request.k)
        if response.status != "ok":
            continue
        rates = item_rates(
            response.items,
            catalog=target.catalog,
            history=[item.id for item in one.user.history],
            wanted=one.request.k,
            constraints=one.constraints,
        )
        for name in CHECKS:
            found[name][i] = rates[name]
        found["claim_contradicted_rate"][i] = _contradicted(reader, response)
    for i, values in _utility(context, asked, answers.responses).items():
        for name, value in zip(UTILITY, values, strict=True):
            found[name][i] = value
    return dict(found)


def _contradicted(reader: ClaimReader, response: Response) -> float | None:
    """Compute the share of a response's stated facts that the graph contradicts; None without
    facts.
    """
    if not response.text:
        return None
    (reading,) = reader.read([response.text])
    verdicts = [claim.verdict for claim in reading.claims]
    wrong = verdicts.count("contradicted")
    decided = wrong + verdicts.count("supported")
    return wrong / decided if decided else None


def _utility(
    context: Context, asked: Sequence[ConstrainedRequest], responses: Sequence[Response]
) -> dict[int, tuple[float, ...]]:
    """Compute recall and NDCG for users with held-out items, by index of the request.

    The result is empty if the recommender may have been trained on the held-out items.
    """
    try:
        require_unseen_test_items(context)
    except NotAssessable:
        return {}
    rows = [
        i
        for i, one in enumerate(asked)
        if one.user.test_items and responses[i].status in UTILITY_STATUSES
    ]
    if not rows:
        return {}
    found = list_utility(
        [asked[i].user for i in rows], [responses[i] for i in rows], context.dataset.catalog
    )
    values = zip(*(found[name].tolist() for name in UTILITY), strict=True)
    return dict(zip(rows, values, strict=True))


def _cost(
    context: Context, name: Variant, answers: VariantResponses, free: VariantResponses
) -> Iterator[Finding]:
    """Yield findings on calls and tokens relative to no mitigation, over requests with both
    responses.
    """
    if name == "free":
        return
    rows = [
        i
        for i, (own, before) in enumerate(zip(answers.responses, free.responses, strict=True))
        if {own.status, before.status} <= set(UTILITY_STATUSES)
    ]
    for metric, own_cost, free_cost in (
        ("calls_ratio", answers.calls, free.calls),
        ("tokens_ratio", answers.tokens, free.tokens),
    ):
        pairs = [
            (own, before)
            for i in rows
            if (own := own_cost[i]) is not None and (before := free_cost[i]) is not None
        ]
        unit, direction = unit_of(f"{PREFIX}.{metric}")
        yield finding(
            context,
            f"{PREFIX}.{metric}",
            bootstrap_ratio(
                [own for own, _ in pairs],
                [before for _, before in pairs],
                rng=context.rng(name, metric),
                unit=unit,
                direction=direction,
                n_missing=len(answers.responses) - len(pairs),
                reason="the recommender does not count tokens",
            ),
            group=f"variant={name}",
        )


def _origins(
    target: Target,
    context: Context,
    asked: Sequence[ConstrainedRequest],
    name: Variant,
    answers: VariantResponses,
) -> Iterator[Finding]:
    """Yield findings on grounded items: the shares that were linked inexactly or are
    replacements.
    """
    rows = [i for i, response in enumerate(answers.responses) if response.status == "ok"]
    lists = {i: answers.responses[i].items for i in rows}
    rescued = {
        i: item_rates(items, catalog=target.catalog, history=(), wanted=asked[i].request.k)[
            "inexact_rate"
        ]
        for i, items in lists.items()
    }
    replaced = {i: answers.replaced[i] / len(items) for i, items in lists.items()}
    for metric, values in (("rescued_rate", rescued), ("replaced_rate", replaced)):
        known = {i: value for i, value in values.items() if value is not None}
        unit, direction = unit_of(f"{PREFIX}.{metric}")
        yield finding(
            context,
            f"{PREFIX}.{metric}",
            bootstrap_mean(
                list(known.values()),
                rng=context.rng(name, metric),
                unit=unit,
                direction=direction,
                n_missing=len(asked) - len(known),
                reason="no list contains an item",
                limits=(0, 1),
            ),
            group=f"variant={name}",
            units=[(asked[i].user.id, value, 1.0) for i, value in known.items()],
        )


def _worst(
    metric: str,
    values: Mapping[int, float],
    asked: Sequence[ConstrainedRequest],
    responses: Sequence[Response],
) -> list[Evidence]:
    """Cite up to two responses with the largest values of a rate."""
    if metric not in ("out_of_catalog_rate", "claim_contradicted_rate"):
        return []
    words = metric.removesuffix("_rate").replace("_", " ")
    order = sorted((i for i in values if values[i]), key=lambda i: (-values[i], i))
    return [
        Evidence(
            requests=(responses[i].request_id,),
            what=f"user {asked[i].user.id}: {words} {values[i]:.0%} of this response",
        )
        for i in order[:2]
    ]
