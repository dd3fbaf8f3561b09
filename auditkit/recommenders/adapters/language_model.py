"""Language models of a model folder: prompts, generation and scores.

They are decoder-only or encoder-decoder, with or without peft adapters. A pointwise recommender
(style `pointwise`) uses this class directly: it predicts a rating or a yes/no answer for one item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from auditkit.domains.shipped import domain_pack
from auditkit.engine.generation import Decoding
from auditkit.engine.inference import Engine
from auditkit.engine.plain import distributions
from auditkit.errors import TargetUnavailable
from auditkit.metrics.membership_scores import next_token_moments
from auditkit.recommenders.adapters.folder_fingerprint import folder_fingerprint
from auditkit.recommenders.adapters.manifest import RecommenderManifest, resolve_inside
from auditkit.recommenders.prompting.prompts import Prompts, as_text, describe_user, item_reference
from auditkit.recommenders.prompting.token_encoding import decode, encode, encode_chat, item_tokens
from auditkit.recommenders.protocols import ItemQuestion, TokenScores
from auditkit.serialization.canonical_json import read_json
from auditkit.types import Item, Message, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["LanguageModel"]

Pair = tuple[list[int], list[int]]


class LanguageModel:
    """A causal or encoder-decoder language model with its templates.

    Attributes:
        name: name in the manifest. prompts: prompt templates. model, tokenizer: the model in
            float32, in evaluation mode, and its tokenizer.
        item_index: tokens of every item, for models with several tokens per item.
        manifest: the parsed `recommender.yaml`. engine: runs the model.
        notes: notes on the files, for the report.
    """

    notes: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        manifest: RecommenderManifest,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        domain: str | None = None,
    ) -> None:
        self.name, self.manifest, self.model, self.tokenizer = (
            manifest.name, manifest, model, tokenizer,
        )  # fmt: skip
        self.engine = Engine(model)
        self._folder = folder
        index = resolve_inside(folder, manifest.item_index) if manifest.item_index else None
        self.item_index: Mapping[str, Sequence[str]] | None = (
            read_json(index.read_text(encoding="utf-8")) if index else None
        )
        listed = manifest.style != "generate"
        self._items = item_tokens(tokenizer, self.item_index) if listed else {}
        if manifest.style == "rank" and not self._items:
            raise TargetUnavailable(
                f"{folder} has the style 'rank', but its tokenizer has no <item_..> tokens. Use "
                "style 'generate'."
            )
        default: Literal["item_tokens", "titles"] = "item_tokens" if self._items else "titles"
        self.prompts = (
            Prompts.read(resolve_inside(folder, manifest.prompt))
            if manifest.prompt
            else Prompts.shipped(default, domain_pack(domain))
        )

    def fingerprint(self) -> str:
        """SHA-256 of the manifest and of all files that the manifest names."""
        return folder_fingerprint(self._folder, self.manifest)

    def render(self, request: Request) -> str:
        """Render the prompt, with the latest `history_window` items of the history."""
        window = self.manifest.decoding.history_window
        fields = {**request.__dict__, "history": request.history[-window:]}
        return self.prompts.render(Request(**fields))

    def reference(self, item: Item) -> str:
        """The token of the item, or its title for a model that writes titles."""
        return item_reference(item.id) if self._items else item.title

    def describe_prompt(self, item: Item) -> str:
        """Render the prompt that asks for one item's genres and year."""
        return self.prompts.render_description(item)

    def item_question(
        self, task: str, request: Request, item: Item, *, disliked: Sequence[Item] = ()
    ) -> ItemQuestion | None:
        """Return a prompt about one item with its permitted answers; None for an unsupported
        task.
        """
        known = self.prompts.tasks.get(task)
        if known is None or not known.options:
            return None
        window = self.manifest.decoding.history_window
        history = request.history[-window:]
        prompt = self.prompts.ask(
            task,
            who=request.who or describe_user(request.attributes),
            history=history,
            liked=history,
            disliked=tuple(disliked),
            item=item,
        )
        return ItemQuestion(prompt, known.options)

    @cached_property
    def n_parameters(self) -> int:
        """Number of parameters, including adapters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    # --- texts and scores

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[str]:
        """Continue every prompt; a model with a chat template gets each prompt as a user turn."""
        written = self.engine.generate(
            [self._encode(prompt) for prompt in prompts],
            Decoding(max_new_tokens, temperature=temperature),
            seeds=seeds,
        )
        return [decode(self.tokenizer, generated.ids) for generated in written]

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """Return the log-probability of every token of every continuation, in nats."""
        return self._scores(prompts, continuations, run=self.engine.score)

    def rescore(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """Compute the scores of `score` with one forward pass per pair of prompt and
        continuation.
        """
        return self._scores(prompts, continuations, run=self.engine.rescore)

    def token_moments(
        self, prompts: Sequence[str], continuations: Sequence[str]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """For every token of each prompt's continuation, return the mean and the standard deviation
        of the model's next-token log-probability at this position, in nats.
        """
        pairs = self._pairs(prompts, [[continuation] for continuation in continuations])
        return [next_token_moments(table) for table in distributions(self.model, pairs)]

    def cost(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Estimate the cost of scoring: `tokens_asked`, the tokens if every pair had its own
        forward pass; `tokens`, those that the engine computes; and `seconds` on this machine.
        """
        cost = self.engine.cost(self._pairs(prompts, continuations))
        return {
            "tokens_asked": cost.tokens_asked,
            "tokens": cost.tokens_to_compute,
            "seconds": cost.seconds,
        }

    def room(self, request: Request) -> int | None:
        """Number of tokens that fit after a rendered request; None if unlimited."""
        if self.manifest.kind == "seq2seq":
            return None
        limit = self.engine.body.context
        read = len(self._encode(request.prompt, request.messages)) + self.engine.body.n_virtual
        return None if limit is None else limit - read

    def token_ids(self, prompt: str, continuation: str) -> Pair:
        """Return the token ids of a rendered prompt and of a continuation, as the engine scores
        them.
        """
        return self._split(prompt, continuation)

    def work(self) -> Mapping[str, int]:
        """Number of forward passes, tokens and other work of the engine since the model was
        loaded.
        """
        return self.engine.summary()

    def _scores(
        self,
        prompts: Sequence[str],
        continuations: Sequence[Sequence[str]],
        *,
        run: Callable[[Sequence[Pair]], list[list[float]]],
        conversations: Sequence[Sequence[Message]] | None = None,
    ) -> list[list[TokenScores]]:
        """Token log-probabilities in nats; `conversations` are the earlier turns before each
        prompt.
        """
        flat = iter(run(self._pairs(prompts, continuations, conversations)))
        return [[TokenScores(tuple(next(flat))) for _ in options] for options in continuations]

    def _pairs(
        self,
        prompts: Sequence[str],
        continuations: Sequence[Sequence[str]],
        conversations: Sequence[Sequence[Message]] | None = None,
    ) -> list[Pair]:
        earlier = conversations or [()] * len(prompts)
        return [
            self._split(prompt, continuation, messages)
            for prompt, options, messages in zip(prompts, continuations, earlier, strict=True)
            for continuation in options
        ]

    # --- tokens

    def _encode(self, prompt: str, messages: Sequence[Message] = ()) -> list[int]:
        """Token ids of a prompt after earlier turns, or after the opening turns of the templates.
        Without a chat template, the start token is added.
        """
        messages = messages or self.prompts.opening()
        if self.tokenizer.chat_template:
            return encode_chat(self.tokenizer, prompt, self._items, messages)
        typed = encode(self.tokenizer, as_text(messages) + prompt, self._items)
        if self.manifest.kind == "seq2seq":
            return [*typed, self.model.config.eos_token_id]
        start = self.tokenizer.bos_token_id
        return typed if start is None else [start, *typed]

    def _split(self, prompt: str, continuation: str, messages: Sequence[Message] = ()) -> Pair:
        """Token ids of prompt and continuation, tokenized as one text. A token across the boundary
        and trailing spaces belong to the continuation. For encoder-decoders and chat templates, the
        continuation is tokenized separately.
        """
        if self.tokenizer.chat_template or self.manifest.kind == "seq2seq":
            begin = self._encode(prompt, messages)
            return begin, encode(self.tokenizer, continuation, self._items)
        alone = self._encode(prompt.rstrip(" "), messages)
        whole = self._encode(prompt + continuation, messages)
        shared = next(
            (i for i, (a, b) in enumerate(zip(whole, alone, strict=False)) if a != b), len(alone)
        )
        return whole[:shared], whole[shared:]
