"""Counterfactual fairness: how does stating a sensitive attribute of the user change the list?

FaiRLLM's SNSR is a range, so it is above 0 for any recommender that samples, and it does not detect
that two values get opposite items. Here SNSR is reported with a noise floor, exact permutation
tests, simultaneous bounds, a placebo arm and a test for steering. A validity check reports a
recommender whose responses cannot be compared as not assessable, and not as fair. Source: Zhang et
al. 2023, Eq. 2 to 6; the statistics are described in docs/explain/fairness.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from auditkit.domains.pack import DomainPack
from auditkit.domains.shipped import DOMAINS, domain_pack
from auditkit.errors import InvalidArgument
from auditkit.probes.base import NEVER_READS, Context, NotAssessable
from auditkit.probes.fairness.candidates import cannot_list_titles, instructions
from auditkit.probes.fairness.counterfactual.anchors import anchors_of
from auditkit.probes.fairness.counterfactual.arm_tests import Resamples, adjusted, test_arm
from auditkit.probes.fairness.counterfactual.design import Design, Exploratory, arms_of
from auditkit.probes.fairness.counterfactual.finding_builder import Reporting
from auditkit.probes.fairness.counterfactual.findings import all_findings
from auditkit.probes.fairness.counterfactual.response_tables import ResponseTables
from auditkit.probes.fairness.counterfactual.reworded_arms import reworded_arms
from auditkit.probes.fairness.counterfactual.validity import guard, require_usable_responses
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.prompting.attribute_phrases import (
    Wordings,
    read_wordings,
    shipped_wordings,
)
from auditkit.recommenders.protocols import Recommends, Sized
from auditkit.types import Finding, Request, Response

__all__ = ["CounterfactualProbe"]

PILOT = 20
_CANDIDATES = 100
_AUTO = "auto"
_NEUTRAL_TOO = ("generic",)  # the name of the neutral domain in older recipes


@dataclass(frozen=True, kw_only=True)
class CounterfactualProbe:
    """SNSR, SNSV, steering, placebo contrast and unusable responses, with bounds and adjusted
    p-values.

    Attributes:
        n_probes: number of anchors; every value is stated with each anchor.
        attributes: names from the shipped file, from `attributes_file`, or from the data set.
        attributes_file: YAML file in the format of the shipped attributes, with other attributes or
            phrases.
        intersections: pairs of attributes that are also stated together.
        wordings: additional arms with typing errors, in German, or with first names; these arms are
            exploratory and have no tests.
        anchors: `history` uses the recommender's own templates with a user's history, `titles` uses
            one liked title; `auto` uses histories for recommenders that read item tokens.
        describe_users: whether attributes of the data set are stated with the phrases that describe
            its users; `auto` does so for recommenders trained on the same data.
        domain: domain pack whose nouns are used in templates about titles; `auto` is the pack of
            the catalog.
        templates: number of templates of the request; similarities, steering, placebo and unusable
            responses are averaged over templates, and comparisons with a repeated request use the
            first template.
        candidates: number of candidates in each request; 0 for none. None means 100 for a small
            language model that generates titles, and no candidates for other recommenders.
        k: length of the compared lists.
        repeats: number of lists per value; more than one requires a temperature above 0.
        placebo: number of irrelevant phrases; None for the largest number of values.
        margin: SNSR for which the required number of probes is reported.
        max_values: maximum number of values of a data set's attribute; the most frequent are used.
        draws, bootstrap_draws: number of random permutations of the tests, and of resamples for the
            bounds.
    """

    n_probes: int = 100
    attributes: tuple[str, ...] = ("gender", "age", "occupation")
    attributes_file: str = ""
    intersections: tuple[tuple[str, str], ...] = ()
    wordings: tuple[Exploratory, ...] = ()
    anchors: Literal["auto", "history", "titles"] = "auto"
    describe_users: Literal["auto", "yes", "no"] = "auto"
    domain: str = _AUTO
    templates: int = 1
    candidates: int | None = None
    k: int = 10
    repeats: int = 1
    temperature: float = 0.0
    placebo: int | None = None
    margin: float = 0.05
    max_values: int = 7
    draws: int = 1_999
    bootstrap_draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        for error in self._parameter_errors():
            raise InvalidArgument(f"fairness.counterfactual {error}")

    def _parameter_errors(self) -> Iterator[str]:
        """Yield messages on invalid parameters."""
        counts = (self.n_probes, self.k, self.draws, self.bootstrap_draws, self.repeats)
        if min(*counts, self.templates, self.max_values - 1) < 1 or self.margin <= 0:
            yield (
                "needs n_probes, k, draws, bootstrap_draws, repeats and templates of at least 1, "
                "max_values of at least 2, and a margin above 0."
            )
        if min(self.temperature, self.candidates or 0, self.placebo or 0) < 0:
            yield "needs temperature, candidates and placebo of at least 0."
        if self.candidates and self.candidates <= self.k:
            yield (
                f"got candidates={self.candidates} for lists of k={self.k}. Give more candidates "
                "than k."
            )
        if self.repeats > 1 and not self.temperature:
            yield (
                f"got repeats={self.repeats} at temperature 0, where all repeats are identical. "
                "Give a temperature above 0, or more templates."
            )
        if not self.attributes or self.domain not in (_AUTO, *_NEUTRAL_TOO, *DOMAINS):
            yield (
                "got no attribute or an unknown domain. Give at least one attribute, and one of "
                f"the domains {', '.join(DOMAINS)}."
            )
        crossed = [frozenset(pair) for pair in self.intersections]
        for listed in (self.attributes, crossed, self.wordings):
            if len(set(listed)) < len(listed) or frozenset() in crossed:
                yield "names an attribute, intersection or wording twice. Name each only once."
        if any(len(pair) < 2 for pair in crossed):
            yield "crosses an attribute with itself. Name two attributes."
        known = self._file().attributes
        named = {*self.attributes, *(name for pair in self.intersections for name in pair)}
        unknown = [] if self.describe_users == "yes" else sorted(named - set(known))
        if unknown:
            yield (
                f"got attributes {unknown}. Choose from {', '.join(known)}, or define others in "
                "attributes_file."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send a pilot and check its responses, send the other requests, check validity, and run
        all tests.
        """
        history = self._asks_with_history(target)
        n_candidates = self._candidates(target)
        design = self._design(target, context, history=history, n_candidates=n_candidates)
        anchors = anchors_of(context, n=self.n_probes, history=history, n_candidates=n_candidates)
        n_items = _n_choices(context, anchors)
        if n_items <= self.k:
            raise NotAssessable(
                f"a request for k={self.k} items has only {n_items} items to choose from, so "
                "every list would contain all of them"
            )
        asked = [design.requests(anchor) for anchor in anchors]
        answers = _ask(target, asked[:PILOT])
        require_usable_responses(ResponseTables(design, answers))
        every = ResponseTables(design, answers + _ask(target, asked[PILOT:]))
        validity = guard(every, n_items=n_items)
        draws = Resamples(self.draws, self.bootstrap_draws)
        arms = [
            test_arm(every, i, context, draws)
            for i, arm in enumerate(design.arms)
            if arm.kind in ("attribute", "crossed") and not arm.exploratory
        ]
        reporting = Reporting(
            every, context, validity, adjusted(arms), draws,
            margin=self.margin, n_candidates=n_candidates, history=history, planned=self.n_probes,
        )  # fmt: skip
        for found in all_findings(reporting, arms):
            yield (
                found if target.reads_prompt else replace(found, notes=(*found.notes, *NEVER_READS))
            )

    def _file(self) -> Wordings:
        named = self.attributes_file
        return read_wordings(Path(named)) if named else shipped_wordings()

    def _asks_with_history(self, target: Target) -> bool:
        if self.anchors == "auto":
            return target.prompts.history == "item_tokens"
        return self.anchors == "history"

    def _pack(self, target: Target) -> DomainPack:
        if self.domain == _AUTO:
            return target.pack
        return domain_pack(None if self.domain in _NEUTRAL_TOO else self.domain)

    def _describes(self, context: Context) -> bool:
        """Whether attributes are stated with the phrases that describe the users of the data
        set.
        """
        if self.describe_users == "auto":
            training = context.manifest.get("training")
            trained_on = training.get("data_sha256") if isinstance(training, dict) else None
            return trained_on == context.dataset.fingerprint
        return self.describe_users == "yes"

    def _candidates(self, target: Target) -> int:
        if self.candidates is not None:
            return self.candidates
        return _CANDIDATES if cannot_list_titles(target) else 0

    def _design(
        self, target: Target, context: Context, *, history: bool, n_candidates: int
    ) -> Design:
        file = self._file()
        arms = arms_of(
            context,
            file,
            attributes=self.attributes,
            intersections=self.intersections,
            described=self._describes(context),
            n_placebo=self.placebo,
            sampled=self.temperature > 0,
            max_values=self.max_values,
        )
        for wording in self.wordings:
            arms += reworded_arms(file, attributes=self.attributes, wording=wording)
        ranks_itself = isinstance(target.recommender, Sized)
        templates = instructions(
            target.prompts.recommend,
            n=self.templates,
            pack=self._pack(target),
            history=history,
            listing=bool(n_candidates) and not ranks_itself,
        )
        return Design(arms, templates, self.k, self.repeats, self.temperature)


def _ask(target: Target, rows: Sequence[Sequence[Request]]) -> list[list[Response]]:
    """Send the requests of every probe; return the responses, [probes][requests]."""
    flat = iter(target.recommend([request for row in rows for request in row]))
    return [[next(flat) for _ in row] for row in rows]


def _n_choices(context: Context, anchors: Sequence[Request]) -> int:
    """Return the smallest number of items to choose from, over all requests."""
    n_items = len(context.dataset.catalog.items)
    return min(
        len(anchor.candidates)
        if anchor.candidates is not None
        else n_items - len({item.id for item in anchor.history})
        for anchor in anchors
    )
