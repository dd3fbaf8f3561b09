"""Removable spans of a request, and requests in which some spans are removed.

A span is a history item, a user attribute or the instruction; everything else is fixed. Spans are
identified by kind and position, never by text, so two equal titles are two spans. A masked request
has no prompt. The recommender renders it with its own template, which renumbers lists and has its
own text for an empty history. Source: ContextCite (Cohen-Wang et al. 2024), with spans of a request
instead of sentences of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from auditkit.errors import InvalidArgument
from auditkit.types import Item, Request

__all__ = ["PLACEHOLDER", "Baseline", "Span", "SpanKind", "masked", "spans_of"]

SpanKind = Literal["history", "attribute", "instruction"]
Baseline = Literal["delete", "replace"]
PLACEHOLDER = "[removed]"


@dataclass(frozen=True)
class Span:
    """One removable unit of a request.

    Attributes:
        kind: history item, attribute or instruction.
        index: position of the span's first history item, or of its attribute; 0 for the
            instruction.
        text: text of the span in reports.
        size: number of consecutive history items in the span; 1 for the other kinds.
    """

    kind: SpanKind
    index: int
    text: str
    size: int = 1


def spans_of(
    request: Request, *, kinds: Sequence[SpanKind] = ("history",), most: int = 30
) -> tuple[Span, ...]:
    """List the removable spans of a request: history (oldest first), attributes, instruction.

    Args:
        request: the request; attributes are spans only if no noun phrase `who` replaces them, and
            the instruction is a span only if the request has its own.
        kinds: kinds of spans to return.
        most: largest number of latest history items that are single spans, at least 1; all older
            items form one span.

    Raises:
        InvalidArgument: most < 1.
    """
    if most < 1:
        raise InvalidArgument(f"spans_of got most={most}. Give a number of at least 1.")
    found: list[Span] = []
    if "history" in kinds:
        n_old = max(0, len(request.history) - most)
        if n_old:
            items = "older item" if n_old == 1 else "older items"
            found.append(Span("history", 0, f"{n_old} {items}", n_old))
        recent = enumerate(request.history[n_old:], start=n_old)
        found += [Span("history", i, item.title) for i, item in recent]
    if "attribute" in kinds and not request.who:
        stated = enumerate(request.attributes.items())
        found += [Span("attribute", i, f"{name}: {value}") for i, (name, value) in stated]
    if "instruction" in kinds and request.instruction:
        found.append(Span("instruction", 0, request.instruction))
    return tuple(found)


def masked(
    request: Request, spans: Sequence[Span], mask: int, *, baseline: Baseline = "delete"
) -> Request:
    """Remove the spans of a request that a mask does not keep.

    Args:
        request: the whole request.
        spans: the n spans of this request.
        mask: bit i is set if span i is kept, 0 <= mask < 2^n.
        baseline: `delete` leaves a span out; `replace` writes a placeholder instead. In both cases,
            a removed instruction is replaced by the recommender's own instruction.

    Returns:
        The request, without a prompt and without an id, to be rendered and sent.

    Raises:
        InvalidArgument: the mask is outside of its range.
    """
    if not 0 <= mask < 1 << len(spans):
        raise InvalidArgument(
            f"masked got mask {mask} for {len(spans)} spans. Give a mask from 0 to "
            f"{(1 << len(spans)) - 1}."
        )
    gone = [span for i, span in enumerate(spans) if not mask >> i & 1]
    items = {i for s in gone if s.kind == "history" for i in range(s.index, s.index + s.size)}
    stated = {span.index for span in gone if span.kind == "attribute"}
    own_wording = any(span.kind == "instruction" for span in gone)
    history: list[Item] = []
    for i, item in enumerate(request.history):
        if i not in items:
            history.append(item)
        elif baseline == "replace":
            history.append(Item(PLACEHOLDER, PLACEHOLDER))
    attributes = {
        name: PLACEHOLDER if i in stated else value
        for i, (name, value) in enumerate(request.attributes.items())
        if i not in stated or baseline == "replace"
    }
    return replace(
        request,
        id="",
        prompt="",
        history=tuple(history),
        attributes=attributes,
        instruction="" if own_wording else request.instruction,
    )
