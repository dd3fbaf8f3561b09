"""Constrained decoding: a language model that can generate only lists of given titles.

Generation follows a token trie of the titles, so a list cannot contain any other title. Constraints
do not make a list more relevant: an invented title may just become a wrong item, so the audit also
reports utility.

Source: constrained decoding over a trie of entity names, GENRE (De Cao et al. 2021); see
docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from auditkit.engine.constraint import Constraint
from auditkit.engine.generation import Generated, end_tokens
from auditkit.engine.title_decoding import TitleLists
from auditkit.engine.title_trie import TitleTrie, build_trie
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.prompting.token_encoding import control_tokens, decode
from auditkit.types import RankedItem, Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


__all__ = [
    "ConstrainedRecommender",
    "Written",
    "by_temperature",
    "openings_of",
    "title_tokens",
    "title_trie",
]


class Written(NamedTuple):
    """A generated text, and the number of tokens of its prompt."""

    generated: Generated
    n_prompt: int


SEPARATOR, BLANK = "\n", " "
_PAIRS, _CHUNK, _LINES = 1000, 10_000, 20


def by_temperature(requests: Sequence[Request], rows: Sequence[int]) -> Iterator[list[int]]:
    """Yield the indices of requests with equal temperature, lowest temperature first."""
    for temperature in sorted({requests[i].temperature for i in rows}):
        yield [i for i in rows if requests[i].temperature == temperature]


def title_tokens(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the concatenated token ids of all texts and the number of tokens of each text. Control
    tokens in a text are encoded as plain text.
    """
    parts, lengths = [], []
    with control_tokens(tokenizer, meant=False) as backend:
        for begin in range(0, len(texts), _CHUNK):
            rows = backend.encode_batch(
                list(texts[begin : begin + _CHUNK]), add_special_tokens=False
            )
            lengths += [len(row.ids) for row in rows]
            parts.append(np.array([token for row in rows for token in row.ids], np.int32))
    return np.concatenate(parts), np.array(lengths, np.int64)


def openings_of(k: int, *, numbered: bool) -> list[str]:
    """Return the marker before each of the k titles of a list: its number, or a dash."""
    return [f"{place + 1}." if numbered else "-" for place in range(k)]


def title_trie(
    tokenizer: PreTrainedTokenizerFast, titles: Sequence[str], *, numbered: bool
) -> tuple[TitleTrie, int]:
    """Build the trie of the titles, each with a leading space, and find the line separator token.

    Args:
        numbered: whether every line of a list begins with its number instead of a dash.

    Raises:
        TargetUnavailable: the tokenizer does not encode a line break as a separate token (tested on
            1,000 random pairs of titles), or a title contains a line break.
    """
    tokens, lengths = title_tokens(tokenizer, [BLANK + title for title in titles])
    separator = _separator(tokenizer, titles, openings_of(_LINES, numbered=numbered))
    broken = np.isin(tokens, [separator])
    if broken.any():
        title = titles[int(np.repeat(np.arange(len(titles)), lengths)[broken][0])]
        raise TargetUnavailable(
            f"the title {title!r} contains a line break. Remove the line break."
        )
    return build_trie(tokens, lengths, vocabulary=len(tokenizer)), separator


def _separator(
    tokenizer: PreTrainedTokenizerFast, titles: Sequence[str], openings: Sequence[str]
) -> int:
    """Id of the single token that separates two lines of a list, each of which is an opening
    followed by a title.
    """
    draw = random.Random(0)
    places = [draw.randrange(len(openings) - 1) for _ in range(_PAIRS)]
    columns = [
        [openings[place] for place in places],
        [BLANK + draw.choice(titles) for _ in places],
        [openings[place + 1] for place in places],
        [BLANK + draw.choice(titles) for _ in places],
    ]
    whole = [f"{a}{b}{SEPARATOR}{c}{d}" for a, b, c, d in zip(*columns, strict=True)]
    with control_tokens(tokenizer, meant=False) as backend:
        encoded = [
            [row.ids for row in backend.encode_batch(texts, add_special_tokens=False)]
            for texts in (*columns, whole)
        ]
    found = set()
    for a, b, c, d, both in zip(*encoded, strict=True):
        first, second = [*a, *b], [*c, *d]
        middle = both[len(first) : len(both) - len(second)]
        apart = both == [*first, *middle, *second]
        found.add(tuple(middle) if apart else ())
    if len(found) != 1 or len(next(iter(found))) != 1:
        raise TargetUnavailable(
            "the tokenizer does not encode a line break between two titles as a separate token, "
            "which constrained decoding needs. Use a model whose tokenizer does."
        )
    return int(found.pop()[0])


class TextModel(Protocol):
    """A local language model that supports constrained decoding."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    def room(self, request: Request) -> int | None:
        """Number of tokens that fit after the prompt of a request; None if unlimited."""
        ...

    def write_within(
        self, requests: Sequence[Request], constraint: Constraint, *, max_new_tokens: int
    ) -> list[Written]:
        """Generate one text per request under a constraint; all requests have the same
        temperature.
        """
        ...


class ConstrainedRecommender:
    """Recommends only the given titles, by constrained decoding of a local language model.

    Args:
        model: generates the lists; its tokenizer must have an end-of-sequence token.
        titles: titles that may be listed; duplicates are dropped.

    Raises:
        TargetUnavailable: the model has no end-of-sequence token, or its tokenizer has no separate
            token for line breaks.
    """

    def __init__(self, model: TextModel, titles: Sequence[str]) -> None:
        self.name = f"{model.name}, titles of the catalog only"
        self.titles = tuple(dict.fromkeys(titles))
        self.escapes = 0
        self._model = model
        # A chat model writes the numbered list that the prompt requests; without numbers, it would
        # begin with titles that start with a number. Other models continue the list of the prompt.
        self._numbered = bool(model.tokenizer.chat_template)
        self.trie, self._separator = title_trie(
            model.tokenizer, self.titles, numbered=self._numbered
        )
        self._ends = tuple(sorted(end_tokens(model.model) - {self._separator}))
        if not self._ends:
            raise TargetUnavailable(
                f"{model.name} has no end-of-sequence token. Set eos_token_id in its "
                "generation_config.json."
            )

    def recommend(
        self,
        requests: Sequence[Request],
        *,
        allowed: Callable[[Request], NDArray[np.bool_]] | None = None,
    ) -> list[Response]:
        """Generate lists of k titles.

        Args:
            requests: requests with rendered prompts.
            allowed: returns which of `titles` may be listed for a request, bool [titles]. Each
                title is then listed at most once, and a list ends early when no allowed title is
                left. None allows every title, with repeats.
        """
        answers: dict[int, Response] = {}
        for rows in by_temperature(requests, range(len(requests))):
            asked = [requests[i] for i in rows]
            openings = self._openings(max(request.k for request in asked))
            lists = TitleLists(
                self.trie,
                self._separator,
                self._ends,
                [request.k for request in asked],
                openings,
                None if allowed is None else self._open_leaves(asked, allowed),
            )
            limit = self._limit(asked, openings)
            try:
                written = self._model.write_within(asked, lists, max_new_tokens=limit)
            finally:
                self.escapes += lists.escapes
            for i, request, one in zip(rows, asked, written, strict=True):
                titles = self._titles(one.generated, openings)
                answers[i] = self._read(request, one.generated, titles, n_prompt=one.n_prompt)
        return [answers[i] for i in range(len(requests))]

    def _open_leaves(
        self, requests: Sequence[Request], allowed: Callable[[Request], NDArray[np.bool_]]
    ) -> Callable[[int], NDArray[np.bool_]]:
        order = self.trie.title_of
        return lambda row: allowed(requests[row])[order]

    def _openings(self, k: int) -> list[list[int]]:
        texts = openings_of(k, numbered=self._numbered)
        tokens, lengths = title_tokens(self._model.tokenizer, texts)
        ends = np.cumsum(lengths)
        return [tokens[end - n : end].tolist() for n, end in zip(lengths, ends, strict=True)]

    def _limit(self, requests: Sequence[Request], openings: Sequence[Sequence[int]]) -> int:
        """Maximum number of tokens to generate: k times the longest title, within the model's
        context.
        """
        wanted = len(openings) * self.trie.depth + sum(map(len, openings))
        rooms = [room for r in requests if (room := self._model.room(r)) is not None]
        return max(1, min([wanted, *rooms]))

    def _titles(self, generated: Generated, openings: Sequence[Sequence[int]]) -> list[str]:
        """Return the titles of a constrained text, without a truncated last title."""
        lines: list[list[int]] = [[]]
        for token in generated.ids:
            if token == self._separator:
                lines.append([])
            else:
                lines[-1].append(token)
        whole = lines[:-1] if generated.cut else lines
        found = [
            self.trie.find(line[len(opening) :])
            for line, opening in zip(whole, openings, strict=False)
        ]
        return [self.titles[title] for title in found if title is not None]

    def _read(
        self, request: Request, generated: Generated, titles: Sequence[str], *, n_prompt: int
    ) -> Response:
        return Response(
            request_id=request.id,
            status="truncated" if generated.cut else "ok" if titles else "no_answer",
            text=decode(self._model.tokenizer, generated.ids),
            items=tuple(RankedItem(raw=title) for title in titles),
            usage={"prompt_tokens": n_prompt, "completion_tokens": len(generated.ids)},
            derived={"cut": True} if generated.cut else {},
        )
