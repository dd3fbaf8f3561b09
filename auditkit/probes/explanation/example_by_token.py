"""Effects by token of one user's top item, for the heat map of the report."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from auditkit.attribution.estimators import ranking
from auditkit.attribution.missing import Missing
from auditkit.attribution.token_map import token_map, token_texts
from auditkit.probes.explanation.card_findings import Scored

__all__ = ["example_by_token"]

_DIGITS = 6  # after the decimal point, of nats


def example_by_token(recommender: object, scored: Sequence[Scored]) -> dict[str, JsonValue]:
    """Create the parameter `by_token` of a finding, for the first user with effects by token.

    Returns:
        User, item, tokens, spans (largest effect first), and effects [spans][tokens] in nats; empty
        if no user has effects by token.
    """
    for user, one in scored:
        if isinstance(one, Missing):
            continue
        item = one.game.candidates[one.game.item]
        found = token_map(one, token_texts(recommender, one.game.request, item))
        if isinstance(found, Missing):
            continue
        order = ranking(one.attribution.values)
        stored: dict[str, JsonValue] = {
            "user": user,
            "item": item.title,
            "tokens": [*found.texts],
            "spans": [one.game.spans[i].text for i in order],
            "effects": [[round(float(v), _DIGITS) for v in found.values[i]] for i in order],
        }
        return {"by_token": stored}
    return {}
