"""Recommender for `openai:BASE_URL#MODEL`: servers with an OpenAI-compatible API, such as vLLM,
llama.cpp, Ollama and LiteLLM.

Capabilities are detected with test requests, never from the server's name: chat or plain
completions, and log-probabilities of given text, which scoring requires: of answers in a chat
(`chat_scoring`), or of plain completions (`echo`).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

from pydantic import JsonValue

from auditkit.errors import ConfigurationError, TargetError, TargetUnavailable
from auditkit.recommenders.prompting.prompts import as_text
from auditkit.recommenders.protocols import Operation, TokenScores
from auditkit.recommenders.remote.chat_logprobs import generated_token
from auditkit.recommenders.remote.chat_scoring import ChatScorer, Scored
from auditkit.recommenders.remote.chat_turns import chat_turns, turn_response
from auditkit.recommenders.remote.completion import response_to, saying, usage_of
from auditkit.recommenders.remote.echo_logprobs import continuation_logprobs
from auditkit.recommenders.remote.error_body import RefusedField
from auditkit.recommenders.remote.event_loop import EventLoop
from auditkit.recommenders.remote.http_client import Server
from auditkit.recommenders.remote.request_fields import RequestFields
from auditkit.recommenders.remote.request_limits import RequestLimits
from auditkit.security.redaction import KEY_POINTER
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import Request, Response

__all__ = ["Endpoint", "ScoringEndpoint"]

T = TypeVar("T")
_MAX_TOKENS = 512
_MAX_TOKENS_VARIABLE = "AUDITKIT_MAX_TOKENS"
_BEGINNING = 8  # tokens; enough to see whether an answer begins with reasoning
_MAX_REFUSALS = 4  # as many fields as a request can do without


class Endpoint:
    """A model on a server.

    Attributes:
        name: name of the model. base: URL of the server. key_variable: environment variable of the
            key.
        chat: whether requests are chat turns instead of plain prompts.
        request_limits: timeouts, retries and rate limits.
        max_tokens: limit of one list, including the reasoning before it.
        scorer: how answers in a chat are scored; None if plain completions are scored.
        notes_on_scores: notes on the consistency of its log-probabilities, for the report.
    """

    def __init__(self, target: str) -> None:
        base, _, model = target.partition("#")
        if not base or not model:
            raise TargetUnavailable(
                f"openai:{target} needs a server and a model. Write openai:https://HOST/v1#MODEL."
            )
        self.name, self.base = model, base.rstrip("/")
        self.key_variable = os.environ.get(KEY_POINTER, "OPENAI_API_KEY")
        self._server = Server(self.base, key=os.environ.get(self.key_variable, ""))
        self.request_limits = RequestLimits.from_environment(os.environ)
        self.max_tokens = _max_tokens(os.environ.get(_MAX_TOKENS_VARIABLE, ""))
        self.fields = RequestFields()
        self.chat = True
        self.scorer: ChatScorer | None = None
        self.notes_on_scores: tuple[str, ...] = ()
        self.notes_at_connection: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 of URL and model name, and of the token limit if the user set one; the served
        weights cannot be verified.
        """
        limit = [] if self.max_tokens == _MAX_TOKENS else [self.max_tokens]
        return sha256_json(["openai", self.base, self.name, *limit])

    def run_notes(self, answered: Collection[str]) -> list[str]:
        """Notes on fields that the server refused after the capability check."""
        return [note for note in self.fields.notes() if note not in self.notes_at_connection]

    async def answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        """Execute one call, without retries.

        Raises:
            TargetError: the call failed; the run log records its `reason`.
        """
        try:
            return await self._answer(operation, request, parameters)
        except TargetError as error:
            if error.reason != "content_filter":
                raise
            # The filter belongs to the audited system, so its refusal is an answer.
            return Response(request_id=request.id, status="refusal", reason=error.reason)

    async def _answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        if operation == "score":
            return await self._score(request, parameters["continuations"])
        if operation == "converse":
            return await self._converse(request, parameters.get("tools", ()))
        limit = parameters.get("max_new_tokens", self.max_tokens)
        result = await self._complete(request, max_tokens=limit)
        completion = saying(result, chat=self.chat)
        return response_to(request, completion, listed=operation == "recommend")

    async def _converse(self, request: Request, tools: Sequence[Mapping[str, Any]]) -> Response:
        """The next turn of a conversation, with the calls of tools in its trace."""
        if not self.chat:
            raise TargetError("no_chat", detail="the server has no chat turns")
        body = {**self._limits(request, self.max_tokens), "messages": chat_turns(request)}
        offered = {"tools": list(tools)} if tools else {}
        result = await self._post("/chat/completions", {**body, **offered})
        return turn_response(request, saying(result, chat=True))

    async def _post(
        self, path: str, body: Mapping[str, Any], *, from_root: bool = False
    ) -> dict[str, Any]:
        """Send a request, and repeat it without the fields that the server refuses.

        Args:
            from_root: whether the path follows the address without its API version.
        """
        for _ in range(_MAX_REFUSALS):
            try:
                sent = self.fields.applied_to(body)
                return await self._server.post(path, sent, from_root=from_root)
            except RefusedField as error:
                if not self.fields.learn(error, body):
                    raise
        return await self._server.post(path, self.fields.applied_to(body), from_root=from_root)

    async def _complete(self, request: Request, *, max_tokens: int) -> dict[str, Any]:
        body = self._limits(request, max_tokens)
        if self.chat:
            return await self._post("/chat/completions", {**body, "messages": _turns(request)})
        return await self._post("/completions", {**body, "prompt": _as_text(request)})

    def _limits(self, request: Request, max_tokens: int) -> dict[str, Any]:
        return {
            "model": self.name,
            "temperature": request.temperature,
            "seed": request.seed % 2**31,
            "max_tokens": max_tokens,
        }

    async def _score(self, request: Request, continuations: Sequence[str]) -> Response:
        if self.scorer is not None:
            scored = await self.reads_chat(self.scorer, request, continuations)
            derived: list[JsonValue] = [[*values] for values in scored.tokens]
            return Response(
                request_id=request.id,
                status="ok",
                usage=dict(scored.usage),  # `asdict` cannot copy a Counter
                derived={"tokens": derived},
            )
        tokens: list[JsonValue] = []
        usage: Counter[str] = Counter()
        for text in continuations:
            values, spent = await self.reads(_as_text(request), text)
            tokens.append([*values])
            usage.update(spent)
        return Response(
            request_id=request.id, status="ok", usage=dict(usage), derived={"tokens": tokens}
        )

    async def reads(self, prompt: str, continuation: str) -> tuple[list[float], Mapping[str, int]]:
        """Score a continuation; return the log-probability of each of its tokens in nats, and the
        number of used tokens by kind.
        """
        body = {
            "model": self.name,
            "prompt": prompt + continuation,
            "max_tokens": 1,
            "echo": True,
            "logprobs": 1,
            "temperature": 0,
        }
        result = await self._post("/completions", body)
        return continuation_logprobs(prompt, continuation, result), usage_of(result)

    async def writes(self, prompt: str) -> tuple[str, float]:
        """Generate one token greedily; return its text and its log-probability in nats."""
        body = {
            "model": self.name, "prompt": prompt, "max_tokens": 1, "logprobs": 1, "temperature": 0,
        }  # fmt: skip
        result = await self._post("/completions", body)
        try:
            table = result["choices"][0]["logprobs"]
            return str(table["tokens"][0]), float(table["token_logprobs"][0])
        except (KeyError, IndexError, TypeError, ValueError, OverflowError):
            raise TargetError("bad_schema", detail="no log-probability of a new token") from None

    async def reads_chat(
        self, scorer: ChatScorer, request: Request, continuations: Sequence[str]
    ) -> Scored:
        """Score continuations as beginnings of the answer to a chat."""
        return await scorer.score(self._post, self.name, _turns(request), continuations)

    async def writes_chat(self, prompt: str) -> tuple[str, float]:
        """Begin an answer greedily; return the text of its first token and its log-probability in
        nats.
        """
        body = {
            "model": self.name,
            "messages": _turns(Request(prompt=prompt)),
            "max_tokens": _BEGINNING,
            "logprobs": True,
            "top_logprobs": 1,
            "temperature": 0,
        }
        return generated_token(await self._post("/chat/completions", body))

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    # --- synchronous versions, with one attempt per request

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Get a list from the server for every request."""
        return self.run_all(*[self.answer("recommend", request, {}) for request in requests])

    def converse(
        self, requests: Sequence[Request], *, tools: Sequence[Mapping[str, Any]]
    ) -> list[Response]:
        """Request the next turn of every conversation."""
        offered = {"tools": tools}
        return self.run_all(*[self.answer("converse", request, offered) for request in requests])

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[str]:
        """Request a continuation of every prompt."""
        requests = [
            Request(prompt=prompt, temperature=temperature, seed=seed)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        limit = {"max_new_tokens": max_new_tokens}
        answers = self.run_all(*[self.answer("generate", request, limit) for request in requests])
        return [answer.text or "" for answer in answers]

    def run_all(self, *asked: Coroutine[Any, Any, T]) -> list[T]:
        """Run coroutines concurrently and return their results in order."""

        async def all_of_them() -> list[T]:
            try:
                async with asyncio.timeout(self.request_limits.seconds * max(1, len(asked))):
                    return list(await asyncio.gather(*asked))
            except TimeoutError:
                raise TargetError("deadline", detail="no complete response in time") from None
            finally:
                await self.close()

        with closing(EventLoop()) as loop:
            return loop.run(all_of_them())


class ScoringEndpoint(Endpoint):
    """A model on a server that also returns log-probabilities of given text."""

    @property
    def score_parameters(self) -> dict[str, bool]:
        """Parameters in the run log that distinguish scores of answers in a chat from scores of
        plain text.
        """
        return {} if self.scorer is None else {"chat_template": True}

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """Return the log-probability of every token of every continuation, in nats."""
        asked = [
            self.answer("score", Request(prompt=prompt), {"continuations": list(options)})
            for prompt, options in zip(prompts, continuations, strict=True)
        ]
        return [
            [TokenScores(tuple(tokens)) for tokens in response.derived["tokens"]]  # type: ignore[union-attr, arg-type]
            for response in self.run_all(*asked)
        ]


def _max_tokens(text: str) -> int:
    """Token limit from the environment variable or, if it is not set, the default.

    Raises:
        ConfigurationError: the variable is not a whole number above 0.
    """
    if not text.strip():
        return _MAX_TOKENS
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigurationError(
            f"the environment variable {_MAX_TOKENS_VARIABLE} is {text!r}. Give a whole number "
            "above 0."
        )
    return int(text)


def _turns(request: Request) -> list[dict[str, str]]:
    """The conversation as chat turns."""
    turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
    return [*turns, {"role": "user", "content": request.prompt}]


def _as_text(request: Request) -> str:
    """The conversation as one text, for a model without chat turns."""
    return as_text(request.messages) + request.prompt
