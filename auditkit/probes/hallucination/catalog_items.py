"""Catalog checks: do listed items exist, are they distinct, new and allowed, and enough of them?

No language-model judge is used: every title is either linked by its normalized form, corrected
words and year, or has a recorded reason why there is no match. Every report contains the measured
error rates of the linker. A rate is computed per response and averaged over users, because items of
one list are not independent. See docs/explain/hallucination.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import ClassVar

from auditkit.catalog.catalog import Catalog
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, finding, split_by_status, unit_of
from auditkit.probes.hallucination.constrained_requests import (
    ConstrainedRequest,
    constrained_requests,
)
from auditkit.probes.hallucination.item_checks import (
    INEXACT,
    broken_constraints,
    entry_of,
    item_rates,
    key_of,
    undecided_items,
    unmatched,
)
from auditkit.probes.hallucination.reference_catalog import open_reference, titles_elsewhere
from auditkit.recommenders.execution.readable_form import unreadable_form
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import BY_CONSTRUCTION, Evidence, Finding, RankedItem, Response

__all__ = ["CatalogProbe", "item_rates"]

PREFIX = "hallucination.catalog"
METRICS = (
    "out_of_catalog_rate", "invented_rate", "near_miss_rate", "year_conflict_rate",
    "ambiguous_rate", "inexact_rate", "duplicate_rate", "consumed_rate", "wrong_count_rate",
    "count_error", "out_of_candidates_rate", "closed_set_failure_rate", "constraint_violation_rate",
)  # fmt: skip
_TERMS_OF = {
    "out_of_candidates_rate": "candidates",
    "closed_set_failure_rate": "candidates",
    "constraint_violation_rate": "constraint",
}
_OF_UNMATCHED = (
    "out_of_catalog_rate", "invented_rate", "near_miss_rate", "year_conflict_rate",
    "closed_set_failure_rate", "absent_rate",
)  # fmt: skip
_FIXED_BY_TOKENS = {
    "out_of_catalog_rate": "an item token names a catalog item",
    "invented_rate": "an item token names a catalog item",
    "absent_rate": "an item token names a catalog item",
    "near_miss_rate": "an item token names a catalog item",
    "year_conflict_rate": "an item token contains no year",
    "ambiguous_rate": "an item token names one item",
    "inexact_rate": "an item token names one item",
    "duplicate_rate": "a ranking contains every item once",
}
_BY_REFERENCE = ("absent_rate", "invented_rate", "near_miss_rate", "year_conflict_rate")
_N_WORST = 5
_N_BY_SIMILARITY = 100  # responses for the comparison with a similarity threshold, which is slow
_MOST_COMPARED = 5_000  # catalog titles; every unmatched title is compared with each
SIMILAR = 0.70


@dataclass(frozen=True, kw_only=True)
class CatalogProbe:
    """Rates of listed items that do not exist, repeat, are consumed, or violate the request.

    Attributes:
        n_users: number of users, with one request each; a third of the requests have candidates
            and a third a constraint, if the recommender supports them.
        k: requested number of items.
        reference_file: a larger catalog (a name, built file or table); titles in it count as absent
            from the audited catalog, and not as invented.
    """

    n_users: int = 100
    k: int = 10
    reference_file: str = ""
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.k < 1 or self.n_users < 1:
            raise InvalidArgument(
                f"{PREFIX} got k={self.k}, n_users={self.n_users}. Give at least 1 for each."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request lists, link their items, and yield one finding per check."""
        reference = open_reference(self.reference_file)
        asked = constrained_requests(target, context, context.sample_users(self.n_users), k=self.k)
        responses = target.recommend([one.request for one in asked])
        kept, _ = split_by_status(responses)
        listed = (item for i in kept for item in responses[i].items)
        elsewhere = None if reference is None else titles_elsewhere(listed, reference)
        rates = {
            i: item_rates(
                responses[i].items,
                catalog=target.catalog,
                history=[item.id for item in asked[i].user.history],
                wanted=self.k,
                candidates=_ids(asked[i]),
                constraints=asked[i].constraints,
                elsewhere=elsewhere,
            )
            for i in kept
        }
        undecided = sum(
            undecided_items(responses[i].items, target.catalog, asked[i].constraints) for i in kept
        )
        unreadable = unreadable_form((responses[i].items for i in kept), target.catalog)
        notes = _Notes(target, context, [(asked[i], responses[i]) for i in kept])
        for metric in _metrics(target.catalog, reference):
            terms = _TERMS_OF.get(metric)
            concerned = [i for i, one in enumerate(asked) if terms in (None, one.terms)]
            scored = [
                (i, value)
                for i in concerned
                if i in rates
                and (value := rates[i][metric]) is not None
                and not (unreadable and metric in _OF_UNMATCHED)
            ]
            unit, direction = unit_of(f"{PREFIX}.{metric}")
            measured = bootstrap_mean(
                [value for _, value in scored],
                rng=context.rng(metric),
                unit=unit,
                direction=direction,
                n_missing=len(concerned) - len(scored),
                reason=(
                    unreadable
                    if unreadable and metric in _OF_UNMATCHED
                    else "no response contains an item that this check applies to"
                    if concerned
                    else "no request had candidates or a constraint"
                ),
                limits=None if metric == "count_error" else (0, 1),
            )
            yield finding(
                context,
                f"{PREFIX}.{metric}",
                measured,
                parameters={
                    "k": self.k,
                    "n_users": self.n_users,
                    "titles": sum(len(responses[i].items) for i, _ in scored),
                    **({"undecided": undecided} if terms == "constraint" else {}),
                    **(_named(reference) if metric in _BY_REFERENCE else {}),
                },
                units=[(asked[i].user.id, float(value), 1.0) for i, value in scored],
                evidence=_worst(scored, asked, responses, metric, target.catalog, elsewhere or {}),
                n_cases=sum(bool(value) for _, value in scored),
                notes=notes.of(metric, value=measured.estimate.value),
            )
        answered = {i: responses[i] for i in kept}
        compared = len(target.catalog) <= _MOST_COMPARED and not unreadable
        n = _N_BY_SIMILARITY if compared else 0
        yield from self._by_similarity(target, context, asked[:n], answered)

    def _by_similarity(
        self,
        target: Target,
        context: Context,
        asked: Sequence[ConstrainedRequest],
        answered: Mapping[int, Response],
    ) -> Iterator[Finding]:
        """Yield the out-of-catalog rate by a plain similarity threshold, for comparison with the
        linker.
        """
        lists = {
            one.user.id: answered[number].items
            for number, one in enumerate(asked)
            if number in answered and answered[number].items
        }
        refused = {item.raw for items in lists.values() for item in items if not item.item_id}
        similar = _similar(refused, target.catalog)
        values = [
            (user, sum(not item.item_id and item.raw not in similar for item in items) / len(items))
            for user, items in lists.items()
        ]
        metric = f"{PREFIX}.out_of_catalog_by_similarity_rate"
        unit, direction = unit_of(metric)
        yield finding(
            context,
            metric,
            bootstrap_mean(
                [value for _, value in values],
                rng=context.rng("similarity"),
                unit=unit,
                direction=direction,
                n_missing=len(asked) - len(values),
                reason=(
                    "no response contains an item"
                    if asked
                    else "not computed if responses have an unreadable form or the catalog has "
                    f"more than {_MOST_COMPARED} titles"
                ),
                limits=(0, 1),
            ),
            parameters={"threshold": SIMILAR, "n_responses": len(asked)},
            units=[(user, value, 1.0) for user, value in values],
            notes=[
                "for comparison: a text counts as in the catalog if its Gestalt similarity to any "
                f"title is at least {SIMILAR:.2f}"
            ],
        )


def _metrics(catalog: Catalog, reference: Catalog | None) -> tuple[str, ...]:
    """Return the metrics that the catalog and the reference catalog allow, in the order of
    findings.
    """
    of_variants = ("ambiguous_variant_rate",) if catalog.variants else ()
    return (*METRICS, *of_variants, *(() if reference is None else ("absent_rate",)))


def _named(reference: Catalog | None) -> dict[str, str | int]:
    """Return parameters that name the reference catalog; empty without a reference catalog."""
    if reference is None:
        return {}
    return {"reference_catalog": reference.name, "reference_titles": len(reference)}


def _ids(asked: ConstrainedRequest) -> list[str] | None:
    return None if asked.candidates is None else [item.id for item in asked.candidates]


def _similar(raw: set[str], catalog: Catalog) -> set[str]:
    """Return the texts whose Gestalt similarity to any catalog title reaches the threshold."""
    titles = [item.display_title for item in catalog.items]
    found: set[str] = set()
    for text in sorted(raw):
        matcher = SequenceMatcher(b=text)
        for title in titles:
            matcher.set_seq1(title)
            if (
                matcher.real_quick_ratio() >= SIMILAR
                and matcher.quick_ratio() >= SIMILAR
                and matcher.ratio() >= SIMILAR
            ):
                found.add(text)
                break
    return found


class _Notes:
    """Notes for metrics that are 0 by construction."""

    def __init__(
        self,
        target: Target,
        context: Context,
        answered: Sequence[tuple[ConstrainedRequest, Response]],
    ) -> None:
        self.by_tokens = any(i.link == "item_token" for _, r in answered for i in r.items)
        chosen = [response for one, response in answered if one.candidates is not None]
        self.ranks_candidates = bool(chosen) and all(
            item.link in ("id", "item_token") for response in chosen for item in response.items
        )
        decoding = context.manifest.get("decoding")
        self.hides_history = isinstance(decoding, dict) and decoding.get("exclude_history") is True
        self.same_catalog = _declared(context) == target.catalog.fingerprint

    def of(self, metric: str, *, value: float | None) -> list[str]:
        """Return the notes for the value of one metric; empty unless the value is 0."""
        found: list[str] = []
        if value:
            return found
        independent = metric == "duplicate_rate"
        if self.by_tokens and metric in _FIXED_BY_TOKENS and (self.same_catalog or independent):
            found.append(f"{BY_CONSTRUCTION}{_FIXED_BY_TOKENS[metric]}")
        if metric == "consumed_rate" and self.hides_history and self.by_tokens:
            found.append(f"{BY_CONSTRUCTION}decoding excludes the items of the history")
        if _TERMS_OF.get(metric) == "candidates" and self.ranks_candidates:
            found.append(f"{BY_CONSTRUCTION}the candidates were ranked, no title was generated")
        return found


def _declared(context: Context) -> str | None:
    """Return the fingerprint of the catalog for which the recommender was built.

    None if the manifest does not state it.
    """
    catalog = context.manifest.get("catalog")
    sha256 = catalog.get("sha256") if isinstance(catalog, dict) else None
    return sha256 if isinstance(sha256, str) else None


# --- evidence -------------------------------------------------------------------------------------
def _worst(
    scored: Sequence[tuple[int, float]],
    asked: Sequence[ConstrainedRequest],
    responses: Sequence[Response],
    metric: str,
    catalog: Catalog,
    elsewhere: Mapping[str, str],
) -> list[Evidence]:
    """Cite up to five responses with the largest absolute values of a metric, each with an
    example.
    """
    order = sorted((pair for pair in scored if pair[1]), key=lambda pair: (-abs(pair[1]), pair[0]))
    words = metric.removesuffix("_rate").replace("_", " ")
    found = []
    for i, value in order[:_N_WORST]:
        share = f"{value:+.0f} items" if metric == "count_error" else f"{value:.0%} of this list"
        shown = _shown(metric, asked[i], responses[i].items, catalog, elsewhere)
        found.append(
            Evidence(
                requests=(responses[i].request_id,),
                what=f"user {asked[i].user.id}: {words} {share}{': ' + shown if shown else ''}",
            )
        )
    return found


def _shown(
    metric: str,
    asked: ConstrainedRequest,
    items: Sequence[RankedItem],
    catalog: Catalog,
    elsewhere: Mapping[str, str],
) -> str:
    """Describe the first title that counts as an error, with the reason from the catalog or its
    graph.
    """
    if metric == "absent_rate":
        raw = next((i.raw for i in items if unmatched(i) and i.raw in elsewhere), None)
        return f'"{raw}" is only in the reference catalog, as {elsewhere[raw]}' if raw else ""
    if metric in _BY_REFERENCE:
        items = [item for item in items if item.raw not in elsewhere]
    refused = {
        "out_of_catalog_rate": ("none", "near_miss", "year_conflict", "empty"),
        "invented_rate": ("none", "empty"),
        "near_miss_rate": ("near_miss",),
        "year_conflict_rate": ("year_conflict",),
        "ambiguous_rate": ("ambiguous",),
        "ambiguous_variant_rate": ("ambiguous_variant",),
    }.get(metric)
    if refused is not None:
        raw = next((item.raw for item in items if not item.item_id and item.link in refused), None)
        if raw is None:
            return ""
        near = [catalog[item_id].display_title for item_id in catalog.link([raw])[0].candidates[:3]]
        return f'"{raw}"' + (
            f", the catalog has {', '.join(near)}" if near else ", no similar title in the catalog"
        )
    linked = [item for item in items if item.item_id is not None]
    if metric == "constraint_violation_rate":
        for item in linked:
            for constraint, held in broken_constraints(
                catalog, item.item_id or "", asked.constraints
            ):
                wanted = f"{constraint.predicate} {constraint.operator} {constraint.value}"
                has = f"has {constraint.predicate} {', '.join(held)}"
                return f'"{item.raw}" {has}, requested: {wanted}'
    if metric == "inexact_rate":
        for item in linked:
            title = catalog[item.item_id or ""].display_title
            if item.link in INEXACT:
                return f'"{item.raw}" was linked to {title} ({item.link})'
    if metric == "duplicate_rate":
        seen: dict[object, str] = {}
        for item in items:
            entry = key_of(catalog, item)
            if entry in seen:
                return f'"{item.raw}" repeats "{seen[entry]}"'
            seen[entry] = item.raw
    if metric == "consumed_rate":
        history = {entry_of(catalog, i.id) for i in asked.user.history if i.id in catalog.index}
        known = next((i.raw for i in linked if entry_of(catalog, i.item_id or "") in history), None)
        return f'"{known}" is in the history' if known else ""
    if metric in ("out_of_candidates_rate", "closed_set_failure_rate"):
        ids = _ids(asked) or []
        allowed = {entry_of(catalog, item_id) for item_id in ids if item_id in catalog.index}
        decided = (
            linked
            if metric == "out_of_candidates_rate"
            else [item for item in items if item.link != "ambiguous"]
        )
        for item in decided:
            if item.item_id is None or entry_of(catalog, item.item_id) not in allowed:
                return f'"{item.raw}" is not one of the {len(ids)} candidates'
    return ""
