"""Protocols for the capabilities of a recommender, checked at run time.

Every method takes a batch and returns a batch of the same length and order. An adapter makes one
attempt per call and raises `TargetError`; the Target handles retries, batching, caching, deadlines
and linking.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

from auditkit.types import Item, Request, Response

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from auditkit.recommenders.prompting.prompts import Prompts

__all__ = [
    "CAPABILITIES",
    "NOT_RUN",
    "Bounded",
    "Constrains",
    "Converses",
    "Describes",
    "Differentiable",
    "Embeds",
    "Estimates",
    "Generates",
    "ItemQuestion",
    "Judges",
    "NotRun",
    "Operation",
    "RawResponse",
    "RawTurn",
    "Rechecks",
    "Recommends",
    "Remote",
    "Renders",
    "RunNotes",
    "Scores",
    "Sized",
    "Staged",
    "TokenMoments",
    "TokenScores",
    "Works",
    "WritesTitles",
]


Operation = Literal["recommend", "generate", "score", "converse"]


class NotRun:
    """Sentinel for a request without a recorded response; it is reported as `not_run`."""


NOT_RUN: Final = NotRun()
RawResponse = Response | str | Sequence[str] | NotRun | None
# The next turn of an assistant: its text, or an OpenAI-style message with `content`, `tool_calls`.
RawTurn = Response | str | Mapping[str, Any] | None


@dataclass(frozen=True)
class TokenScores:
    """Log-probabilities of a continuation's tokens, nats, each <= 0."""

    tokens: tuple[float, ...]

    @property
    def total(self) -> float:
        """Sum over tokens, nats."""
        return float(sum(self.tokens))

    @property
    def mean(self) -> float:
        """Mean per token, nats."""
        return self.total / len(self.tokens)


class ItemQuestion(NamedTuple):
    """A prompt about one item, and all permitted answers."""

    prompt: str
    options: tuple[str, ...]


@runtime_checkable
class Recommends(Protocol):
    """Returns one ranked list per request: a Response, raw text to parse, or titles, best first;
    None if there is no response.
    """

    name: str

    def recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Recommend items for every request."""
        ...


@runtime_checkable
class Generates(Protocol):
    """Continues prompts. Temperature 0 is greedy decoding; otherwise each prompt has a seed."""

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
    ) -> Sequence[str]:
        """Continue every prompt."""
        ...


@runtime_checkable
class Converses(Protocol):
    """Writes the next turn of a conversation, and may call tools.

    `request.messages` are the earlier turns. `request.prompt` is the user's new turn; it is empty
    if the last turn is the result of a tool. `tools` are OpenAI-style descriptions of the functions
    that may be called: a turn calls them by `tool_calls`, auditkit executes them, and requests the
    next turn with their results. An object that executes tools of its own returns a Response whose
    `trace` has `name`, `arguments` and `result` of every call (`auditkit.conversations.ToolLog`).
    """

    name: str

    def converse(
        self, requests: Sequence[Request], *, tools: Sequence[Mapping[str, Any]]
    ) -> Sequence[RawTurn]:
        """Write the next turn of every conversation."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Computes log-probabilities, in nats, of continuations given prompts."""

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[TokenScores]]:
        """Score every continuation of every prompt."""
        ...


@runtime_checkable
class TokenMoments(Protocol):
    """A model in this process that computes, from its whole next-token distribution, the mean and
    the standard deviation of the next-token log-probability at every position.
    """

    def token_moments(
        self, prompts: Sequence[str], continuations: Sequence[str]
    ) -> Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """For every token of each prompt's continuation, return the mean and the standard deviation
        of the model's next-token log-probability at this position, [tokens] each, in nats.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """Computes text embeddings [n, d]."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed every text."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """A torch model with its tokenizer."""

    model: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase


@runtime_checkable
class Sized(Protocol):
    """A language model in this process that ranks given items by their log-probability."""

    n_parameters: int


@runtime_checkable
class Renders(Protocol):
    """A recommender with its own prompt templates. Other recommenders get the shipped templates."""

    prompts: Prompts

    def render(self, request: Request) -> str:
        """Render the prompt of a request."""
        ...

    def reference(self, item: Item) -> str:
        """Text of an item as a continuation of a prompt."""
        ...


@runtime_checkable
class Describes(Protocol):
    """A recommender that was trained to state an item's genres and year in its own format."""

    def describe_prompt(self, item: Item) -> str:
        """The prompt that asks for one item's genres and year."""
        ...


@runtime_checkable
class Judges(Protocol):
    """A recommender with pointwise tasks: for one item, predict a rating or a yes/no answer."""

    def item_question(
        self, task: str, request: Request, item: Item, *, disliked: Sequence[Item] = ()
    ) -> ItemQuestion | None:
        """Return a prompt about one item with its permitted answers; None for an unsupported task.

        Args:
            task: name of the task, such as `rating` or `like`.
            request: for `like`, its history contains the items that the user liked.
            disliked: items that the user disliked, for prompts that list them.
        """
        ...


@runtime_checkable
class Remote(Protocol):
    """A recommender that is called over a network: one request per call, many calls at a time.

    `answer` makes one attempt and raises `TargetError` if it fails; the Target handles retries,
    waits and deadlines.
    """

    async def answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        """Execute one call."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class WritesTitles(Protocol):
    """A recommender whose lists contain only titles of `titles`."""

    name: str
    titles: tuple[str, ...]

    def recommend(
        self,
        requests: Sequence[Request],
        *,
        allowed: Callable[[Request], NDArray[np.bool_]] | None = None,
    ) -> Sequence[Response]:
        """Generate lists of titles.

        Args:
            allowed: returns which of `titles` may be listed for a request, bool [titles]; None
                allows every title, with repeats.
        """
        ...


@runtime_checkable
class Constrains(Protocol):
    """A model in this process whose decoding can be constrained to given titles."""

    def restricted_to(self, titles: Sequence[str]) -> WritesTitles:
        """Return a recommender that generates only these titles with this model.

        Raises:
            TargetUnavailable: the model cannot be restricted; the message says why.
        """
        ...


@runtime_checkable
class Staged(Protocol):
    """A recommender of several stages, whose responses have a trace with one entry per stage.

    Attributes:
        stages: names of the stages that return items, in the order in which they run.
    """

    stages: tuple[str, ...]

    def planned_prompt(self, request: Request) -> str:
        """Return the prompt of a rendered request, filled to the length that it will have with
        candidates.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """Reports how many tokens fit into its context."""

    def room(self, request: Request) -> int | None:
        """Number of tokens that fit after a rendered request; None if unlimited."""
        ...


@runtime_checkable
class Rechecks(Protocol):
    """Recomputes scores with one forward pass per score, to check the optimized executor."""

    def rescore(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[TokenScores]]:
        """Score every continuation of every prompt with its own forward pass."""
        ...


@runtime_checkable
class Estimates(Protocol):
    """Estimates how many tokens and seconds scoring will take."""

    def cost(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Mapping[str, float]:
        """Estimated cost: `tokens_asked`, the tokens if every pair had its own forward pass;
        `tokens`, those that will be computed; and `seconds`.
        """
        ...


@runtime_checkable
class Works(Protocol):
    """Counts the computations of its models."""

    def work(self) -> Mapping[str, int]:
        """Number of forward passes, computed tokens and distinct requested tokens since loading."""
        ...


@runtime_checkable
class RunNotes(Protocol):
    """Provides notes for the summary of a run."""

    def run_notes(self, answered: Collection[str]) -> Sequence[str]:
        """Notes for the reader of the result.

        Args:
            answered: ids of all requests with a record.
        """
        ...


CAPABILITIES: tuple[type, ...] = (
    Recommends,
    Generates,
    Scores,
    Embeds,
    Differentiable,
    Renders,
    Describes,
    Judges,
    Staged,
    Converses,
)
