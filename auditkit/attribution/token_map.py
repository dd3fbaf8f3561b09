"""Effects of spans on the tokens of the explained item, which add up to the effects on the item.

The log-probability of an item is the sum over its tokens, and every estimator except the lasso is
linear in the values, so applying the estimator to each token's log-probability splits an effect
exactly. Source: linearity of the Shapley value (Shapley 1953) and of least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.estimators import estimate
from auditkit.attribution.explanation import Explanation
from auditkit.attribution.missing import Missing
from auditkit.types import Item, Request

__all__ = ["TokenMap", "token_map", "token_texts"]

MOST_COLUMNS = 24


@dataclass(frozen=True, eq=False)
class TokenMap:
    """Effects by token.

    Attributes:
        texts: texts of the T tokens, in order; the last text may join all further tokens.
        values: effects, [n, T], nats; row i sums to the effect of span i.
    """

    texts: tuple[str, ...]
    values: NDArray[np.float64]


def token_texts(recommender: object, request: Request, item: Item) -> tuple[str, ...] | None:
    """Return the texts of an item's tokens; None if the recommender is not a local language model.

    Args:
        recommender: the recommender.
        request: request whose prompt determines where the first token of the item begins.
        item: the explained item.
    """
    from auditkit.recommenders.adapters.language_model import LanguageModel

    if not isinstance(recommender, LanguageModel):
        return None
    _, ids = recommender.token_ids(recommender.render(request), recommender.reference(item))
    return tuple(recommender.tokenizer.decode([token]) for token in ids)


def token_map(one: Explanation, texts: Sequence[str] | None) -> TokenMap | Missing:
    """Split the effects of an explanation by token.

    Args:
        one: the explanation.
        texts: texts of the item's tokens; None to number the tokens. Tokens after the 24th are
            joined.

    Returns:
        The map; Missing if the values are not sums over at least two tokens, or if the estimator is
        not linear.
    """
    if one.value != "logp":
        return Missing("only a log-probability is a sum over tokens")
    if one.attribution.estimator == "lasso":
        return Missing("the lasso is not linear, so effects by token would not add up")
    rows, item = one.game.rows, one.game.item
    tokens = {mask: rows[mask].tokens[item] for mask in one.known}
    lengths = sorted({len(row) for row in tokens.values()})
    if len(lengths) != 1:
        return Missing(f"the item has {lengths[0]} to {lengths[-1]} tokens after these prompts")
    if lengths[0] < 2:
        return Missing("the item has only one token, so there is nothing to split")
    columns = []
    for t in range(lengths[0]):
        known = {mask: row[t] for mask, row in tokens.items()}
        found = estimate(one.plan, known, np.random.default_rng(0))  # intervals are not used
        if isinstance(found, Missing):
            return found
        columns.append(found.values)
    named = texts if texts is not None and len(texts) == lengths[0] else None
    names = list(named or (str(t) for t in range(1, lengths[0] + 1)))
    values = np.stack(columns, axis=1)
    if lengths[0] > MOST_COLUMNS:
        last = MOST_COLUMNS - 1
        names = [*names[:last], f"{lengths[0] - last} more"]
        values = np.column_stack([values[:, :last], values[:, last:].sum(axis=1)])
    return TokenMap(tuple(names), values)
