"""`openai:BASE_URL#MODEL`: any server that speaks the OpenAI protocol (vLLM, llama.cpp, Ollama,
LiteLLM).

What a server can do is found by asking, never by its name: chat or plain completions, and
log-probabilities of given text (`echo`), without which nothing can be scored there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

from pydantic import JsonValue

from auditkit.canonical import sha256_json
from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.completion import response_to, saying
from auditkit.recommenders.echo import behind
from auditkit.recommenders.event_loop import EventLoop
from auditkit.recommenders.patience import Patience
from auditkit.recommenders.prompts import as_text
from auditkit.recommenders.protocols import TokenScores
from auditkit.recommenders.questions import Operation
from auditkit.recommenders.server import NO_ROUTE, Server
from auditkit.types import Request, Response

__all__ = ["Endpoint", "ScoringEndpoint", "connect"]

T = TypeVar("T")
KEY_VARIABLE = "AUDITKIT_API_KEY_ENV"
_MAX_TOKENS = 512
_PAIR = ("The capital of France is", " Paris")


class Endpoint:
    """A served model.

    Attributes:
        name: the model's. chat: whether it takes turns, else plain prompts.
        patience: how hard and how fast it may be asked.
        noise: largest difference of one text scored twice, nats; None where nothing was scored.
    """

    batch_invariant = True

    def __init__(self, target: str) -> None:
        base, _, model = target.partition("#")
        if not base or not model:
            raise TargetUnavailable(
                f"openai:{target} names no server and model. Write openai:https://HOST/v1#MODEL."
            )
        self.name, self._base = model, base.rstrip("/")
        self._variable = os.environ.get(KEY_VARIABLE, "OPENAI_API_KEY")
        self._server = Server(self._base, key=os.environ.get(self._variable, ""))
        self.patience = Patience.from_environment(os.environ)
        self.chat = True
        self.noise: float | None = None

    def fingerprint(self) -> str:
        """SHA-256 of address and model name; what stands behind them cannot be verified."""
        return sha256_json(["openai", self._base, self.name])

    async def answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        """Ask once.

        Raises:
            TargetError: with the run log's reason for what went wrong.
        """
        if operation == "score":
            return await self._score(request, parameters["continuations"])
        limit = parameters.get("max_new_tokens", _MAX_TOKENS)
        result = await self._complete(request, max_tokens=limit)
        completion = saying(result, chat=self.chat)
        return response_to(request, completion, listed=operation == "recommend")

    async def _complete(self, request: Request, *, max_tokens: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "temperature": request.temperature,
            "seed": request.seed % 2**31,
            "max_tokens": max_tokens,
        }
        if self.chat:
            turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
            turns.append({"role": "user", "content": request.prompt})
            return await self._server.post("/chat/completions", {**body, "messages": turns})
        return await self._server.post("/completions", {**body, "prompt": _as_text(request)})

    async def _score(self, request: Request, continuations: Sequence[str]) -> Response:
        tokens: list[JsonValue] = []
        for text in continuations:
            tokens.append([*await self._echo(_as_text(request), text)])
        return Response(request_id=request.id, status="ok", derived={"tokens": tokens})

    async def _echo(self, prompt: str, continuation: str) -> list[float]:
        """Nats of the continuation's tokens."""
        body = {
            "model": self.name,
            "prompt": prompt + continuation,
            "max_tokens": 1,
            "echo": True,
            "logprobs": 1,
            "temperature": 0,
        }
        return behind(continuation, await self._server.post("/completions", body))

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    # --- the same as plain calls, each asked once

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Ask for lists."""
        return self._run(*[self.answer("recommend", request, {}) for request in requests])

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> list[str]:
        """Ask for texts."""
        requests = [
            Request(prompt=prompt, temperature=temperature, seed=seed)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        limit = {"max_new_tokens": max_new_tokens}
        answers = self._run(*[self.answer("generate", request, limit) for request in requests])
        return [answer.text or "" for answer in answers]

    def _run(self, *asked: Coroutine[Any, Any, T]) -> list[T]:
        async def all_of_them() -> list[T]:
            try:
                async with asyncio.timeout(self.patience.seconds * max(1, len(asked))):
                    return list(await asyncio.gather(*asked))
            except TimeoutError:
                raise TargetError("deadline", detail="no whole answer in time") from None
            finally:
                await self.close()

        with closing(EventLoop()) as loop:
            return loop.run(all_of_them())


class ScoringEndpoint(Endpoint):
    """A served model that also gives log-probabilities of given text."""

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[TokenScores]]:
        """Log-probabilities of every continuation, nats per token."""
        asked = [
            self.answer("score", Request(prompt=prompt), {"continuations": list(options)})
            for prompt, options in zip(prompts, continuations, strict=True)
        ]
        return [
            [TokenScores(tuple(tokens)) for tokens in response.derived["tokens"]]  # type: ignore[union-attr, arg-type]
            for response in self._run(*asked)
        ]


def _as_text(request: Request) -> str:
    """The whole conversation for a model without turns."""
    return as_text(request.messages) + request.prompt


def connect(target: str) -> Endpoint:
    """Ask a server what it can do: chat, else completions; then scores.

    Raises:
        TargetUnavailable: it refuses the first request; the message names the setting to change.
    """
    endpoint = Endpoint(target)
    hello = Request(prompt="Name one film.", k=1)
    try:
        endpoint._run(endpoint.answer("generate", hello, {"max_new_tokens": 8}))
    except TargetError as error:
        if not error.detail.endswith(NO_ROUTE):
            raise TargetUnavailable(_explained(endpoint, error)) from None
        endpoint.chat = False
        try:
            endpoint._run(endpoint.answer("generate", hello, {"max_new_tokens": 8}))
        except TargetError as second:
            raise TargetUnavailable(_explained(endpoint, second)) from None
    return _with_scores(target, endpoint)


def _with_scores(target: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint with its scoring capability, if one text scored twice gives numbers."""
    prompt, continuation = _PAIR
    try:
        once, again = (endpoint._run(endpoint._echo(prompt, continuation))[0] for _ in range(2))
    except TargetError:
        return endpoint
    scoring = ScoringEndpoint(target)
    scoring.chat = endpoint.chat
    scoring.noise = abs(sum(once) - sum(again))
    return scoring


def _explained(endpoint: Endpoint, error: TargetError) -> str:
    """What the server refused, and which setting to look at."""
    remedy = {
        "auth": f"Put a valid key into the environment variable {endpoint._variable}.",
        "redirect": "Give the address that it redirects to; redirects are not followed.",
        "connection": "Is the server running, and the address right?",
        "deadline": "Is the model still being loaded? Start again.",
        "http_5xx": "The server is in trouble; start again when it answers.",
        "rate_limited": "Start again later, or set AUDITKIT_REQUESTS_PER_MINUTE.",
        "tls": "Its certificate is not valid; verification cannot be switched off.",
    }.get(error.reason, f"Check the address and the model name {endpoint.name!r}.")
    return f"{endpoint._base} refuses the first request ({error}). {remedy}"
