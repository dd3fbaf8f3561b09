"""A local chat endpoint that re-ranks the candidates in its prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager

from recorded_server import answering

_BLOCK = re.compile(r"(?:^- .*\n?)+", re.MULTILINE)


def candidates_in(prompt: str) -> list[str]:
    """The titles of the last list of a prompt; the first one is the history."""
    blocks = _BLOCK.findall(prompt)
    return [line.removeprefix("- ") for line in blocks[-1].splitlines()] if blocks else []


@contextmanager
def ranking(choose: Callable[[Sequence[str]], Sequence[str]]):
    """A running server: (base URL, prompts of the requests that it saw).

    Args:
        choose: from the candidates in a prompt to the titles of the answer.
    """
    prompts: list[str] = []

    def respond(path, body):
        if not path.endswith("/chat/completions"):
            return 404, {"error": {"message": "no such route"}}
        prompt = body["messages"][-1]["content"]
        if not candidates_in(prompt):  # a capability check
            return _completion("Hello!", prompt)
        prompts.append(prompt)
        titles = choose(candidates_in(prompt))
        listed = "\n".join(f"{n}. {title}" for n, title in enumerate(titles, start=1))
        return _completion(listed, prompt)

    with answering(respond) as (url, _):
        yield url, prompts


def _completion(text: str, prompt: str):
    message = {"role": "assistant", "content": text}
    return {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4},
    }


def write_pipeline(path, target: str, *, n: int = 20, more: str = "", first="baseline:item-knn"):
    """Write a pipeline of item-kNN and a ranking stage; returns the TARGET."""
    path.write_text(
        "version: 1\nstages:\n"
        f'  - {{name: retrieval, target: "{first}", n: {n}}}\n'
        f'  - {{name: ranking, target: "{target}"{more}}}\n',
        encoding="utf-8",
    )
    return f"pipeline:{path}"
