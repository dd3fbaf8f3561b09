"""Recommenders that count the tokens of a prompt, at four characters each."""

from __future__ import annotations

from collections.abc import Sequence

from planted_recommenders import Clean, FailsEveryThird

from auditkit.types import Request, Response


class ReportsTokens(Clean):
    """Counts a hidden system prompt as well; with a window, cuts longer prompts in silence."""

    def __init__(self, *, hidden: int = 0, window: int | None = None) -> None:
        self.hidden, self.window = hidden, window

    def recommend(self, requests: Sequence[Request]) -> list[Response]:  # type: ignore[override]
        return [
            Response(
                request_id=request.id, status="ok", text="\n".join(self.answer(request)),
                usage={"prompt_tokens": self.tokens(request)},
            )
            for request in requests
        ]  # fmt: skip

    def tokens(self, request: Request) -> int:
        n_tokens = self.hidden + len(request.prompt) // 4
        return n_tokens if self.window is None else min(n_tokens, self.window)


class CountsAndFails(ReportsTokens, FailsEveryThird):
    """Counts tokens, and a third of all requests raise."""
