"""A language model that can write nothing but lists of given titles.

The titles become a token trie; generation follows it, so no answer can name anything else. A forced
title is no better founded than a free one: it turns an honest miss into a wrong item, which is why
the audit shows utility beside it.

Source: hallucination recipe, section 6; constrained beam search over a trie of names is GENRE
(De Cao et al. 2021).
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
    """A text, and the number of tokens that it was written behind."""

    generated: Generated
    n_prompt: int


SEPARATOR, BLANK = "\n", " "
_PAIRS, _CHUNK, _LINES = 1000, 10_000, 20


def by_temperature(requests: Sequence[Request], rows: Sequence[int]) -> Iterator[list[int]]:
    """The rows of requests that share a temperature, coldest first."""
    for temperature in sorted({requests[i].temperature for i in rows}):
        yield [i for i in rows if requests[i].temperature == temperature]


def title_tokens(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Token ids of all texts one behind the other, and the number of tokens of each; what looks
    like a control token is text.
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
    """What stands before each of k titles: its number, or a dash."""
    return [f"{place + 1}." if numbered else "-" for place in range(k)]


def title_trie(
    tokenizer: PreTrainedTokenizerFast, titles: Sequence[str], *, numbered: bool
) -> tuple[TitleTrie, int]:
    """The trie of the titles, each with the blank before it, and the token that separates lines.

    Args:
        numbered: whether the lines of a list begin with their number, else with a dash.

    Raises:
        TargetUnavailable: a line break is no token of its own: among 1,000 random pairs of titles
            one is tokenised otherwise on two lines than each alone, or a title holds one.
    """
    tokens, lengths = title_tokens(tokenizer, [BLANK + title for title in titles])
    separator = _separator(tokenizer, titles, openings_of(_LINES, numbered=numbered))
    if np.isin(tokens, [separator]).any():
        raise TargetUnavailable("a title of the catalog holds a line break. Take it out.")
    return build_trie(tokens, lengths, vocabulary=len(tokenizer)), separator


def _separator(
    tokenizer: PreTrainedTokenizerFast, titles: Sequence[str], openings: Sequence[str]
) -> int:
    """The one token between opening, title and opening, title of two lines."""
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
            "the tokenizer does not keep a line break apart from the titles around it, so lists "
            "of titles cannot be followed token by token."
        )
    return int(found.pop()[0])


class TextModel(Protocol):
    """A local language model that can write under a constraint."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    def room(self, request: Request) -> int | None:
        """How many tokens fit after a request's prompt; None means without limit."""
        ...

    def write_within(
        self, requests: Sequence[Request], constraint: Constraint, *, max_new_tokens: int
    ) -> list[Written]:
        """Texts that a constraint allows, each up to its end; all at one temperature."""
        ...


class ConstrainedRecommender:
    """Lists of given titles by a local language model.

    Args:
        model: writes text, and names a token that ends it.
        titles: what may be listed; equal ones count once.

    Raises:
        TargetUnavailable: the model cannot end a text, or its tokenizer cannot separate titles.
    """

    def __init__(self, model: TextModel, titles: Sequence[str]) -> None:
        self.name = f"{model.name}, titles of the catalog only"
        self.titles = tuple(dict.fromkeys(titles))
        self.escapes = 0
        self._model = model
        # A chat model writes the numbered list that it is asked for; unnumbered, it begins with
        # titles that look like a number. Others go on with the list of their prompt.
        self._numbered = bool(model.tokenizer.chat_template)
        self.trie, self._separator = title_trie(
            model.tokenizer, self.titles, numbered=self._numbered
        )
        self._ends = tuple(sorted(end_tokens(model.model) - {self._separator}))
        if not self._ends:
            raise TargetUnavailable(
                f"{model.name} names no token that ends a text. Set eos_token_id in its "
                "generation_config.json."
            )

    def recommend(
        self,
        requests: Sequence[Request],
        *,
        allowed: Callable[[Request], NDArray[np.bool_]] | None = None,
    ) -> list[Response]:
        """Lists of k titles each.

        Args:
            requests: with rendered prompts.
            allowed: which of `titles` may be listed for a request, bool [titles]; then each of them
                at most once, and a list ends early where nothing is left. Without it every title
                may follow, repeats too.
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
        """Tokens of k longest titles, as far as the model has room for them."""
        wanted = len(openings) * self.trie.depth + sum(map(len, openings))
        rooms = [room for r in requests if (room := self._model.room(r)) is not None]
        return max(1, min([wanted, *rooms]))

    def _titles(self, generated: Generated, openings: Sequence[Sequence[int]]) -> list[str]:
        """The titles of a text that followed the trie; one that a limit cut is left out."""
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
