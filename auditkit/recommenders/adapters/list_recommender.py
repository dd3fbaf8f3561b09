"""Language models that recommend lists.

Style `rank` reads item tokens and ranks the whole catalog, with one forward pass if an item is one
token. Style `generate` writes titles as text; if a request has candidates, it ranks them by the
log-probability of their titles.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch

from auditkit.engine.constraint import Constraint
from auditkit.engine.generation import Decoding, Generated
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.constrained_recommender import (
    ConstrainedRecommender,
    Written,
    by_temperature,
)
from auditkit.recommenders.adapters.language_model import LanguageModel
from auditkit.recommenders.prompting.answers import read_list
from auditkit.recommenders.prompting.parsing import final_part, parse_list
from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.recommenders.prompting.reasoning import without_reasoning
from auditkit.recommenders.prompting.token_encoding import decode
from auditkit.recommenders.protocols import TokenScores
from auditkit.types import Item, RankedItem, Request, Response

__all__ = ["LanguageModelRecommender"]

_NEAR_TIE = 1e-3


class LanguageModelRecommender(LanguageModel):
    """A language model that recommends lists."""

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Rank the catalog (style `rank`), rank the candidates of a request, or generate a list."""
        if self._items:
            return self._rank(requests)
        answers: dict[int, Response] = {}
        listed = [i for i, request in enumerate(requests) if request.candidates]
        ranked = self._rank_candidates([requests[i] for i in listed])
        answers.update(zip(listed, ranked, strict=True))
        written = [i for i in range(len(requests)) if i not in answers]
        for rows in by_temperature(requests, written):
            asked = [requests[i] for i in rows]
            for i, request, one in zip(rows, asked, self._write(asked), strict=True):
                answers[i] = self._read(request, one.generated, n_prompt=one.n_prompt)
        return [answers[i] for i in range(len(requests))]

    def restricted_to(self, titles: Sequence[str]) -> ConstrainedRecommender:
        """Return a recommender that decodes only these titles with this model."""
        if self._items:
            raise TargetUnavailable(
                f"{self.name} ranks item tokens and writes no titles. Use a model that writes "
                "titles."
            )
        return ConstrainedRecommender(self, titles)

    def write_within(
        self, requests: Sequence[Request], constraint: Constraint, *, max_new_tokens: int
    ) -> list[Written]:
        """Generate one text per request under a constraint; all requests have the same
        temperature.
        """
        return self._run(requests, Decoding(max_new_tokens, constraint=constraint))

    def _write(self, requests: Sequence[Request]) -> list[Written]:
        """Generate lists as text, each until it has k complete items; all requests have the same
        temperature.
        """

        def complete(row: int, ids: list[int]) -> bool:
            text = decode(self.tokenizer, ids)
            answer = without_reasoning(text).text
            listed = final_part(self.prompts.answer_after, answer) or ""
            return text.endswith("\n") and len(parse_list(listed).titles) >= requests[row].k

        limit = self.manifest.decoding.max_new_tokens
        return self._run(requests, Decoding(limit, stop=complete))

    def _run(self, requests: Sequence[Request], decoding: Decoding) -> list[Written]:
        """Generate texts with the sampling settings of the manifest and the temperature of the
        requests.
        """
        prompts = [self._encode(request.prompt, request.messages) for request in requests]
        how = self.manifest.decoding
        decoding = decoding._replace(
            temperature=requests[0].temperature,
            top_k=how.top_k,
            top_p=how.top_p,
            beams=how.beams,
        )
        written = self.engine.generate(prompts, decoding, seeds=[r.seed for r in requests])
        return [Written(one, len(p)) for p, one in zip(prompts, written, strict=True)]

    def _read(self, request: Request, generated: Generated, *, n_prompt: int = 0) -> Response:
        """Parse the list in a text, without an incomplete last item."""
        text = decode(self.tokenizer, generated.ids)
        listed = read_list(text, k=request.k, cut=generated.cut)
        near_tie = generated.margin is not None and generated.margin < _NEAR_TIE
        return Response(
            request_id=request.id,
            status=listed.status,
            reason=listed.reason,
            text=listed.text,
            items=listed.items,
            usage={"prompt_tokens": n_prompt, "completion_tokens": len(generated.ids)},
            derived={**listed.derived, **({"near_tie": True} if near_tie else {})},
        )

    def _rank_candidates(self, requests: Sequence[Request]) -> list[Response]:
        """Rank the candidates by the log-probability of their titles after the conversation, as
        mean or sum over tokens.
        """
        allowed = [self._candidates(request) for request in requests]
        scores = self._scores(
            [request.prompt for request in requests],
            [[self.reference(item) for item in items] for items in allowed],
            run=self.engine.score,
            conversations=[request.messages for request in requests],
        )
        return [
            self._ranked(request, items, [self._title_score(one) for one in row])
            for request, items, row in zip(requests, allowed, scores, strict=True)
        ]

    def _title_score(self, scores: TokenScores) -> float:
        return scores.mean if self.manifest.scoring == "mean" else scores.total

    def _candidates(self, request: Request) -> list[Item]:
        seen = self._seen(request)
        return [item for item in request.candidates or () if item.id not in seen]

    def _seen(self, request: Request) -> set[str]:
        """Ids of the items that may not be recommended for a request."""
        exclude = self.manifest.decoding.exclude_history
        return {item.id for item in request.history} if exclude else set()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self._items)}

    def _rank(self, requests: Sequence[Request]) -> list[Response]:
        """Rank the catalog, or the candidates, by the log-probability of each item's tokens."""
        ids, responses = list(self._items), []
        for request, scores in zip(requests, self._catalog_scores(requests), strict=True):
            listed = request.candidates
            wanted = ids if listed is None else {c.id for c in listed} & self._rows.keys()
            seen = self._seen(request)
            rows = sorted(self._rows[item_id] for item_id in wanted if item_id not in seen)
            items = [Item(ids[row], item_reference(ids[row])) for row in rows]
            responses.append(self._ranked(request, items, scores[rows].tolist(), link="item_token"))
        return responses

    def _catalog_scores(self, requests: Sequence[Request]) -> torch.Tensor:
        """Log-probabilities in nats [requests, items]; one forward pass per prompt if every item is
        one token.
        """
        prompts = [self._encode(request.prompt, request.messages) for request in requests]
        codes = list(self._items.values())
        if all(len(code) == 1 for code in codes):
            table = torch.log_softmax(self.engine.next_token_logits(prompts), dim=1)
            return table[:, [code[0] for code in codes]]
        scores = self.engine.score([(prompt, list(code)) for prompt in prompts for code in codes])
        return torch.tensor([sum(tokens) for tokens in scores]).view(len(prompts), len(codes))

    @staticmethod
    def _ranked(
        request: Request, items: Sequence[Item], scores: Sequence[float], *, link: str = "none"
    ) -> Response:
        """Build a response with the k items of the highest scores; ties keep their order."""
        order = sorted(range(len(items)), key=lambda i: -scores[i])[: request.k]
        found = tuple(
            RankedItem(raw=items[i].title, item_id=items[i].id, link=link, score=scores[i])
            for i in order
        )
        return Response(request_id=request.id, status="ok" if found else "no_answer", items=found)
