"""Convert the return value of an adapter to a Response with one status and linked items.

Responses are never realigned: a response with the id of another request is an error of the request.
Truncated responses and responses that cannot be parsed have separate statuses and are never scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.linking.title_linker import Link
from auditkit.errors import TargetError
from auditkit.recommenders.execution.list_linking import link_list
from auditkit.recommenders.prompting.answers import read_list
from auditkit.recommenders.prompting.json_lists import titles_at
from auditkit.recommenders.prompting.parsing import (
    final_part,
    parse_cut,
    parse_list,
    status_of_text,
)
from auditkit.recommenders.protocols import NotRun, RawResponse
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import RESPONSE_STATUSES, RankedItem, Request, Response, Status

__all__ = ["check_response", "link_items", "list_after", "require_one_each"]

_UNREAD: tuple[Status, ...] = ("refusal", "target_error", "timeout")
_MAX_CHARACTERS = 16 << 20  # of its JSON in the run log


def require_one_each(answers: object, requests: Sequence[Request]) -> None:
    """Require that a recommender returned one response per request.

    Raises:
        TargetError: the return value is not a sequence, or has another length than `requests`.
    """
    if not isinstance(answers, Sequence) or isinstance(answers, str | bytes):
        raise TargetError(
            "wrong_type", detail=f"{type(answers).__name__} instead of a list of responses"
        )
    if len(answers) != len(requests):
        raise TargetError(
            "wrong_length", detail=f"{len(answers)} responses to {len(requests)} requests"
        )


def check_response(request: Request, answer: RawResponse) -> Response | None:
    """Convert the return value of an adapter to a Response; None for a call that was not made.

    Raises:
        TargetError: the value has a wrong type, answers another request, has a score that is not a
            finite number, or is larger than 16 MiB.
    """
    if isinstance(answer, NotRun):
        return None
    if isinstance(answer, Response):
        if answer.request_id != request.id:
            raise TargetError(
                "misaligned", detail=f"the response belongs to request {answer.request_id!r}"
            )
        response = answer
    elif answer is None:
        response = Response(request_id=request.id, status="no_answer")
    elif isinstance(answer, str):
        listed = read_list(answer, k=request.k)
        response = Response(request_id=request.id, **listed._asdict())
    elif isinstance(answer, Sequence) and all(isinstance(title, str) for title in answer):
        response = Response(
            request_id=request.id,
            status="ok" if answer else "no_answer",
            items=tuple(RankedItem(raw=title) for title in answer),
        )
    else:
        raise TargetError("wrong_type", detail=f"a response of type {type(answer).__name__}")
    if response.status not in RESPONSE_STATUSES:
        raise TargetError("wrong_type", detail=f"unknown status {response.status!r}")
    if not all(isinstance(item.raw, str) for item in response.items):
        raise TargetError("wrong_type", detail="an item without text")
    if any(item.score is not None and not math.isfinite(item.score) for item in response.items):
        raise TargetError("non_finite", detail="a score is NaN or infinite")
    try:
        size = len(canonical_json(asdict(response)))
    except ValueError:
        raise TargetError("non_finite", detail="a number is NaN or infinite") from None
    except TypeError as error:
        raise TargetError("wrong_type", detail=str(error)) from None
    if size > _MAX_CHARACTERS:
        raise TargetError("too_large", detail=f"a response of {size} characters")
    return response


def list_after(words: str, response: Response, *, k: int, item_path: str = "") -> Response:
    """Parse the list of a recommender whose templates declare the format of its answer.

    Args:
        words: marker of the final answer; only the text after the marker is parsed. Empty if the
            templates declare no marker.
        k: requested length of the list.
        item_path: path of the items in a JSON answer; empty to detect the path.

    Returns:
        The response with status and items of its final answer. If the marker is missing, its reason
        is `no_final_answer`; if the path is missing, `no_item_path`.
    """
    declared = words or item_path
    if not declared or not response.text or response.status in _UNREAD:
        return response
    cut = bool(response.derived.get("cut"))
    listed = final_part(words, response.text)
    if listed is None:
        status: Status = "truncated" if cut else "parse_error"
        return replace(response, status=status, reason="no_final_answer", items=())
    if item_path:
        return _at_path(item_path, listed, response, k=k, cut=cut)
    parsed = parse_cut(listed, k=k) if cut else parse_list(listed, k=k)
    return replace(
        response,
        status=status_of_text(listed, n_items=len(parsed.titles), cut=cut, k=k),
        items=tuple(RankedItem(raw=title) for title in parsed.titles),
        derived={**response.derived, "parse_style": parsed.style},
    )


def _at_path(path: str, text: str, response: Response, *, k: int, cut: bool) -> Response:
    """The response with the items at a path of its JSON answer."""
    titles = titles_at(text, path)
    status = status_of_text(text, n_items=len(titles or ()), cut=cut, k=k)
    return replace(
        response,
        status=status,
        reason=response.reason if titles else "no_item_path",
        items=tuple(RankedItem(raw=title) for title in titles or ()),
        derived={**response.derived, "parse_style": "item_path"},
    )


def link_items(response: Response, catalog: Catalog) -> Response:
    """Link every item to the catalog: ids by lookup, titles with the title linker."""
    titles = [item.raw for item in response.items if item.item_id is None]
    links = iter(link_list(titles, catalog) if titles else ())
    return replace(response, items=tuple(_linked(item, links, catalog) for item in response.items))


def _linked(item: RankedItem, links: Iterator[Link], catalog: Catalog) -> RankedItem:
    if item.item_id is None:
        link = next(links)
        return replace(item, item_id=link.item_id, link=link.reason)
    if item.item_id in catalog.index:
        title = catalog[item.item_id].display_title
        return replace(item, raw=title, link="id" if item.link == "none" else item.link)
    return replace(item, item_id=None, link="none")
