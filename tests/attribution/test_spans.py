"""Spans of requests, and requests without some of them."""

from __future__ import annotations

import pytest

from auditkit.attribution.spans import PLACEHOLDER, Span, masked, spans_of
from auditkit.errors import InvalidArgument
from auditkit.types import Item, Request

ITEMS = tuple(Item(str(i), title) for i, title in enumerate(("Heat", "Alien", "Heat", "Big")))
REQUEST = Request(
    id="old",
    user_id="u",
    history=ITEMS,
    attributes={"gender": "female", "age": "under 25"},
    instruction="Recommend {k} movies to {who}.\n{history}",
    prompt="already rendered",
)


def test_history_items_with_one_title_are_two_spans():
    spans = spans_of(REQUEST)
    assert [span.index for span in spans] == [0, 1, 2, 3]
    assert len(set(spans)) == 4
    left = masked(REQUEST, spans, 0b1110)
    assert [item.id for item in left.history] == ["1", "2", "3"]


def test_full_mask_changes_nothing_but_the_rendered_prompt():
    spans = spans_of(REQUEST, kinds=("history", "attribute", "instruction"))
    left = masked(REQUEST, spans, (1 << len(spans)) - 1)
    assert (left.history, left.attributes, left.instruction) == (
        REQUEST.history, REQUEST.attributes, REQUEST.instruction,
    )  # fmt: skip
    assert (left.id, left.prompt) == ("", "")


def test_every_kind_of_span_can_be_removed():
    spans = spans_of(REQUEST, kinds=("instruction", "attribute", "history"))
    assert [span.kind for span in spans] == ["history"] * 4 + ["attribute"] * 2 + ["instruction"]
    left = masked(REQUEST, spans, 0b0010000)
    assert (left.history, left.instruction) == ((), "")
    assert left.attributes == {"gender": "female"}


def test_placeholder_keeps_the_position_of_a_removed_span():
    spans = spans_of(REQUEST, kinds=("history", "attribute"))
    left = masked(REQUEST, spans, 0b101101, baseline="replace")
    assert [item.title for item in left.history] == ["Heat", PLACEHOLDER, "Heat", "Big"]
    assert left.attributes == {"gender": PLACEHOLDER, "age": "under 25"}


def test_items_older_than_the_limit_are_one_span():
    spans = spans_of(REQUEST, most=2)
    assert spans[0] == Span("history", 0, "2 older items", 2)
    assert [item.id for item in masked(REQUEST, spans, 0b110).history] == ["2", "3"]
    assert [item.id for item in masked(REQUEST, spans, 0b011).history] == ["0", "1", "2"]


def test_attributes_that_the_prompt_does_not_show_are_not_spans():
    shown = Request(user_id="u", attributes={"gender": "female"}, who="a nurse")
    assert spans_of(shown, kinds=("attribute", "instruction")) == ()


@pytest.mark.parametrize("mask", [-1, 16])
def test_mask_of_another_request_is_refused(mask):
    with pytest.raises(InvalidArgument, match="for 4 spans"):
        masked(REQUEST, spans_of(REQUEST), mask)
    with pytest.raises(InvalidArgument, match="most=0"):
        spans_of(REQUEST, most=0)
