"""Language models as recommenders: decoder-only and encoder-decoder, with or without peft adapters.

Style `rank` reads item tokens and ranks the whole catalog in one forward; style `generate` writes
titles as text, and ranks candidates, where a request lists them, by the log-probability of their
titles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from auditkit.engine.generation import Decoding, Generated
from auditkit.engine.inference import Engine
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.folder_identity import folder_fingerprint
from auditkit.recommenders.manifest import RecommenderManifest, resolve_inside
from auditkit.recommenders.parsing import final_part, parse_cut, parse_list, status_of_text
from auditkit.recommenders.prompts import Prompts, as_text, item_reference
from auditkit.recommenders.protocols import TokenScores
from auditkit.recommenders.tokens import decode, encode, encode_chat, item_tokens
from auditkit.types import Item, Message, RankedItem, Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["LanguageModelRecommender"]

_NEAR_TIE = 1e-3
Pair = tuple[list[int], list[int]]


class LanguageModelRecommender:
    """A causal or encoder-decoder language model.

    Attributes:
        name: from the manifest. prompts: its templates. model, tokenizer: float32 on CPU, in
            evaluation mode.
        manifest: the parsed `recommender.yaml`. engine: everything that runs the model.
    """

    def __init__(
        self,
        folder: Path,
        manifest: RecommenderManifest,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
    ) -> None:
        self.name, self.manifest, self.model, self.tokenizer = (
            manifest.name, manifest, model, tokenizer,
        )  # fmt: skip
        self.engine = Engine(model)
        self._folder = folder
        self._items = item_tokens(tokenizer) if manifest.style == "rank" else {}
        if manifest.style == "rank" and not self._items:
            raise TargetUnavailable(
                f"{folder} has style 'rank' but its tokenizer knows no <item_..> token. Use "
                "style 'generate'."
            )
        default: Literal["item_tokens", "titles"] = "item_tokens" if self._items else "titles"
        self.prompts = (
            Prompts.read(resolve_inside(folder, manifest.prompt))
            if manifest.prompt
            else Prompts.shipped(default)
        )
        self._columns = torch.tensor(list(self._items.values()), dtype=torch.long)
        self._row_of = {item_id: row for row, item_id in enumerate(self._items)}

    def fingerprint(self) -> str:
        """SHA-256 over everything that the manifest names, and the manifest itself."""
        return folder_fingerprint(self._folder, self.manifest)

    def render(self, request: Request) -> str:
        """The prompt, with the history cut to the newest `history_window` items."""
        window = self.manifest.decoding.history_window
        fields = {**request.__dict__, "history": request.history[-window:]}
        return self.prompts.render(Request(**fields))

    def reference(self, item: Item) -> str:
        """The item's token, or its title for a model that writes titles."""
        return item_reference(item.id) if self._items else item.title

    def describe_prompt(self, item: Item) -> str:
        """The prompt that asks for one item's genres and year."""
        return self.prompts.render_description(item)

    # --- recommending

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Rank the catalog (style `rank`), rank the candidates, or write a list."""
        if self._items:
            return self._rank(requests)
        answers: dict[int, Response] = {}
        listed = [i for i, request in enumerate(requests) if request.candidates]
        ranked = self._rank_candidates([requests[i] for i in listed])
        answers.update(zip(listed, ranked, strict=True))
        written = [i for i in range(len(requests)) if i not in answers]
        for temperature in sorted({requests[i].temperature for i in written}):
            rows = [i for i in written if requests[i].temperature == temperature]
            asked = [requests[i] for i in rows]
            texts = self._write(asked, temperature=temperature)
            for i, request, generated in zip(rows, asked, texts, strict=True):
                answers[i] = self._read(request, generated)
        return [answers[i] for i in range(len(requests))]

    def _write(self, requests: Sequence[Request], *, temperature: float) -> list[Generated]:
        """Lists as text, each until it holds k whole items."""

        def complete(row: int, ids: list[int]) -> bool:
            text = decode(self.tokenizer, ids)
            listed = final_part(self.prompts.answer_after, text) or ""
            return text.endswith("\n") and len(parse_list(listed).titles) >= requests[row].k

        decoding = Decoding(
            self.manifest.decoding.max_new_tokens,
            temperature=temperature,
            top_k=self.manifest.decoding.top_k,
            top_p=self.manifest.decoding.top_p,
            stop=complete,
        )
        prompts = [self._encode(request.prompt, request.messages) for request in requests]
        return self.engine.generate(prompts, decoding, seeds=[r.seed for r in requests])

    def _read(self, request: Request, generated: Generated) -> Response:
        """The list in a text; an unfinished last item does not count."""
        text = decode(self.tokenizer, generated.ids)
        parsed = parse_cut(text) if generated.cut else parse_list(text)
        titles = parsed.titles
        near_tie = generated.margin is not None and generated.margin < _NEAR_TIE
        return Response(
            request_id=request.id,
            status=status_of_text(text, n_items=len(titles), cut=generated.cut, k=request.k),
            text=text,
            items=tuple(RankedItem(raw=title) for title in titles),
            usage={"completion_tokens": len(generated.ids)},
            derived={
                "parse_style": parsed.style,
                **({"cut": True} if generated.cut else {}),
                **({"near_tie": True} if near_tie else {}),
            },
        )

    def _rank_candidates(self, requests: Sequence[Request]) -> list[Response]:
        """Candidates by the log-probability of their titles, mean or sum over tokens."""
        allowed = [self._candidates(request) for request in requests]
        scores = self.score(
            [request.prompt for request in requests],
            [[self.reference(item) for item in items] for items in allowed],
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
        """Ids that may not be recommended."""
        exclude = self.manifest.decoding.exclude_history
        return {item.id for item in request.history} if exclude else set()

    def _rank(self, requests: Sequence[Request]) -> list[Response]:
        """The whole catalog, or the candidates, by the next token's log-probability."""
        logits = self.engine.next_token_logits([self._encode(r.prompt) for r in requests])
        table = torch.log_softmax(logits, dim=1)[:, self._columns]
        ids = list(self._items)
        responses = []
        for request, scores in zip(requests, table, strict=True):
            listed = request.candidates
            wanted = ids if listed is None else sorted({c.id for c in listed} & self._row_of.keys())
            seen = self._seen(request)
            rows = sorted(self._row_of[item_id] for item_id in wanted if item_id not in seen)
            items = [Item(ids[row], item_reference(ids[row])) for row in rows]
            responses.append(self._ranked(request, items, scores[rows].tolist(), link="item_token"))
        return responses

    @staticmethod
    def _ranked(
        request: Request, items: Sequence[Item], scores: Sequence[float], *, link: str = "none"
    ) -> Response:
        """The k best items; equal scores keep the order given."""
        order = sorted(range(len(items)), key=lambda i: -scores[i])[: request.k]
        found = tuple(
            RankedItem(raw=items[i].title, item_id=items[i].id, link=link, score=scores[i])
            for i in order
        )
        return Response(request_id=request.id, status="ok" if found else "no_answer", items=found)

    # --- texts and scores

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[str]:
        """Continue every prompt; chat models see it as a user's turn."""
        written = self.engine.generate(
            [self._encode(prompt) for prompt in prompts],
            Decoding(max_new_tokens, temperature=temperature),
            seeds=seeds,
        )
        return [decode(self.tokenizer, generated.ids) for generated in written]

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """Log-probabilities of every continuation, nats per token."""
        return self._scores(prompts, continuations, run=self.engine.score)

    def rescore(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """The same by the plainest computation, one forward per pair."""
        return self._scores(prompts, continuations, run=self.engine.rescore)

    def cost(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Tokens of one forward per pair (`tokens_asked`), tokens to compute (`tokens`), and about
        how many `seconds` that takes here.
        """
        cost = self.engine.cost(self._pairs(prompts, continuations))
        return {
            "tokens_asked": cost.tokens_asked,
            "tokens": cost.tokens_to_compute,
            "seconds": cost.seconds,
        }

    def work(self) -> Mapping[str, int]:
        """What the engine computed since the model was loaded."""
        return self.engine.summary()

    def _scores(
        self,
        prompts: Sequence[str],
        continuations: Sequence[Sequence[str]],
        *,
        run: Callable[[Sequence[Pair]], list[list[float]]],
    ) -> list[list[TokenScores]]:
        flat = iter(run(self._pairs(prompts, continuations)))
        return [[TokenScores(tuple(next(flat))) for _ in options] for options in continuations]

    def _pairs(self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]) -> list[Pair]:
        return [
            self._split(prompt, continuation)
            for prompt, options in zip(prompts, continuations, strict=True)
            for continuation in options
        ]

    # --- tokens

    def _encode(self, prompt: str, messages: Sequence[Message] = ()) -> list[int]:
        """Token ids with the start token, behind earlier turns or the recommender's own; a chat
        template brings its own tokens around every turn.
        """
        messages = messages or self.prompts.opening()
        if self.tokenizer.chat_template:
            return encode_chat(self.tokenizer, prompt, self._items, messages)
        typed = encode(self.tokenizer, as_text(messages) + prompt, self._items)
        if self.manifest.kind == "seq2seq":
            return [*typed, self.model.config.eos_token_id]
        start = self.tokenizer.bos_token_id
        return typed if start is None else [start, *typed]

    def _split(self, prompt: str, continuation: str) -> Pair:
        """Prompt and continuation, tokenised as one text; a token across the boundary and trailing
        spaces belong to the continuation. An encoder-decoder, and a model behind a chat template,
        begins its own text.
        """
        if self.tokenizer.chat_template or self.manifest.kind == "seq2seq":
            return self._encode(prompt), encode(self.tokenizer, continuation, self._items)
        alone = self._encode(prompt.rstrip(" "))
        whole = self._encode(prompt + continuation)
        shared = next(
            (i for i, (a, b) in enumerate(zip(whole, alone, strict=False)) if a != b), len(alone)
        )
        return whole[:shared], whole[shared:]
