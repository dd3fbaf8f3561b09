"""Counterfactual fairness of texts: does stating an attribute change how a list is explained?

A recommender may list the same items for all users and still write shorter, less friendly or less
correct texts for some of them. Each user's history is sent once per value of an attribute, with a
request for reasons. Length, sentiment, hedging, courtesy and contradicted facts of the texts are
compared within each user. No language model is used as a judge. See docs/explain/fairness.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from auditkit.claims.typed.language import language_of, words_of
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable
from auditkit.probes.fairness.counterfactual.design import Arm, Stated, arms_of
from auditkit.probes.fairness.words.findings import PREFIX, Draws, WordsOf, word_findings
from auditkit.probes.fairness.words.reasons import Reasons
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.prompting.attribute_phrases import (
    Wordings,
    read_wordings,
    shipped_wordings,
)
from auditkit.recommenders.protocols import Generates
from auditkit.types import Finding, Request

__all__ = ["WordsProbe"]

_TOKENS_A_REASON = 60
_FEWEST_WORDS = 5  # beside the titles; a text with fewer gives no reasons
_MANY_VALUES = 99


@dataclass(frozen=True, kw_only=True)
class WordsProbe:
    """Gaps in length, sentiment, hedging, courtesy and contradicted facts of stated reasons.

    Attributes:
        n_probes: number of users; every value is stated with each user's history.
        attributes: names from the shipped file or from `attributes_file`.
        attributes_file: YAML file in the format of the shipped attributes, with other attributes or
            phrases.
        k: number of titles with a reason.
        temperature: sampling temperature, at least 0; texts are sampled if it is above 0.
        draws, bootstrap_draws: number of random permutations of the tests, and of resamples for the
            bounds.
    """

    n_probes: int = 50
    attributes: tuple[str, ...] = ("gender",)
    attributes_file: str = ""
    k: int = 3
    temperature: float = 0.0
    draws: int = 1_999
    bootstrap_draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Generates,)

    def __post_init__(self) -> None:
        counts = (self.n_probes, self.k, self.draws, self.bootstrap_draws)
        if min(counts) < 1 or self.temperature < 0:
            raise InvalidArgument(
                f"{PREFIX} got n_probes={self.n_probes}, k={self.k}, draws={self.draws}, "
                f"bootstrap_draws={self.bootstrap_draws}, temperature={self.temperature}. Give "
                "numbers of at least 1, and a temperature of at least 0."
            )
        known = self._file().attributes
        unknown = sorted(set(self.attributes) - set(known))
        if unknown or not self.attributes or len(set(self.attributes)) < len(self.attributes):
            raise InvalidArgument(
                f"{PREFIX} got attributes {list(self.attributes)}. Name each attribute only once, "
                f"out of {', '.join(known)}, or define others in attributes_file."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request lists with reasons once per value, and compare the texts."""
        wording = _wording(target)
        users = context.sample_users(self.n_probes)
        anchors = [Request(user_id=user.id, history=user.history, k=self.k) for user in users]
        arms = [arm for arm in self._arms(context) if arm.kind == "attribute"]
        _require_statements(target, _stating(anchors[0], arms[0].stated[0], wording))
        requests = [
            [
                replace(_stating(anchor, stated, wording), temperature=self.temperature)
                for stated in arm.stated
            ]
            for arm in arms
            for anchor in anchors
        ]
        rendered = [replace(q, prompt=target.render(q)) for row in requests for q in row]
        responses = iter(target.generate(rendered, max_new_tokens=_TOKENS_A_REASON * self.k))
        answered = [[next(responses) for _ in row] for row in requests]
        n = len(anchors)
        measured = [
            _measured(
                arm,
                Reasons(target.catalog, requests[i * n : i * n + n], answered[i * n : i * n + n]),
            )
            for i, arm in enumerate(arms)
        ]
        _require_reasons(measured)
        yield from word_findings(measured, context, Draws(self.draws, self.bootstrap_draws))

    def _file(self) -> Wordings:
        named = self.attributes_file
        return read_wordings(Path(named)) if named else shipped_wordings()

    def _arms(self, context: Context) -> tuple[Arm, ...]:
        return arms_of(
            context,
            self._file(),
            attributes=self.attributes,
            intersections=(),
            described=False,
            n_placebo=0,
            sampled=self.temperature > 0,
            max_values=_MANY_VALUES,
        )


def _wording(target: Target) -> str:
    """Return the recommender's own template for a list with reasons.

    Raises:
        NotAssessable: the recommender cannot state reasons in sentences.
    """
    if not target.reads_prompt or target.prompts.history == "item_tokens":
        raise NotAssessable(
            "the recommender does not answer prompts in sentences; audit a recommender that "
            "answers in sentences"
        )
    reasons = target.prompts.tasks.get("reasons")
    if reasons is None:
        raise NotAssessable(
            "the prompts of the recommender have no task `reasons`; add it to its prompt file if "
            "it can give reasons"
        )
    return reasons.ask[0]


def _stating(anchor: Request, stated: Stated, wording: str) -> Request:
    return replace(anchor, instruction=wording, who=stated.who, attributes=dict(stated.attributes))


def _require_statements(target: Target, request: Request) -> None:
    """Raise NotAssessable if the prompt does not change with a stated attribute."""
    bare = replace(request, who="", attributes={})
    if target.render(request) == target.render(bare):
        raise NotAssessable(
            "the prompts of the recommender do not state attributes; add the slot {who} to the "
            "task `reasons` of its prompt file"
        )


def _measured(arm: Arm, reasons: Reasons) -> WordsOf:
    words = [word for own in reasons.texts for text in own for word in words_of(text)]
    values = [stated.value for stated in arm.stated]
    return WordsOf(arm.name, values, reasons, english=language_of(words) == "en")


def _require_reasons(arms: Sequence[WordsOf]) -> None:
    """Raise NotAssessable if most responses contain titles only."""
    counts = [tone.words for arm in arms for own in arm.reasons.tones for tone in own]
    told = sum(words >= _FEWEST_WORDS for words in counts)
    if counts and told * 2 < len(counts):
        raise NotAssessable(
            f"only {told} of {len(counts)} responses have {_FEWEST_WORDS} or more words besides "
            "the titles, so the recommender states too few reasons to compare"
        )
