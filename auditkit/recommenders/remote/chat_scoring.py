"""Log-probabilities of answers of a chat model, after the model's chat template.

The probability of a text after the plain prompt is not the probability of the same text as an
answer in a chat, because the chat template adds roles and control tokens. Two kinds of servers give
the latter: those that score the last message of a chat (`prompt_logprobs`, vLLM), and those that
return the rendered template (`/apply-template` of llama.cpp, `/tokenize` with messages of vLLM) and
echo a completion. `score_check` tests which kind a server is and whether its numbers are right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from auditkit.errors import TargetError
from auditkit.recommenders.prompting.reasoning import without_reasoning
from auditkit.recommenders.remote.chat_logprobs import REASONS, continuation_values, prompt_tokens
from auditkit.recommenders.remote.completion import usage_of
from auditkit.recommenders.remote.echo_logprobs import continuation_logprobs, echoed_tokens

__all__ = ["CHAT_SCORERS", "ChatScorer", "Post", "RenderedTemplate", "Scored", "ScoredMessage"]

# `<s>`, `<bos>`, `<|begin_of_text|>`: what a template writes first and a tokenizer adds again.
_FIRST_SPECIAL = re.compile(r"<[^<>\s]{1,40}>")
Turns = Sequence[Mapping[str, str]]


class Post(Protocol):
    """Sends JSON to a path of the server and returns the JSON object of the response."""

    async def __call__(
        self, path: str, body: Mapping[str, Any], *, from_root: bool = False
    ) -> dict[str, Any]:
        """Send a request; `from_root` leaves out the API version of the address."""
        ...


@dataclass(frozen=True)
class Scored:
    """Log-probabilities of continuations.

    Attributes:
        tokens: for each continuation, nats per token.
        usage: tokens by kind, summed over all requests.
    """

    tokens: list[list[float]]
    usage: Mapping[str, int]


class ChatScorer(Protocol):
    """One way to obtain log-probabilities of answers in a chat."""

    @property
    def label(self) -> str:
        """Which server routes were called, for the report."""
        ...

    async def score(
        self, post: Post, model: str, turns: Turns, continuations: Sequence[str]
    ) -> Scored:
        """Score every continuation as the beginning of the answer to a chat.

        Raises:
            TargetError: the server does not return the log-probabilities of these texts.
        """
        ...


@dataclass(frozen=True)
class ScoredMessage:
    """Scores the last message of a chat, for servers with `prompt_logprobs`."""

    label: str = "prompt_logprobs of /chat/completions"

    async def score(
        self, post: Post, model: str, turns: Turns, continuations: Sequence[str]
    ) -> Scored:
        """Send the chat once without an answer, and once with each continuation."""
        usage: Counter[str] = Counter()

        async def read(messages: Turns, *, answered: bool) -> dict[str, Any]:
            body = {
                "model": model,
                "messages": list(messages),
                "max_tokens": 1,
                "temperature": 0,
                "prompt_logprobs": 0,
                "add_generation_prompt": not answered,
                "continue_final_message": answered,
            }
            result = await post("/chat/completions", body)
            usage.update(usage_of(result))
            return result

        before = prompt_tokens(await read(turns, answered=False))
        tokens = []
        for text in continuations:
            answer = {"role": "assistant", "content": text}
            whole = prompt_tokens(await read([*turns, answer], answered=True))
            tokens.append(continuation_values(before, whole, text))
        return Scored(tokens, usage)


@dataclass(frozen=True)
class RenderedTemplate:
    """Scores a continuation of the rendered chat with an echoed completion.

    Attributes:
        by_tokenizer: whether `/tokenize` and `/detokenize` render the chat, instead of
            `/apply-template`.
        strips_first: whether the first special token of the rendered chat is removed, because the
            server adds it again.
    """

    by_tokenizer: bool
    strips_first: bool

    @property
    def label(self) -> str:
        """Which server routes were called, for the report."""
        route = "/tokenize" if self.by_tokenizer else "/apply-template"
        return f"the chat rendered by {route}, echoed by /completions"

    async def score(
        self, post: Post, model: str, turns: Turns, continuations: Sequence[str]
    ) -> Scored:
        """Render the chat once, then send it with each continuation.

        Raises:
            TargetError: the completion begins with the same special token twice.
        """
        rendered = await self._rendered(post, model, turns)
        usage: Counter[str] = Counter()
        tokens = []
        for text in continuations:
            body = {
                "model": model,
                "prompt": rendered + text,
                "max_tokens": 1,
                "echo": True,
                "logprobs": 1,
                "temperature": 0,
            }
            result = await post("/completions", body)
            usage.update(usage_of(result))
            values = continuation_logprobs(rendered, text, result)
            _require_one_first(rendered, echoed_tokens(result))
            tokens.append(values)
        return Scored(tokens, usage)

    async def _rendered(self, post: Post, model: str, turns: Turns) -> str:
        """The chat as the text that the model reads, up to where its answer begins."""
        messages = list(turns)
        if self.by_tokenizer:
            body = {"model": model, "messages": messages, "add_generation_prompt": True}
            encoded = await post("/tokenize", body, from_root=True)
            ids = {"model": model, "tokens": encoded.get("tokens")}
            result = await post("/detokenize", ids, from_root=True)
        else:
            result = await post("/apply-template", {"messages": messages}, from_root=True)
        text = result.get("prompt")
        if not isinstance(text, str) or not text:
            raise TargetError("bad_schema", detail="no rendered chat")
        if without_reasoning(text).unfinished:  # the template opens the reasoning
            raise TargetError("bad_schema", detail=REASONS)
        if not self.strips_first:
            return text
        first = _FIRST_SPECIAL.match(text)
        if first is None:
            raise TargetError("bad_schema", detail="the rendered chat has no special token first")
        return text[first.end() :]


def _require_one_first(rendered: str, tokens: Sequence[str]) -> None:
    """Require that the server did not add a second copy of the special token at the beginning of
    the chat.
    """
    first = _FIRST_SPECIAL.match(rendered)
    if first and list(tokens[:2]) == [first[0]] * 2:
        raise TargetError("bad_schema", detail="the first special token is read twice")


CHAT_SCORERS: tuple[ChatScorer, ...] = (
    ScoredMessage(),
    *(
        RenderedTemplate(by_tokenizer=by_tokenizer, strips_first=strips_first)
        for by_tokenizer in (False, True)
        for strips_first in (False, True)
    ),
)
