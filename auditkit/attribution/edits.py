"""Benign edits of a request: an attribution should not change under them.

White space and another wording of the same instruction keep the meaning of a request. The order of
the history may carry meaning, so it is an edit of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import Span
from auditkit.types import Request

__all__ = ["Edit", "benign_edits", "relative_change", "reversed_history"]


@dataclass(frozen=True)
class Edit:
    """An edited request.

    Attributes:
        name: how a report calls it. request: the edited request.
        spans: the spans of the original, in the original order, at their new places.
    """

    name: str
    request: Request
    spans: tuple[Span, ...]


def benign_edits(request: Request, spans: Sequence[Span], wordings: Sequence[str]) -> list[Edit]:
    """Edits of the instruction that should not change an explanation.

    Args:
        spans: the spans of `request`; the edits do not move them.
        wordings: instruction templates of the recommender, the default first; at least one.

    Returns:
        A second space after the first word, and the recommender's second template if it has one
        and the request has no instruction of its own.
    """
    own = request.instruction or wordings[0]
    first, space, rest = own.partition(" ")
    edits = [("white space", f"{first}{space}{space}{rest}")] if space else []
    if not request.instruction:  # one's own wording has no known paraphrase
        edits += [("other wording", wording) for wording in wordings[1:2]]
    return [
        Edit(name, replace(request, instruction=text, prompt=""), tuple(spans))
        for name, text in edits
    ]


def reversed_history(request: Request, spans: Sequence[Span]) -> Edit | None:
    """The request with its history reversed, each span with the same items as before; None if
    fewer than two spans are history.
    """
    n = len(request.history)
    if sum(span.kind == "history" for span in spans) < 2:
        return None
    moved = (
        replace(span, index=n - span.index - span.size) if span.kind == "history" else span
        for span in spans
    )
    turned = replace(request, history=request.history[::-1], prompt="")
    return Edit("reversed order", turned, tuple(moved))


def relative_change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float | Missing:
    """|a - a'| / |a| of two attributions of the same spans, at least 0; 0 is ideal."""
    size = float(np.linalg.norm(before))
    if not size:
        return Missing("the attribution is 0")
    return float(np.linalg.norm(before - after)) / size
