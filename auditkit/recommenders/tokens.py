"""Encoding prompts that mix typed text with item references, safely.

Typed text goes through the tokenizer with its control tokens switched off
(`encode_special_tokens`), item references map straight to their token. So `</s>` or `<item_5>`
typed by a user stays text, whatever the tokenizer knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from auditkit.errors import TargetError
from auditkit.recommenders.prompts import segments

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["ITEM_PREFIX", "decode", "encode", "item_tokens"]

ITEM_PREFIX = "<item_"


def item_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Item id -> token id for every `<item_..>` token of the vocabulary; empty for ordinary
    language models.
    """
    vocabulary: Mapping[str, int] = tokenizer.get_added_vocab()
    return {
        token[len(ITEM_PREFIX) : -1]: index
        for token, index in sorted(vocabulary.items(), key=lambda pair: pair[1])
        if token.startswith(ITEM_PREFIX) and token.endswith(">")
    }


def encode(tokenizer: PreTrainedTokenizerFast, prompt: str, items: Mapping[str, int]) -> list[int]:
    """Token ids of a rendered prompt, without special tokens of the tokenizer's own.

    Args:
        items: `item_tokens(tokenizer)`; when empty the prompt is plain text.

    Raises:
        TargetError: the prompt refers to an item that the model has never seen.
    """
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        if not items:
            return list(backend.encode(prompt, add_special_tokens=False).ids)
        ids: list[int] = []
        for kind, part in segments(prompt):
            if kind == "text":
                ids += backend.encode(part, add_special_tokens=False).ids
            elif part in items:
                ids.append(items[part])
            else:
                raise TargetError("bad_schema", detail=f"the model has no token for item {part!r}")
        return ids
    finally:
        backend.encode_special_tokens = before


def decode(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    """Text of generated token ids, control tokens left out."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))
