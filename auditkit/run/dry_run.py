"""Dry run: execute every probe against a recording target and count the calls.

The recommender is loaded but never called. For an adaptive probe, whose later requests depend on
earlier responses, only the first requests can be counted; the plan marks such probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.probes.base import Adaptive, Context, User, load_users
from auditkit.recommenders.execution.call_collector import CallCollector
from auditkit.recommenders.execution.calls import Call
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender, load_recommender
from auditkit.recommenders.loading.target_card import Price, TargetCard
from auditkit.recommenders.protocols import Estimates, Remote
from auditkit.recommenders.target_uri import restriction_for
from auditkit.registry import probe_spec
from auditkit.run.cost import CallCost, estimate_cost, time_calls
from auditkit.run.data import load_data
from auditkit.run.declared_facts import with_declared_facts
from auditkit.run.options import AuditOptions, Progress
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_probe
from auditkit.security.network_guard import restricted_network
from auditkit.security.redaction import Redaction
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json

__all__ = ["Plan", "PlannedProbe", "count_calls", "plan_audit", "scoring_cost"]

_OPERATIONS = {
    "Recommends": "recommend", "Generates": "generate", "Scores": "score", "Converses": "converse",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PlannedProbe:
    """Planned requests of one probe.

    Attributes:
        requests: number of distinct requests.
        adaptive: whether later requests depend on responses.
        most: upper bound of the requests, if an adaptive probe states one.
        skipped: why the probe would not run; None if it would run.
    """

    probe: str
    requests: int
    adaptive: bool = False
    most: int | None = None
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Planned requests of an audit.

    Attributes:
        calls: number of calls of the recommender; equal requests of several probes count as one
            call.
        cost: totals that the recommender estimates, such as `tokens_asked` and `tokens`; empty if
            the recommender provides no estimate.
        spending: estimated tokens, minutes and money for an endpoint or with timed calls; otherwise
            None.
        notes: problems that the plan reveals, such as prompts that are too long.
        lines: content of the plan file, one JSON object per call.
    """

    probes: tuple[PlannedProbe, ...]
    calls: int
    cost: dict[str, float] = field(default_factory=dict)
    spending: CallCost | None = None
    notes: tuple[str, ...] = ()
    lines: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def requests(self) -> int:
        """Number of distinct requests, summed over probes."""
        return sum(probe.requests for probe in self.probes)

    def as_json(self) -> dict[str, JsonValue]:
        """The plan as JSON, without the lines."""
        return {
            "probes": [asdict(probe) for probe in self.probes],
            "requests": self.requests,
            "calls": self.calls,
            "cost": dict(self.cost),
            "spending": None if self.spending is None else self.spending.as_json(),
            "notes": list(self.notes),
        }

    def write(self, path: Path) -> None:
        """Write the lines to a JSONL file, atomically."""
        redaction = Redaction()
        rows = [canonical_json(redaction.tree(line)) + "\n" for line in self.lines]
        write_atomically(path, "".join(rows))


def plan_audit(
    target: str,
    recipe: AuditRecipe,
    *,
    options: AuditOptions = AuditOptions(),
    progress: Progress = Progress(),
    n_timed: int = 0,
    price: Price | None = None,
) -> Plan:
    """Load the recommender, run every probe against a recording target, and count the calls.

    Args:
        n_timed: number of planned calls to send, from which tokens and minutes are extrapolated.
        price: price of a million tokens; None for the price in the target card.

    Raises:
        AuditkitError: as in `run_audit`. No server is contacted unless calls are timed.
    """
    dataset, catalog = load_data(
        recipe,
        catalog=options.catalog,
        domain=options.domain,
        allow_outside=options.allow_outside,
        progress=progress.catalog,
    )
    with restricted_network(restriction_for(target, online=options.online)):
        loaded = load_recommender(
            target,
            dataset=dataset,
            prompts=options.prompts,
            allow_code=options.allow_code,
            connects=n_timed > 0,
        )
        loaded = with_declared_facts(loaded, recipe, dataset, options)
        probes, planned = count_calls(loaded, recipe, dataset, catalog, limit=options.limit)
        calls, card = planned.calls(), _card(options)
        timed = time_calls(loaded.recommender, calls, n_timed) if n_timed else []
        spending = None
        if timed or isinstance(loaded.recommender, Remote):
            declared = card.price if card is not None else None
            spending = estimate_cost(
                loaded.recommender, calls, timed=timed, price=price or declared
            )
        return Plan(
            probes=tuple(probes),
            calls=len(calls),
            cost=scoring_cost(loaded.recommender, calls),
            spending=spending,
            notes=_too_long(spending, card),
            lines=tuple(planned.lines(recipe.seed)),
        )


def count_calls(
    loaded: LoadedRecommender,
    recipe: AuditRecipe,
    dataset: Dataset,
    catalog: Catalog,
    *,
    limit: int | None = None,
) -> tuple[list[PlannedProbe], CallCollector]:
    """Run every probe against a recording target; return the planned probes and collected calls."""
    planned = CallCollector()
    asked = Target(
        loaded.recommender,
        catalog=catalog,
        log=planned,
        seed=recipe.seed,
        fingerprint=loaded.fingerprint,
        prompts=loaded.prompts,
    )
    users = load_users(dataset)
    probes = []
    for probe_id in recipe.probes:
        before = len(planned.questions)
        context = Context(dataset, recipe.seed, probe_id, loaded.manifest, users)
        bound = asked.for_probe(probe_spec(probe_id))
        outcome, _ = run_probe(recipe, bound, context, limit=limit)
        own = list(planned.questions.values())[before:]
        most = _most_requests(recipe, probe_id, users, limit) if own else None
        probes.append(
            PlannedProbe(
                probe=probe_id,
                requests=len(own),
                adaptive=most is not None or _asks_more(recipe, probe_id, own),
                most=most,
                skipped=None if own else outcome.reason,
            )
        )
    return probes, planned


def _card(options: AuditOptions) -> TargetCard | None:
    return None if options.target_card is None else TargetCard.read(options.target_card)


def _too_long(spending: CallCost | None, card: TargetCard | None) -> tuple[str, ...]:
    """Return a note if the longest prompt exceeds the declared context length."""
    if spending is None or card is None or card.context_length is None:
        return ()
    if spending.longest_prompt <= card.context_length:
        return ()
    return (
        f"the longest prompt has about {spending.longest_prompt:,.0f} tokens, but the target card "
        f"declares a context length of {card.context_length:,}; set decoding.history_window in "
        "the target card to shorten histories",
    )


def _asks_more(recipe: AuditRecipe, probe_id: str, asked: Sequence[Call]) -> bool:
    """Whether a probe made calls, but none that uses the last capability in its `needs`."""
    names = [kind.__name__ for kind in recipe.build(probe_id).needs]
    operations = [_OPERATIONS[name] for name in names if name in _OPERATIONS]
    return bool(asked) and operations[-1:] != [asked[-1].operation]


def _most_requests(
    recipe: AuditRecipe, probe_id: str, users: Sequence[User], limit: int | None
) -> int | None:
    """Upper bound on the number of requests of an adaptive probe; None for other probes."""
    probe = recipe.build(probe_id)
    if not isinstance(probe, Adaptive):
        return None
    return probe.most_requests(len(users) if limit is None else min(limit, len(users)))


def scoring_cost(recommender: object, calls: Sequence[Call]) -> dict[str, float]:
    """Sum over probes of the scoring cost that the recommender estimates; empty without
    estimates.
    """
    totals: dict[str, float] = {}
    if not isinstance(recommender, Estimates):
        return totals
    for probe in dict.fromkeys(call.probe for call in calls):
        scored = [call for call in calls if call.probe == probe and call.operation == "score"]
        if scored:
            cost = recommender.cost(
                [call.request.prompt for call in scored],
                [call.parameters["continuations"] for call in scored],
            )
            for name, value in cost.items():
                totals[name] = totals.get(name, 0) + value
    return totals
