"""What a recommender can do: small protocols, checked at run time, batch in, batch out, same length
and order.

An adapter asks once and raises `TargetError`; retry, batching, caching, deadlines and linking
belong to the Target.
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
    "Rechecks",
    "Recommends",
    "Remote",
    "Renders",
    "RunNotes",
    "Scores",
    "Sized",
    "TokenScores",
    "Works",
    "WritesTitles",
]


Operation = Literal["recommend", "generate", "score"]


class NotRun:
    """The answer of a recorded run that holds none for a request: it counts as never asked."""


NOT_RUN: Final = NotRun()
RawResponse = Response | str | Sequence[str] | NotRun | None


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
    """A prompt about one item and every answer that it may get."""

    prompt: str
    options: tuple[str, ...]


@runtime_checkable
class Recommends(Protocol):
    """Requests in, ranked lists out: a Response, raw text to parse, titles best first, or None for
    no answer.
    """

    name: str

    def recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Answer every request."""
        ...


@runtime_checkable
class Generates(Protocol):
    """Prompts in, texts out. Temperature 0 is greedy; one seed per prompt otherwise."""

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
class Scores(Protocol):
    """Log-probabilities in nats of continuations given prompts."""

    def score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[TokenScores]]:
        """Score every continuation of every prompt."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Texts in, vectors [n, d] out."""

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
    """A language model in this process, which ranks given items by their log-probability."""

    n_parameters: int


@runtime_checkable
class Renders(Protocol):
    """A recommender with its own prompt templates; others are asked in the shipped ones."""

    prompts: Prompts

    def render(self, request: Request) -> str:
        """The prompt of a request."""
        ...

    def reference(self, item: Item) -> str:
        """How an item is written as a continuation of a prompt."""
        ...


@runtime_checkable
class Describes(Protocol):
    """A recommender that was taught to state an item's genres and year in its own words."""

    def describe_prompt(self, item: Item) -> str:
        """The prompt that asks for one item's genres and year."""
        ...


@runtime_checkable
class Judges(Protocol):
    """A recommender that can be asked about one item at a time, such as for a rating or a yes."""

    def item_question(
        self, task: str, request: Request, item: Item, *, disliked: Sequence[Item] = ()
    ) -> ItemQuestion | None:
        """The prompt about one item, and its possible answers; None for a task it does not know.

        Args:
            task: such as `rating` or `like`.
            request: its history holds the items that the user liked, for `like`.
        """
        ...


@runtime_checkable
class Remote(Protocol):
    """A recommender behind a network: one question per call, many at a time.

    It asks once and raises `TargetError`; retries, waiting and deadlines are the Target's.
    """

    async def answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        """Answer one question."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class WritesTitles(Protocol):
    """A recommender whose every list holds only titles of `titles`."""

    name: str
    titles: tuple[str, ...]

    def recommend(
        self,
        requests: Sequence[Request],
        *,
        allowed: Callable[[Request], NDArray[np.bool_]] | None = None,
    ) -> Sequence[Response]:
        """Lists of titles.

        Args:
            allowed: which of `titles` may be listed for a request, bool [titles]; without it every
                title may follow, repeats too.
        """
        ...


@runtime_checkable
class Constrains(Protocol):
    """A model in this process that can be made to write nothing but given titles."""

    def restricted_to(self, titles: Sequence[str]) -> WritesTitles:
        """The same model, restricted.

        Raises:
            TargetUnavailable: it cannot be, and why.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """Knows how much it can read and write."""

    def room(self, request: Request) -> int | None:
        """Tokens that fit behind a rendered request; None where there is no limit."""
        ...


@runtime_checkable
class Rechecks(Protocol):
    """Scores the same by the plainest computation, so that fast scores can be checked."""

    def rescore(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[TokenScores]]:
        """Score every continuation of every prompt, one forward each."""
        ...


@runtime_checkable
class Estimates(Protocol):
    """Knows beforehand what scoring will cost."""

    def cost(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Mapping[str, float]:
        """Tokens of one forward per pair (`tokens_asked`), to be forwarded (`tokens`), and about
        how many `seconds` that takes.
        """
        ...


@runtime_checkable
class Works(Protocol):
    """Counts what it computed."""

    def work(self) -> Mapping[str, int]:
        """Forwards, tokens forwarded, distinct tokens asked for; since it was loaded."""
        ...


@runtime_checkable
class RunNotes(Protocol):
    """Has something to say at the end of a run."""

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
)
