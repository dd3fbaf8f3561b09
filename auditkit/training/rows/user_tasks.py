"""Tasks about a user's history.

Sources: P5 (Geng et al. 2022) for sequential, direct, rating and explanation; TALLRec (Bao et al.
2023) for `like`; InstructRec (Zhang et al. 2023) for preference, intention and rerank; PTUM (Wu et
al. 2020) for `masked_behavior`; UniSRec (Hou et al. 2022) for `match`. MovieLens has no reviews, so
titles, descriptions and explanations are generated from the catalog.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from auditkit.errors import ConfigurationError
from auditkit.training.rows.batches import Pair, Row
from auditkit.training.rows.history_sampling import HistoryWindow
from auditkit.training.rows.item_tasks import describe
from auditkit.training.rows.task import Rows, recent
from auditkit.types import Item, Request

__all__ = [
    "MASK_ITEM", "direct", "explanation", "intention", "like", "masked_behavior", "match",
    "preference", "rating", "recommend", "rerank",
]  # fmt: skip

MASK_ITEM = "?hidden?"  # placeholder of a masked item in a history
_LISTED = 10  # number of candidates in a prompt that lists them
_LIKED = 3.0  # ratings above it are likes


def recommend(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that predicts the next items of a history window.

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


def _titles(rows: Rows, text: str, items: Sequence[Item]) -> Row:
    """Build a row with a list of titles as text, in which every token of the list is a target."""
    first = text.index(f"- {items[0].title}")
    begin = rows.encode_prompt(text[:first])
    return Row((*begin, *rows.encode(text[first:] + "\n")), len(begin))


def direct(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Choose the next item among ten candidates."""
    *history, target = rows.items_of(drawn)
    listed = rows.candidates(drawn.user, target, _LISTED, rng)
    return rows.item_row("direct", target, drawn.user, rng, history=history, candidates=listed)


def rating(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that predicts the user's rating (stars) of the next item."""
    *history, target = rows.items_of(recent(drawn))
    question = rows.ask("rating", drawn.user, rng, history=history, item=target)
    stars = str(int(rows.ratings_of(drawn)[-1]))
    return rows.text_row(question, rows.prompts.answer("rating", rating=stars))


def explanation(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that explains the next item by the latest history item of a shared genre.

    Without such an item, the row describes the next item instead.
    """
    *history, target = rows.items_of(recent(drawn))
    genres = rows.genres(target)
    shared = next((item for item in reversed(history) if genres & rows.genres(item)), None)
    if shared is None:
        return describe(rows, rows.row_of(target), rng)
    question = rows.ask("explanation", drawn.user, rng, history=history, item=target)
    named = ", ".join(sorted(genres & rows.genres(shared)))
    return rows.text_row(question, rows.prompts.answer("explanation", shared=shared, genres=named))


def preference(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that predicts the next item from the favorite genres of the history."""
    *history, target = rows.items_of(drawn)
    counts = Counter(genre for item in history for genre in sorted(rows.genres(item)))
    named = " and ".join(genre for genre, _ in counts.most_common(2)) or rows.items_noun
    return rows.item_row("preference", target, drawn.user, rng, history=history, genres=named)


def intention(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that predicts the next item for a user who asks for one of the item's genres."""
    *history, target = rows.items_of(drawn)
    genre = rows.one_genre(target, rng)
    return rows.item_row("intention", target, drawn.user, rng, history=history, genre=genre)


def rerank(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that chooses the next item among ten candidates, given one of the item's genres."""
    *history, target = rows.items_of(drawn)
    listed = rows.candidates(drawn.user, target, _LISTED, rng)
    return rows.item_row(
        "rerank", target, drawn.user, rng,
        history=history, candidates=listed, genre=rows.one_genre(target, rng),
    )  # fmt: skip


def masked_behavior(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that fills in a hidden item of the history."""
    items = rows.items_of(drawn)
    hidden = int(rng.integers(len(items)))
    shown = [*items[:hidden], Item(MASK_ITEM, ""), *items[hidden + 1 :]]
    return rows.item_row("masked_behavior", items[hidden], drawn.user, rng, history=shown)


def like(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Row that answers whether the user likes an item, yes or no.

    The prompt lists up to five liked and five disliked items among the last ten.
    """
    latest = recent(drawn)
    *history, target = rows.items_of(latest)
    *stars, own = rows.ratings_of(latest)
    liked = [item for item, star in zip(history, stars, strict=True) if star > _LIKED][-5:]
    disliked = [item for item, star in zip(history, stars, strict=True) if star <= _LIKED][-5:]
    question = rows.ask("like", drawn.user, rng, liked=liked, disliked=disliked, item=target)
    begin = rows.encode_prompt(question)
    yes, no = (rows.encode(option) for option in rows.prompts.tasks["like"].options)
    if len(yes) != 1 or len(no) != 1:
        raise ConfigurationError(
            "Task `like` needs a word for yes and a word for no that are one token each. Raise "
            "model.text_vocabulary."
        )
    return Row((*begin, *(yes if own > _LIKED else no)), len(begin), choices=(*yes, *no))


def match(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Pair:
    """Pair of a user's prompt and the title of the next item."""
    *history, target = rows.items_of(recent(drawn))
    request = Request(attributes=rows.stated(drawn.user, rng), history=tuple(history), k=10)
    share = float(np.log(rows.shares[rows.row_of(target)]))
    left = rows.encode(rows.prompts.render(request))
    return Pair(tuple(left), tuple(rows.encode(target.title)), share)
