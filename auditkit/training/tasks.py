"""Training tasks, each of which turns a sample of the data into one training row.

A task samples windows of a user's history, single interactions, or items. Its text comes from the
templates, which are copied to the model folder, so that audits use the prompts of training.

Sources: P5 (Geng et al. 2022) for sequential, direct, rating and explanation; TALLRec (Bao et al.
2023) for `like`; InstructRec (Zhang et al. 2023) for preference, intention and rerank; PTUM (Wu et
al. 2020) for `masked_behavior`; UniSRec (Hou et al. 2022) for `match`. MovieLens has no reviews, so
titles, descriptions and explanations are written from the catalog.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from auditkit.errors import ConfigurationError
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.training.batches import NO_TARGET, AnyRow, Masked, Pair, Row
from auditkit.training.history_sampling import HistoryWindow, Source
from auditkit.types import Item, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MASK_ITEM", "TASKS", "Task"]

MASK_ITEM = "?hidden?"  # placeholder of a masked item in a history
_RECENT = 10  # number of history items in a prompt about one item
_LISTED = 10  # number of candidates in a prompt that lists them
_MASKED_SHARE = 0.15
_LIKED = 3.0  # ratings above it are likes


class _Rows(Protocol):
    """What tasks read: users' histories, the catalog, the templates and their tokens."""

    @property
    def prompts(self) -> Prompts: ...
    @property
    def items_noun(self) -> str: ...
    @property
    def encoder_decoder(self) -> bool: ...
    @property
    def counterfactuals(self) -> bool: ...
    def item(self, row: int) -> Item: ...
    def row_of(self, item: Item) -> int: ...
    def items_of(self, drawn: HistoryWindow) -> list[Item]: ...
    def ratings_of(self, drawn: HistoryWindow) -> NDArray[np.float32]: ...
    def stated(self, user: int, rng: np.random.Generator) -> dict[str, str]: ...
    def counterfactual(
        self, stated: Mapping[str, str], rng: np.random.Generator
    ) -> dict[str, str] | None: ...
    def candidates(
        self, user: int, target: Item, n: int, rng: np.random.Generator
    ) -> list[Item]: ...
    def genres(self, item: Item) -> set[str]: ...
    def one_genre(self, item: Item, rng: np.random.Generator) -> str: ...
    def values(self, row: int) -> dict[str, str]: ...
    @property
    def shares(self) -> NDArray[np.float64]: ...
    @property
    def mask(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def encode_prompt(self, text: str) -> list[int]: ...
    def encode_items(self, items: Sequence[Item]) -> list[int]: ...
    def weights_of(self, items: Sequence[Item]) -> tuple[float, ...]: ...
    def ask(
        self, task: str, user: int, rng: np.random.Generator, **slots: str | Item | Sequence[Item]
    ) -> str: ...
    def item_row(
        self,
        task: str,
        target: Item,
        user: int,
        rng: np.random.Generator,
        **slots: str | Item | Sequence[Item],
    ) -> Row: ...
    def text_row(self, question: str, answer: str) -> Row: ...


@dataclass(frozen=True)
class Task:
    """A kind of training row.

    Attributes:
        source: what is sampled: history windows, single interactions (the last of a window), or
            items.
        kind: type of the rows.
        make: maps (all data, sample, generator) to a row.
        worded: whether its text is in the task section of the template file.
    """

    source: Source
    kind: type[AnyRow]
    make: Callable[[_Rows, Any, np.random.Generator], AnyRow]
    worded: bool = True


def _recommend(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Next items of a history window.

    For a decoder-only model every item is a target; an encoder-decoder reads one part of the window
    and generates the next items.
    """
    items, stated = rows.items_of(drawn), rows.stated(drawn.user, rng)
    wording = rows.prompts.recommend[rng.integers(len(rows.prompts.recommend))]
    k = int(rng.integers(1, 21))
    cut = int(rng.integers(1, len(items))) if rows.encoder_decoder else 0

    def head(attributes: Mapping[str, str], history: Sequence[Item]) -> str:
        request = Request(attributes=attributes, instruction=wording, k=k, history=tuple(history))
        return rows.prompts.render(request)

    if rows.prompts.history == "titles":
        return _titles(rows, head(stated, items), items)
    begin = rows.encode_prompt(head(stated, items[:cut]))
    targets = rows.encode_items(items[cut:])
    counterfactual: tuple[int, ...] = ()
    if rows.counterfactuals and (other := rows.counterfactual(stated, rng)) is not None:
        counterfactual = (*rows.encode_prompt(head(other, items[:cut])), *targets)
    weights = rows.weights_of(items[cut:])
    return Row((*begin, *targets), len(begin), counterfactual=counterfactual, weights=weights)


def _titles(rows: _Rows, text: str, items: Sequence[Item]) -> Row:
    """List of titles as text, with every token as a target."""
    first = text.index(f"- {items[0].title}")
    begin = rows.encode_prompt(text[:first])
    return Row((*begin, *rows.encode(text[first:] + "\n")), len(begin))


def _describe(rows: _Rows, item: int, rng: np.random.Generator) -> Row:
    wording = int(rng.integers(len(rows.prompts.describe)))
    question = rows.prompts.render_description(rows.item(item), wording=wording)
    return rows.text_row(question, rows.prompts.description.format(**rows.values(item)))


def _direct(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    *history, target = rows.items_of(drawn)
    listed = rows.candidates(drawn.user, target, _LISTED, rng)
    return rows.item_row("direct", target, drawn.user, rng, history=history, candidates=listed)


def _rating(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    *history, target = rows.items_of(_recent(drawn))
    question = rows.ask("rating", drawn.user, rng, history=history, item=target)
    stars = str(int(rows.ratings_of(drawn)[-1]))
    return rows.text_row(question, rows.prompts.answer("rating", rating=stars))


def _title(rows: _Rows, item: int, rng: np.random.Generator) -> Row:
    question = rows.prompts.ask("title", wording=int(rng.integers(2)), item=rows.item(item))
    return rows.text_row(question, rows.prompts.answer("title", title=rows.item(item).title))


def _explanation(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Explain an item by the latest history item with a shared genre, or by its description."""
    *history, target = rows.items_of(_recent(drawn))
    genres = rows.genres(target)
    shared = next((item for item in reversed(history) if genres & rows.genres(item)), None)
    if shared is None:
        return _describe(rows, rows.row_of(target), rng)
    question = rows.ask("explanation", drawn.user, rng, history=history, item=target)
    named = ", ".join(sorted(genres & rows.genres(shared)))
    return rows.text_row(question, rows.prompts.answer("explanation", shared=shared, genres=named))


def _preference(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Next item for a user, stating the favorite genres of the history."""
    *history, target = rows.items_of(drawn)
    counts = Counter(genre for item in history for genre in sorted(rows.genres(item)))
    named = " and ".join(genre for genre, _ in counts.most_common(2)) or rows.items_noun
    return rows.item_row("preference", target, drawn.user, rng, history=history, genres=named)


def _intention(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    *history, target = rows.items_of(drawn)
    genre = rows.one_genre(target, rng)
    return rows.item_row("intention", target, drawn.user, rng, history=history, genre=genre)


def _rerank(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    *history, target = rows.items_of(drawn)
    listed = rows.candidates(drawn.user, target, _LISTED, rng)
    return rows.item_row(
        "rerank", target, drawn.user, rng,
        history=history, candidates=listed, genre=rows.one_genre(target, rng),
    )  # fmt: skip


def _masked_behavior(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    items = rows.items_of(drawn)
    hidden = int(rng.integers(len(items)))
    shown = [*items[:hidden], Item(MASK_ITEM, ""), *items[hidden + 1 :]]
    return rows.item_row("masked_behavior", items[hidden], drawn.user, rng, history=shown)


def _like(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Yes or no for one item, given up to five liked and five disliked of the last ten items."""
    recent = _recent(drawn)
    *history, target = rows.items_of(recent)
    *stars, own = rows.ratings_of(recent)
    liked = [item for item, star in zip(history, stars, strict=True) if star > _LIKED][-5:]
    disliked = [item for item, star in zip(history, stars, strict=True) if star <= _LIKED][-5:]
    question = rows.ask("like", drawn.user, rng, liked=liked, disliked=disliked, item=target)
    begin = rows.encode_prompt(question)
    yes, no = (rows.encode(option) for option in rows.prompts.tasks["like"].options)
    if len(yes) != 1 or len(no) != 1:
        raise ConfigurationError(
            "Task `like` needs a yes and a no of one token each. Raise model.text_vocabulary."
        )
    return Row((*begin, *(yes if own > _LIKED else no)), len(begin), choices=(*yes, *no))


def _match(rows: _Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Pair:
    """Prompt of a user and the title of the next item."""
    *history, target = rows.items_of(_recent(drawn))
    request = Request(attributes=rows.stated(drawn.user, rng), history=tuple(history), k=10)
    share = float(np.log(rows.shares[rows.row_of(target)]))
    left = rows.encode(rows.prompts.render(request))
    return Pair(tuple(left), tuple(rows.encode(target.title)), share)


def _masked_text(rows: _Rows, item: int, rng: np.random.Generator) -> Masked:
    """Catalog text with masked tokens, as in BERT but without random replacements."""
    words = rows.prompts.description.format(**rows.values(item))
    ids = rows.encode(rows.item(item).title + words)
    hidden = rng.random(len(ids)) < _MASKED_SHARE
    hidden[rng.integers(len(ids))] = True
    shown = [rows.mask if h else token for token, h in zip(ids, hidden, strict=True)]
    targets = [token if h else NO_TARGET for token, h in zip(ids, hidden, strict=True)]
    return Masked(tuple(shown), tuple(targets))


def _recent(drawn: HistoryWindow) -> HistoryWindow:
    """Last interaction of a history window, with at most ten before it."""
    return drawn._replace(begin=max(drawn.begin, drawn.end - 1 - _RECENT))


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "recommend": Task("stretch", Row, _recommend, worded=False),
        "describe": Task("item", Row, _describe, worded=False),
        "direct": Task("event", Row, _direct),
        "rating": Task("event", Row, _rating),
        "title": Task("item", Row, _title),
        "explanation": Task("event", Row, _explanation),
        "preference": Task("event", Row, _preference),
        "intention": Task("event", Row, _intention),
        "rerank": Task("event", Row, _rerank),
        "masked_behavior": Task("stretch", Row, _masked_behavior),
        "like": Task("event", Row, _like),
        "match": Task("event", Pair, _match, worded=False),
        "masked_text": Task("item", Masked, _masked_text, worded=False),
    }
)
