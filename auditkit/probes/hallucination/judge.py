"""Language-model judge: is it consistent, and does it agree with the knowledge graph?

The judge is optional, and its verdicts are never combined with the rates of the knowledge graph. A
judge can give different verdicts for the same input, so every claim is judged several times, and
the share of claims with identical verdicts is reported. The probe runs only if a recipe names a
judge; a failed call of the judge is a missing value, never a verdict. See
docs/explain/hallucination.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from auditkit.claims.claim import Claim
from auditkit.claims.reader import ClaimReader
from auditkit.domains.shipped import wording
from auditkit.errors import InvalidArgument, TargetError
from auditkit.probes.base import Context, NotAssessable, finding, split_by_status, unit_of
from auditkit.probes.hallucination.claims import requests_for_reasons
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Generates
from auditkit.recommenders.remote.openai_endpoint import Endpoint
from auditkit.stats.rates import clustered_rate
from auditkit.types import Evidence, Finding

__all__ = ["JudgeProbe"]

PREFIX = "hallucination.judge"
_SCHEME = "openai:"
_BATCH = 8
_SLOT = re.compile(r"\{(title|said)\}")
_ANSWER = re.compile(r"\b(supported|contradicted|unverifiable)\b", re.IGNORECASE)


class _Judged(NamedTuple):
    """A claim, its user, and one verdict per repeat; a verdict is None if the repeat failed."""

    user: str
    request_id: str
    claim: Claim
    verdicts: tuple[str | None, ...]

    @property
    def majority(self) -> str | None:
        """Verdict of more than half of the repeats; None if there is no such verdict."""
        given = Counter(verdict for verdict in self.verdicts if verdict is not None)
        best = given.most_common(1)
        return best[0][0] if best and 2 * best[0][1] > len(self.verdicts) else None


@dataclass(frozen=True, kw_only=True)
class JudgeProbe:
    """Verdicts of a language-model judge on the facts in the reasons of a list.

    Attributes:
        judge: endpoint of the judge, `openai:BASE_URL#MODEL`; the audit of a local recommender
            needs `--online` for a judge on another machine.
        n_users, k: as in `hallucination.claims`, whose responses are reused.
        repeats: number of verdicts per claim, at least 3.
    """

    judge: str = ""
    n_users: int = 30
    k: int = 5
    repeats: int = 3
    needs: ClassVar[tuple[type, ...]] = (Generates,)

    def __post_init__(self) -> None:
        if self.n_users < 1 or self.k < 1 or self.repeats < 3:
            raise InvalidArgument(
                f"{PREFIX} got n_users={self.n_users}, k={self.k}, repeats={self.repeats}. Give "
                "n_users and k of at least 1, and repeats of at least 3."
            )
        if self.judge and not self.judge.startswith(_SCHEME):
            raise InvalidArgument(f"{PREFIX} got judge={self.judge!r}. Give openai:BASE_URL#MODEL.")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Extract the claims of the reasons, judge each, and compare with the graph."""
        reasons = target.prompts.tasks.get("reasons")
        if not self.judge:
            raise NotAssessable(
                "the recipe names no judge, so only the graph's verdicts are reported"
            )
        if reasons is None or not target.reads_prompt:
            raise NotAssessable("the recommender has no prompt for lists with reasons")
        asked = requests_for_reasons(target, context, reasons.ask[0], self.n_users, self.k)
        responses = target.generate(asked.requests, max_new_tokens=asked.max_new_tokens)
        kept, missing = split_by_status(responses)
        readings = ClaimReader(target.catalog).read([responses[i].text or "" for i in kept])
        claims = [
            (asked.users[i], responses[i].request_id, claim)
            for i, reading in zip(kept, readings, strict=True)
            for claim in reading.claims
        ]
        judged = [
            _Judged(user, request_id, claim, verdicts)
            for (user, request_id, claim), verdicts in zip(
                claims, self._verdicts(target, [claim for _, _, claim in claims]), strict=True
            )
        ]
        yield from _findings(context, judged, len(kept), sum(missing.values()), self)

    def _verdicts(self, target: Target, claims: Sequence[Claim]) -> list[tuple[str | None, ...]]:
        endpoint = Endpoint(self.judge.removeprefix(_SCHEME))
        questions = [_question(target, claim) for claim in claims for _ in range(self.repeats)]
        seeds = [repeat for _ in claims for repeat in range(self.repeats)]
        said: list[str | None] = []
        for begin in range(0, len(questions), _BATCH):
            batch = slice(begin, begin + _BATCH)
            said += _ask(endpoint, questions[batch], seeds[batch])
        return [
            tuple(said[begin : begin + self.repeats]) for begin in range(0, len(said), self.repeats)
        ]


def _question(target: Target, claim: Claim) -> str:
    about = claim.value if claim.value not in target.catalog.index else (
        target.catalog[claim.value].display_title
    )  # fmt: skip
    denied = "not " if claim.negated else ""
    title = target.catalog[claim.item_id].display_title
    slots = {"title": title, "said": f"{claim.relation} is {denied}{about}"}
    return _SLOT.sub(lambda match: slots[match[1]], wording(target.pack, "judge"))


def _ask(endpoint: Endpoint, questions: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
    """Request the judge's verdicts; None for a failed call or a response without a verdict."""
    try:
        texts = endpoint.generate(questions, max_new_tokens=8, temperature=0.7, seeds=seeds)
    except TargetError:
        if len(questions) == 1:
            return [None]
        return [
            text
            for question, seed in zip(questions, seeds, strict=True)
            for text in _ask(endpoint, [question], [seed])
        ]
    found = [_ANSWER.search(text) for text in texts]
    return [match[1].lower() if match else None for match in found]


def _findings(
    context: Context, judged: Sequence[_Judged], n_kept: int, n_missing: int, probe: JudgeProbe
) -> Iterator[Finding]:
    decided = [one for one in judged if one.majority is not None]
    rows = {
        "contradicted_rate": [(one, one.majority == "contradicted") for one in decided],
        "repeat_agreement": [(one, len(set(one.verdicts)) == 1) for one in judged],
        "graph_agreement": [
            (one, one.majority == one.claim.verdict)
            for one in decided
            if one.claim.verdict != "unverifiable"
        ],
    }
    silent = n_missing + n_kept - len({one.request_id for one in judged})
    for metric, flags in rows.items():
        unit, direction = unit_of(f"{PREFIX}.{metric}")
        measured = clustered_rate(
            [flag for _, flag in flags],
            [one.user for one, _ in flags],
            unit=unit,
            direction=direction,
            n_missing=silent,
            reason="no claim was judged",
        )
        shown = [one for one, flag in flags if flag is (metric == "contradicted_rate")]
        yield finding(
            context,
            f"{PREFIX}.{metric}",
            measured,
            parameters={
                "repeats": probe.repeats,
                "claims": len(judged),
                "without_majority": len(judged) - len(decided),
            },
            evidence=[_evidence(one) for one in shown[:5]],
            n_cases=len(shown),
            notes=[
                "verdicts of a language-model judge, which do not affect the rates of the "
                "knowledge graph"
            ],
        )


def _evidence(one: _Judged) -> Evidence:
    said = ", ".join(verdict or "no verdict" for verdict in one.verdicts)
    claim = one.claim
    return Evidence(
        requests=(one.request_id,),
        what=f"{claim.relation} {claim.value_text} of item {claim.item_id}: judge {said}; graph "
        f"{claim.verdict}",
    )
