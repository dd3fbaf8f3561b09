"""Fate of one user's held-out items in the stages of a pipeline, and origin of listed items.

A held-out item that is missing from the final list counts as lost by the stage after the last stage
that returned it. An item that the last stage lists although it was not a candidate is not lost. So
the hit rate and the loss rates of the stages add up to 1. If the first stage writes a query, an
item that the query does not find but the titles of the history do find is lost by the query.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from auditkit.catalog.catalog import Catalog
from auditkit.metrics.ranking import ndcg_of_list
from auditkit.probes.hallucination.item_checks import entry_of
from auditkit.recommenders.pipeline.stage_trace import StageRecord
from auditkit.types import Item, RankedItem

__all__ = ["StageOutcome", "stage_outcomes"]

_SEVERAL = ("ambiguous", "ambiguous_variant", "duplicate_title")


@dataclass
class StageOutcome:
    """Outcome of one stage for one user.

    Attributes:
        ran: whether the stage got the request; False after a stage that returned no items.
        n_items: number of items in the output of the stage.
        has: share of the held-out items in the output of the stage, [0, 1].
        lost: share of the held-out items that this stage lost.
        left_out, below_k: shares of the held-out items that were lost because they are not in the
            output, or because they are below position k in it.
        ndcg: NDCG@k of the output.
        outside: share of output items that were not among the candidates (`left_candidates`), which
            is the sum of items in the catalog (`out_of_candidates`) and other items
            (`out_of_catalog`). None if the linker cannot decide any item. The first stage has no
            candidates, so only `out_of_catalog` is set.
        n_outside: numbers of the items in `outside`.
        examples: a sentence on one example, by the name of the share.
    """

    ran: bool = False
    n_items: int = 0
    has: float = 0.0
    lost: float = 0.0
    left_out: float = 0.0
    below_k: float = 0.0
    ndcg: float = 0.0
    outside: dict[str, float | None] = field(default_factory=dict)
    n_outside: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)


def stage_outcomes(
    records: Sequence[StageRecord],
    names: Sequence[str],
    targets: Sequence[Item],
    *,
    catalog: Catalog,
    k: int,
    query: StageOutcome | None = None,
) -> list[StageOutcome]:
    """Compute the outcomes of the stages that return items, for one response.

    Args:
        records: records of the stages that ran, in order.
        names: names of all stages, in order.
        targets: held-out items of the user, at least one.
        catalog: catalog of the items.
        k: cut-off of the final list, at least 1.
        query: outcome of the stage that writes the query, if there is one. This outcome is changed
            in place: the held-out items that the query lost are added, and `has` is set to the
            recall of the plain query if the plain query ran.
    """
    ids = list(dict.fromkeys(target.id for target in targets))
    listed = [record.items for record in records]
    listed += [()] * (len(names) - len(records))
    outputs = [_ids(items, ids, catalog) for items in listed]
    found = [
        StageOutcome(n_items=len(output), ndcg=ndcg_of_list(output, ids, k=k) or 0.0)
        for output in outputs
    ]
    for place, (outcome, output) in enumerate(zip(found, outputs, strict=True)):
        outcome.has = sum(one in output for one in ids) / len(ids)
        if place < len(records):
            outcome.ran = True
            _items(outcome, records[place], catalog)
    by_query = _fill_query(query, records, ids, catalog)
    titles = {target.id: target.title for target in targets}
    for one in ids:
        missed_by = query if one in by_query else None
        _attribute(
            found, outputs, one, titles[one], names, share=1 / len(ids), k=k, query=missed_by
        )
    return found


def _fill_query(
    query: StageOutcome | None,
    records: Sequence[StageRecord],
    targets: Sequence[str],
    catalog: Catalog,
) -> Collection[str]:
    """Fill in the recall of the plain query.

    Returns the held-out items that only the plain query finds; if no stage returns such an item,
    the written query lost it.
    """
    if query is None:
        return ()
    if not records:  # no query was written, so the retriever was not asked
        return targets
    if records[0].plain is None:
        return ()
    query.ran = True
    found = set(_ids(records[0].plain, targets, catalog)) & set(targets)
    query.has = len(found) / len(targets)
    return found


def _attribute(
    found: Sequence[StageOutcome],
    outputs: Sequence[Sequence[str]],
    target: str,
    title: str,
    names: Sequence[str],
    *,
    share: float,
    k: int,
    query: StageOutcome | None,
) -> None:
    """Count a held-out item that is not among the first k for the stage that lost it.

    If `query` is given, it is charged instead of the first stage.
    """
    last = len(outputs) - 1
    if target in outputs[last][:k]:
        return
    had = [place for place in range(last) if target in outputs[place]]
    at = had[-1] + 1 if had else 0
    outcome = query if query is not None and not had else found[at]
    outcome.lost += share
    if query is not None and not had:
        by_plain = f'"{title}" is found by the titles of the history but not by the query'
        outcome.examples.setdefault("lost", by_plain if query.ran else "there is no query")
        return
    if not had:
        said = f'"{title}" is not among the {len(outputs[0])} candidates of {names[0]}'
        outcome.examples.setdefault("lost", said)
        return
    rank = outputs[at - 1].index(target) + 1
    said = f'"{title}" was candidate {rank} of {names[at - 1]}, but {names[at]} '
    if target in outputs[at]:
        outcome.below_k += share
        kind, said = (
            "below_k",
            f"{said}lists it at position {outputs[at].index(target) + 1}, below {k}",
        )
    else:
        outcome.left_out += share
        kind, said = "left_out", f"{said}left it out"
    outcome.examples.setdefault("lost", said)
    outcome.examples.setdefault(kind, said)


def _items(outcome: StageOutcome, record: StageRecord, catalog: Catalog) -> None:
    """Count the items of a stage by their origin."""
    items, given = record.items, record.given
    allowed = {_entry(catalog, one.item_id) for one in given or () if one.item_id is not None}
    texts = {one.raw for one in given or () if one.item_id is None}
    kinds = [_kind(item, allowed, texts, catalog, chosen=given is not None) for item in items]
    decided = sum(kind != "undecided" for kind in kinds)
    counts = {kind: kinds.count(kind) for kind in ("out_of_candidates", "out_of_catalog")}
    if given is None:
        counts = {"out_of_catalog": counts["out_of_catalog"]}
    else:
        counts["left_candidates"] = sum(counts.values())
    outcome.n_outside = counts
    outcome.outside = {kind: n / decided if decided else None for kind, n in counts.items()}
    for item, kind in zip(items, kinds, strict=True):
        if kind in counts:
            place = "" if given is None else f"not one of the {len(given)} candidates and "
            where = "in the catalog" if kind == "out_of_candidates" else "not in the catalog"
            said = f'"{item.raw}" of {record.name} is {place}{where}'
            outcome.examples.setdefault(kind, said)
            outcome.examples.setdefault("left_candidates", said)


def _kind(
    item: RankedItem,
    allowed: Collection[object],
    texts: Collection[str],
    catalog: Catalog,
    *,
    chosen: bool,
) -> str:
    """Return the origin of an item: `candidate`, `out_of_candidates`, `out_of_catalog` or
    `undecided`.

    A title that matches several items counts as the candidate among them.
    """
    ids = [item.item_id] if item.item_id is not None else []
    if item.link in _SEVERAL:
        ids += catalog.link([item.raw])[0].candidates
    if any(_entry(catalog, one) in allowed for one in ids) or item.raw in texts:
        return "candidate"
    if item.link == "ambiguous":
        return "undecided"
    if item.item_id is None and item.link != "ambiguous_variant":
        return "out_of_catalog"
    return "out_of_candidates" if chosen else "candidate"


def _entry(catalog: Catalog, item_id: str) -> object:
    """Return a key that is equal for duplicate entries; the key of an unknown id is the id."""
    return entry_of(catalog, item_id) if item_id in catalog.index else item_id


def _ids(items: Sequence[RankedItem], targets: Collection[str], catalog: Catalog) -> list[str]:
    """Return the ids of a list without repeats; of several matching items, the held-out one
    counts.
    """
    ids = []
    for place, item in enumerate(items):
        same = catalog.link([item.raw])[0].candidates if item.link == "duplicate_title" else ()
        chosen = next((one for one in same if one in targets), item.item_id)
        ids.append(chosen or f"raw:{place}:{item.raw}")
    return list(dict.fromkeys(ids))
