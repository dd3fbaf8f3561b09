"""Benign edits of a request, which should not change an attribution.

Extra white space and a rephrased instruction do not change the meaning of a request. The order of
the history may have a meaning, so reversing it is a separate edit.
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
        name: name of the edit in reports.
        request: the edited request.
        spans: the spans of the original request, in the original order, at their new positions.
    """

    name: str
    request: Request
    spans: tuple[Span, ...]


def benign_edits(request: Request, spans: Sequence[Span], wordings: Sequence[str]) -> list[Edit]:
    """Create edits of the instruction that should not change an explanation.

    Args:
        request: the request to edit.
        spans: the spans of `request`, which the edits do not move.
        wordings: instruction templates of the recommender, at least one, the default template
            first.

    Returns:
        A request with a second space after the first word, and a request with the recommender's
        second template, if there is one and the request has no instruction of its own.
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
    """Reverse the history of a request; each span still has the same items.

    None if fewer than two spans are history.
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
    """Return |a - a'| / |a| of two attributions of the same spans, at least 0; 0 is ideal."""
    size = float(np.linalg.norm(before))
    if not size:
        return Missing("the attribution is 0 for every span")
    return float(np.linalg.norm(before - after)) / size
