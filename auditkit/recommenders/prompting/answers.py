"""Read the text of a recommender, without its reasoning: titles and status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue

from auditkit.recommenders.prompting.parsing import parse_cut, parse_list, status_of_text
from auditkit.recommenders.prompting.reasoning import without_reasoning
from auditkit.types import RankedItem, Request, Response, Status

__all__ = ["ListAnswer", "generated_text", "read_list"]

_UNFINISHED = "unfinished_reasoning"


class ListAnswer(NamedTuple):
    """A list parsed from a text.

    Attributes:
        text: the answer, without reasoning. reason: why the answer is incomplete, if known.
        derived: `parse_style`, `cut`, and `reasoning`, the number of removed passages.
    """

    text: str
    status: Status
    items: tuple[RankedItem, ...]
    derived: Mapping[str, JsonValue]
    reason: str | None = None


def read_list(text: str, *, k: int | None = None, cut: bool = False) -> ListAnswer:
    """Parse a ranked list from the text of a response.

    Args:
        k: requested number of items.
        cut: whether the text was truncated; an incomplete last title is then dropped.
    """
    answer = without_reasoning(text)
    cut = cut or answer.unfinished
    # What stands before unfinished reasoning is complete to its last line.
    whole = answer.text + "\n" if answer.unfinished else answer.text
    parsed = parse_cut(whole, k=k) if cut else parse_list(whole, k=k)
    status = status_of_text(answer.text, n_items=len(parsed.titles), cut=cut, k=k)
    if status == "no_answer" and cut and answer.n_removed:
        status = "truncated"  # it ended before the first word after the reasoning
    unfinished = answer.unfinished and status == "truncated"
    return ListAnswer(
        answer.text,
        status,
        tuple(RankedItem(raw=title) for title in parsed.titles),
        {
            "parse_style": parsed.style,
            **({"cut": True} if cut else {}),
            **({"reasoning": answer.n_removed} if answer.n_removed else {}),
        },
        _UNFINISHED if unfinished else None,
    )


def generated_text(request: Request, text: str) -> Response:
    """Build the response for a generated text, from which reasoning is removed."""
    answer = without_reasoning(text)
    status: Status = "ok" if answer.text.strip() else "no_answer"
    return Response(
        request_id=request.id,
        status="truncated" if answer.unfinished else status,
        reason=_UNFINISHED if answer.unfinished else None,
        text=answer.text,
        derived={"reasoning": answer.n_removed} if answer.n_removed else {},
    )
