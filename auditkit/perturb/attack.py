"""Attack the rankings of a recommender: one call, one record per request.

The clean request is sent twice, to detect a non-deterministic recommender, which answers equal
requests differently. The searches then run in lock-step; each success is sent again and must be
reproduced (two of three times for a non-deterministic recommender), and is valid only if the text
is still the same request. The Target caches every response, so a repeated attack, or an attack that
proposes prompts of an earlier attack, sends only new prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from auditkit.errors import InvalidArgument, did_you_mean
from auditkit.perturb.attack_records import AttackRecord, AttackStatus
from auditkit.perturb.attempt import UNANSWERED, Attempt
from auditkit.perturb.goals import Goal, Ranking
from auditkit.perturb.lockstep import Run, run_in_lockstep
from auditkit.perturb.searches import SEARCHES, Search, Searching, SearchSpace, Try
from auditkit.perturb.span_edits import Edits, edits_between
from auditkit.perturb.stock_recipes import STOCK_RECIPES, run_stock_recipe
from auditkit.perturb.threat_model import ThreatModel, editable_text
from auditkit.perturb.validity import ValidityCheck
from auditkit.recommenders.execution.target import Target
from auditkit.seeding import generator
from auditkit.types import Request, Response

__all__ = ["N_CONFIRMATIONS", "REPLAY", "attack"]

REPLAY = "replay"
N_CONFIRMATIONS, _REPRODUCED = 3, 2  # of a success against a non-deterministic recommender
_MOST_UNANSWERED = 0.1  # of the queries of a failed attack


def attack(
    target: Target,
    requests: Sequence[Request],
    goal: Goal | Sequence[Goal],
    threat_model: ThreatModel,
    search: str = "local",
    seed: int = 0,
    *,
    stored: Sequence[AttackRecord] = (),
) -> list[AttackRecord]:
    """Attack every request within a threat model.

    Args:
        requests: clean requests, one per user; a request without an instruction gets the first
            template of the target. All prompts are rendered again.
        goal: goal of all requests, or one goal per request.
        search: `random_stop`, `greedy` or `local`; `deepwordbug` or `textbugger` for the recipes of
            TextAttack, one user at a time; `replay` tries only the stored edits.
        seed: seed of all random choices, together with the name of the search and the user id.
        stored: records of earlier attacks. Their edits of an equal text are tried first, one query
            each, beginning with edits of the same user. Recipes of TextAttack ignore them.

    Returns:
        One record per request, in order.

    Raises:
        InvalidArgument: the search is unknown, or the numbers of goals and requests differ.
        MissingDependency: the search is a recipe of TextAttack, which is not installed.
    """
    known = (*SEARCHES, *STOCK_RECIPES, REPLAY)
    if search not in known:
        raise InvalidArgument(
            f"attack got search={search!r}.{did_you_mean(search, known)} Give one of "
            f"{', '.join(known)}."
        )
    goals = [goal] * len(requests) if isinstance(goal, Goal) else list(goal)
    if len(goals) != len(requests):
        raise InvalidArgument(
            f"attack got {len(goals)} goals for {len(requests)} requests. Give one goal, or one "
            "per request."
        )
    default = target.prompts.recommend[0]
    clean = [replace(one, instruction=one.instruction or default, prompt="") for one in requests]
    first = target.recommend([*clean, *(replace(one, repeat=1) for one in clean)])
    n = len(clean)
    blank = AttackRecord(
        user="", search=search, seed=seed, surface=threat_model.surface, status="failed"
    )
    begun = [
        _begin(request, one, before, again, threat_model, blank)
        for request, one, before, again in zip(clean, goals, first[:n], first[n:], strict=True)
    ]
    attempts = [attempt for attempt, _ in begun if attempt is not None]
    found = _search(target, attempts, search, seed, stored)
    deterministic = all(record.deterministic for _, record in begun)
    confirmed = _confirm(target, attempts, 1 if deterministic else N_CONFIRMATIONS)
    check, results = ValidityCheck(target.catalog), iter(zip(found, confirmed, strict=True))
    return [
        record if attempt is None else _finish(attempt, record, *next(results), check)
        for attempt, record in begun
    ]


def _begin(
    request: Request,
    goal: Goal,
    before: Response,
    again: Response,
    threat: ThreatModel,
    blank: AttackRecord,
) -> tuple[Attempt | None, AttackRecord]:
    """Return the attempt on one request (None if the request cannot be attacked) and its record so
    far.
    """
    record = replace(blank, user=request.user_id, goal=goal, clean_request=before.request_id)
    failed = next((one for one in (before, again) if one.status in UNANSWERED), None)
    if failed is not None:
        why = failed.reason or failed.status
        return None, replace(record, status="missing", reason=f"the clean request: {why}")
    clean, repeated = Ranking.of(before, request), Ranking.of(again, request)
    text = editable_text(request, threat, item=goal.item)
    record = replace(
        record,
        text=text.text,
        clean_items=clean.ids,
        repeat_items=repeated.ids,
        deterministic=clean.ids == repeated.ids,
    )
    why_not = goal.why_not_eligible(clean) or (None if text.words else "no editable word")
    if why_not is not None:
        return None, replace(record, status="skipped", reason=why_not)
    return Attempt(request, clean, text, goal, threat), record


def _search(
    target: Target,
    attempts: Sequence[Attempt],
    search: str,
    seed: int,
    stored: Sequence[AttackRecord],
) -> list[Edits]:
    """Run the searches. Returns the edits that reached the goal, empty where none did."""
    if search in STOCK_RECIPES:
        for attempt in attempts:
            rng = generator(seed, "attack", search, attempt.request.user_id)
            run_stock_recipe(search, target, attempt, rng)
        return [
            edits_between(attempt.text, attempt.found) if attempt.found is not None else ()
            for attempt in attempts
        ]
    runs = []
    for attempt in attempts:
        rng = generator(seed, "attack", search, attempt.request.user_id)
        earlier = _stored_edits(attempt, stored)
        space = SearchSpace(
            attempt.text, attempt.limit, attempt.threat.operators, attempt.clean_margin
        )
        searching = _stored_first(earlier, SEARCHES.get(search), space, rng)
        runs.append(Run(attempt, searching))
    run_in_lockstep(target, runs)
    return [run.edits for run in runs]


def _stored_edits(attempt: Attempt, stored: Sequence[AttackRecord]) -> list[Edits]:
    """Edits of earlier attacks on the same text, beginning with edits of the same user."""
    usable = [one for one in stored if one.edits and one.text == attempt.text.text]
    usable.sort(key=lambda one: one.user != attempt.request.user_id)
    return list(dict.fromkeys(one.edits for one in usable))


def _stored_first(
    earlier: Sequence[Edits],
    search: Search | None,
    space: SearchSpace,
    rng: np.random.Generator,
) -> Searching:
    for edits in earlier:
        yield Try((edits,))
    if search is not None:
        yield from search(space, rng)


def _confirm(target: Target, attempts: Sequence[Attempt], n_repeats: int) -> list[bool | None]:
    """Whether each success is reproduced; None without a success or without responses."""
    asked = [
        [attempt.request_for(attempt.found, repeat=r) for r in range(1, n_repeats + 1)]
        if attempt.found is not None
        else []
        for attempt in attempts
    ]
    responses = iter(target.recommend(list(chain(*asked))) if any(asked) else [])
    confirmed: list[bool | None] = []
    for attempt, repeats in zip(attempts, asked, strict=True):
        answers = [next(responses) for _ in repeats]
        attempt.queries += len(repeats)
        if not answers or any(answer.status in UNANSWERED for answer in answers):
            confirmed.append(None)
            continue
        reached = sum(attempt.outcome_of(answer).reached for answer in answers)
        confirmed.append(reached >= (1 if n_repeats == 1 else _REPRODUCED))
    return confirmed


def _finish(
    attempt: Attempt,
    record: AttackRecord,
    edits: Edits,
    confirmed: bool | None,
    check: ValidityCheck,
) -> AttackRecord:
    """The record of a finished attempt."""
    record = replace(
        record,
        queries=attempt.queries,
        unanswered=attempt.unanswered,
        near_tie=attempt.near_tie,
    )
    if attempt.found is None:
        missing = attempt.stopped or attempt.unanswered > _MOST_UNANSWERED * attempt.queries
        why = (
            "the run was stopped"
            if attempt.stopped
            else f"{attempt.unanswered} of {attempt.queries} queries without a response"
        )
        return replace(record, status="missing", reason=why) if missing else record
    response = attempt.responses[attempt.found]
    status, reason = _verdict(attempt, attempt.found, edits, confirmed, check)
    return replace(
        record,
        status=status,
        reason=reason,
        edits=edits,
        attacked_items=Ranking.of(response, attempt.request).ids,
        breakdown=not response.items,
        attacked_request=response.request_id,
    )


def _verdict(
    attempt: Attempt, text: str, edits: Edits, confirmed: bool | None, check: ValidityCheck
) -> tuple[AttackStatus, str]:
    """Status and reason of an attack whose search reached the goal."""
    if confirmed is None:
        return "missing", "no response to the confirmation"
    if not confirmed:
        return "unconfirmed", "the response to a repeat does not reach the goal"
    violated = check.violations(attempt, text, edits)
    return ("invalid", "; ".join(violated)) if violated else ("success", "")
