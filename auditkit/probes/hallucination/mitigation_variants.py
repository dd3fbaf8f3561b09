"""Mitigation variants, which all answer the same requests.

All requests are sent through the Target, so the evidence contains each response with its request.
Candidates are retrieved with item-kNN on the training interactions and shuffled. The held-out item
is not added to them, because this would make the variant look better than it is with a real
retriever. See docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from auditkit.domains.shipped import wording
from auditkit.errors import TargetUnavailable
from auditkit.probes.base import Context, NotAssessable, neutral_request
from auditkit.probes.hallucination.constrained_requests import (
    ConstrainedRequest,
    constrained_requests,
    without_slots,
)
from auditkit.probes.hallucination.sampled_lists import SampledLists, Sampling, sampled_lists
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.prompting.retrieval_context import fact_line, with_candidates
from auditkit.recommenders.protocols import Bounded, Constrains, WritesTitles
from auditkit.recommenders.wrappers.catalog_grounding import Grounded, ask_again
from auditkit.recommenders.wrappers.title_filters import FilteredTitles
from auditkit.types import Item, Request, Response

__all__ = ["DEFAULT_VARIANTS", "VARIANTS", "Variant", "VariantResponses", "Variants", "requests_of"]

Variant = Literal[
    "free", "candidates", "candidate_facts", "grounding", "grounding_asked_again", "trie",
    "trie_filtered", "abstention", "agreement", "vote",
]  # fmt: skip
VARIANTS: tuple[Variant, ...] = get_args(Variant)
SAMPLED: tuple[Variant, ...] = ("agreement", "vote")  # several calls per request, so by name only
DEFAULT_VARIANTS = tuple(name for name in VARIANTS if name not in SAMPLED)
N_CANDIDATES = 20
_RETRIEVER = "item-knn"
_WRITTEN = 256  # tokens of a response, if the manifest does not specify it


@dataclass(frozen=True)
class VariantResponses:
    """Responses of one variant, one entry per request.

    Attributes:
        calls: number of calls of the recommender.
        tokens: number of tokens in prompts and responses; None if they are not counted.
        replaced: number of items that came from requests for replacements.
    """

    responses: tuple[Response, ...]
    calls: tuple[int, ...]
    tokens: tuple[int | None, ...]
    replaced: tuple[int, ...]


def requests_of(
    target: Target, context: Context, *, n_users: int, k: int
) -> list[ConstrainedRequest]:
    """Create one rendered request per user; a third of the requests have a constraint."""
    asked = []
    for one in constrained_requests(target, context, context.sample_users(n_users), k=k):
        kept = one
        if one.candidates is not None:
            kept = ConstrainedRequest(one.user, neutral_request(one.user, k=k))
        asked.append(replace(kept, request=_rendered(target, kept.request)))
    return asked


class Variants:
    """Runs each variant once.

    Args:
        asked: rendered requests, which are the same for all variants.
        sampling: number and temperature of the lists of sampled variants.
    """

    def __init__(
        self,
        target: Target,
        context: Context,
        asked: Sequence[ConstrainedRequest],
        sampling: Sampling,
    ) -> None:
        self._sampling = sampling
        self._target, self._context, self.asked = target, context, tuple(asked)

    @cached_property
    def free(self) -> VariantResponses:
        """Responses without mitigation."""
        return _single(self._target.recommend([one.request for one in self.asked]))

    def answers(self, name: Variant) -> VariantResponses:
        """Return the responses of a variant.

        Raises:
            NotAssessable: the target does not support the variant.
        """
        return {
            "free": lambda: self.free,
            "candidates": self._candidates,
            "candidate_facts": self._candidate_facts,
            "grounding": lambda: self._grounding(rounds=0),
            "grounding_asked_again": lambda: self._grounding(rounds=2),
            "trie": self._trie,
            "trie_filtered": self._trie_filtered,
            "vote": self._vote,
        }[name]()

    @cached_property
    def samples(self) -> SampledLists:
        """Sampled lists of every request, which are requested only once and cached."""
        return sampled_lists(self._target, [one.request for one in self.asked], self._sampling)

    # --- after generation

    def _grounding(self, *, rounds: int) -> VariantResponses:
        if rounds:
            self._need_instructions()
        found = ask_again(
            [one.request for one in self.asked],
            self.free.responses,
            self._target.recommend,
            again=wording(self._target.pack, "ask_again"),
            opening=self._target.prompts.opening(),
            rounds=rounds,
        )
        return VariantResponses(
            tuple(one.response for one in found),
            tuple(len(one.turns) for one in found),
            tuple(_total(one) for one in found),
            tuple(one.n_replaced for one in found),
        )

    def _vote(self) -> VariantResponses:
        self.samples.require_variation()
        return VariantResponses(
            tuple(self.samples.votes([one.request for one in self.asked])),
            (self._sampling.n,) * len(self.asked),
            tuple(_sum([_tokens(one) for one in row]) for row in self.samples.responses),
            (0,) * len(self.asked),
        )

    # --- before generation

    def _candidates(self) -> VariantResponses:
        self._need_instructions()
        return self._listed(lambda item: item.title)

    def _candidate_facts(self) -> VariantResponses:
        self._need_instructions()
        graph, count = self._target.catalog.graph, self._count()
        facts = self._target.pack.facts
        return self._listed(
            lambda item: fact_line(graph, item, facts, count=count),
            history=True,
        )

    def _listed(self, line: Callable[[Item], str], *, history: bool = False) -> VariantResponses:
        """Return the responses to prompts that list the candidates, one line of text per
        candidate.
        """
        known, window = self._target.catalog.index, self._number("history_window", 50)
        requests = []
        for one, candidates in zip(self.asked, self._retrieved, strict=True):
            instruction = one.request.instruction or self._target.prompts.recommend[0]
            if history:
                shown = one.request.history[-window:]
                lines = [line(item) if item.id in known else item.title for item in shown]
                written = "\n".join(f"- {without_slots(text)}" for text in lines)
                instruction = instruction.replace("{history}", written)
            request = with_candidates(
                replace(one.request, instruction=instruction),
                [line(item) for item in candidates],
                instruction=instruction,
                choose=wording(self._target.pack, "choose_from"),
            )
            requests.append(_rendered(self._target, request))
        self._need_room(requests)
        return _single(self._target.recommend(requests))

    @cached_property
    def _retrieved(self) -> list[list[Item]]:
        """Retrieve, for each request, the best twenty unconsumed items that satisfy its constraint,
        shuffled.
        """
        catalog = self._target.catalog
        retriever = load_baseline(_RETRIEVER, self._context.dataset)
        found = []
        for one in self.asked:
            allowed = None
            if one.constraints:
                rows = catalog.graph.select(one.constraints)
                allowed = {catalog.items[row].id for row in rows}
            whole = replace(one.request, k=len(self._context.dataset.catalog.items))
            ranked = [
                item.item_id
                for item in retriever.recommend([whole])[0].items
                if item.item_id in catalog.index and (allowed is None or item.item_id in allowed)
            ][:N_CANDIDATES]
            order = self._context.rng("candidates", one.user.id).permutation(len(ranked))
            ids = [ranked[place] for place in order]
            found.append([Item(i, catalog[i].display_title) for i in ids if i is not None])
        return found

    # --- during generation

    def _trie(self) -> VariantResponses:
        return self._through("trie", self._writer)

    def _trie_filtered(self) -> VariantResponses:
        constraints = {one.user.id: one.constraints for one in self.asked}
        filtered = FilteredTitles(self._writer, self._target.catalog, constraints)
        return self._through("trie_filtered", filtered)

    def _through(self, name: str, writer: WritesTitles | FilteredTitles) -> VariantResponses:
        requests = [one.request for one in self.asked]
        return _single(self._target.recommend(requests, through=(name, writer)))

    @cached_property
    def _writer(self) -> WritesTitles:
        recommender = self._target.recommender
        if not isinstance(recommender, Constrains):
            raise NotAssessable("the variant needs a local language model that generates its lists")
        titles = [item.display_title for item in self._target.catalog.items]
        try:
            return recommender.restricted_to(titles)
        except TargetUnavailable as why:
            raise NotAssessable(str(why)) from None

    # --- requirements

    def _need_instructions(self) -> None:
        prompts = self._target.prompts
        if not self._target.reads_prompt:
            raise NotAssessable("the recommender does not read the prompt text")
        if prompts.history != "titles" or "choose" not in prompts.tasks:
            raise NotAssessable("the recommender's templates do not support instructions")

    def _need_room(self, requests: Sequence[Request]) -> None:
        """Require that all prompts fit the context, because an overflow would count as a failed
        response.
        """
        recommender = self._target.recommender
        if not isinstance(recommender, Bounded):
            return
        rooms = [recommender.room(request) for request in requests]
        wanted = self._number("max_new_tokens", _WRITTEN)
        if any(room is not None and room < wanted for room in rooms):
            raise NotAssessable("the prompts with the list do not fit the model's context")

    def _number(self, name: str, default: int) -> int:
        """Read a number in the decoding section of the manifest, or return the default."""
        decoding = self._context.manifest.get("decoding")
        value = decoding.get(name) if isinstance(decoding, dict) else None
        return value if isinstance(value, int) else default

    def _count(self) -> Callable[[str], int]:
        """Return a function that counts tokens with the recommender's tokenizer.

        Without a tokenizer, the function counts words and punctuation marks.
        """
        tokenizer = getattr(self._target.recommender, "tokenizer", None)
        if tokenizer is None:
            return lambda text: len(re.findall(r"\w+|[^\w\s]", text))
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _rendered(target: Target, request: Request) -> Request:
    return replace(request, prompt=target.render(request))


def _single(responses: Sequence[Response]) -> VariantResponses:
    """Return the responses of a variant with one call per request."""
    return VariantResponses(
        tuple(responses),
        (1,) * len(responses),
        tuple(_tokens(response) for response in responses),
        (0,) * len(responses),
    )


def _tokens(response: Response) -> int | None:
    kinds = ("prompt_tokens", "completion_tokens")
    return (
        sum(response.usage[kind] for kind in kinds) if set(kinds) <= set(response.usage) else None
    )


def _total(one: Grounded) -> int | None:
    return _sum([_tokens(answer) for _, answer in one.turns])


def _sum(counted: Sequence[int | None]) -> int | None:
    return None if None in counted else sum(n for n in counted if n is not None)
