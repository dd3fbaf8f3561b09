"""Encode prompts that contain typed text and item references.

Typed text is encoded with the control tokens of the tokenizer disabled (`encode_special_tokens`);
item references are mapped directly to their tokens. A `</s>` or `<item_5>` typed by a user is
therefore encoded as text for every tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from auditkit.errors import TargetError
from auditkit.recommenders.prompting.prompts import segments
from auditkit.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["ITEM_PREFIX", "control_tokens", "decode", "encode", "encode_chat", "item_tokens"]

ITEM_PREFIX = "<item_"
# Placeholder for a turn; no chat template contains these words.
_PLACE = "auditkit places the prompt here"


def item_tokens(
    tokenizer: PreTrainedTokenizerFast, index: Mapping[str, Sequence[str]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Token ids of every item, by item id; empty for language models without item tokens.

    Args:
        index: tokens of every item, for models with several tokens per item (`item_index` of the
            manifest); None uses every `<item_..>` token of the vocabulary.

    Raises:
        TargetError: the index contains a token that is not in the vocabulary.
    """
    vocabulary: Mapping[str, int] = tokenizer.get_added_vocab()
    if index is not None:
        try:
            return {item: tuple(vocabulary[token] for token in index[item]) for item in index}
        except KeyError as error:
            raise TargetError(
                "bad_schema", detail=f"the tokenizer has no item token {error}"
            ) from None
    return {
        token[len(ITEM_PREFIX) : -1]: (number,)
        for token, number in sorted(vocabulary.items(), key=lambda pair: pair[1])
        if token.startswith(ITEM_PREFIX) and token.endswith(">")
    }


@contextmanager
def control_tokens(tokenizer: PreTrainedTokenizerFast, *, meant: bool) -> Iterator[Any]:
    """Context manager that yields the tokenizer's backend. Control tokens in a text are recognized
    if `meant`, and otherwise encoded as plain text.
    """
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens
    backend.encode_special_tokens = not meant
    try:
        yield backend
    finally:
        backend.encode_special_tokens = before


def encode(
    tokenizer: PreTrainedTokenizerFast, prompt: str, items: Mapping[str, Sequence[int]]
) -> list[int]:
    """Token ids of a rendered prompt, without the special tokens that a tokenizer adds.

    Args:
        items: `item_tokens(tokenizer)`; if empty, the prompt is plain text.

    Raises:
        TargetError: the prompt refers to an item without a token.
    """
    with control_tokens(tokenizer, meant=False) as backend:
        if not items:
            return list(backend.encode(prompt, add_special_tokens=False).ids)
        ids: list[int] = []
        for kind, part in segments(prompt):
            if kind == "text":
                ids += backend.encode(part, add_special_tokens=False).ids
            elif part in items:
                ids += items[part]
            else:
                raise TargetError("bad_schema", detail=f"the model has no token for item {part!r}")
        return ids


def encode_chat(
    tokenizer: PreTrainedTokenizerFast,
    prompt: str,
    items: Mapping[str, Sequence[int]],
    messages: Sequence[Message] = (),
) -> list[int]:
    """Token ids of a chat: earlier turns, the prompt as a turn of the user, and the generation
    prompt of the chat template.

    The template is rendered with placeholders, so that only its own control tokens are encoded as
    tokens, and control tokens typed in a turn are encoded as text. If no turn contains control
    tokens, the rendered text is encoded in one pass, as `apply_chat_template` does.

    Raises:
        TargetError: the template omits a turn, or the prompt refers to an item without a token.
    """
    turns = [*messages, Message("user", prompt)]
    parts = _template_parts(tokenizer, turns, place=f" {_PLACE} ")
    if parts is None:  # the template strips whitespace
        turns = [Message(turn.role, turn.content.strip()) for turn in turns]
        parts = _template_parts(tokenizer, turns, place=_PLACE)
    if parts is None:
        raise TargetError("bad_schema", detail="the chat template omits a turn")
    control = {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids}
    own = [_encode_control(tokenizer, part) if isinstance(part, str) else [] for part in parts]
    if not items:
        text = "".join(part if isinstance(part, str) else part.content for part in parts)
        whole = _encode_control(tokenizer, text)
        expected = [token for ids in own for token in ids if token in control]
        if [token for token in whole if token in control] == expected:
            return whole
    return [
        token
        for part, ids in zip(parts, own, strict=True)
        for token in (ids if isinstance(part, str) else encode(tokenizer, part.content, items))
    ]


def _template_parts(
    tokenizer: PreTrainedTokenizerFast, turns: Sequence[Message], *, place: str
) -> list[str | Message] | None:
    """The rendered template, split at its turns; None if a turn is missing."""
    places = [place.replace("here", f"number {i} here") for i in range(len(turns))]
    asked = [{"role": turn.role, "content": held} for turn, held in zip(turns, places, strict=True)]
    rendered = str(tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False))
    pieces = re.split("(" + "|".join(map(re.escape, places)) + ")", rendered)
    if not set(places) <= set(pieces):
        return None
    turn_of = dict(zip(places, turns, strict=True))
    return [turn_of.get(piece, piece) for piece in pieces if piece]


def _encode_control(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Token ids of a text with control tokens enabled."""
    with control_tokens(tokenizer, meant=True) as backend:
        return list(backend.encode(text, add_special_tokens=False).ids)


def decode(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    """Text of generated token ids, without control tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))
