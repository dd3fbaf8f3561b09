"""Tokenizer of models trained from scratch: tokens of the catalog items and a small byte-level BPE.

ByteLevel pre-tokenization with its initial alphabet covers every byte, so a misspelled word still
has tokens; `byte_fallback` of BPE alone produces `<unk>` (measured). Item tokens are special and
not normalized, so ordinary text is never encoded as an item. P5 (Geng et al. 2022) writes items as
subword tokens; one token per item allows a full-catalog ranking in one forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["MASK", "PAD", "START", "STOP", "build_tokenizer"]

PAD, START, STOP, MASK = "<pad>", "<s>", "</s>", "<mask>"


def build_tokenizer(
    items: Sequence[str], corpus: Iterable[str], *, vocabulary: int = 600, mask: bool = False
) -> PreTrainedTokenizerFast:
    """Train a tokenizer.

    Args:
        items: distinct tokens of the item index, added as special tokens in this order.
        corpus: training texts: templates, attribute words, genres, titles.
        vocabulary: number of text tokens, including control tokens and the 256 bytes; at least 260.
        mask: whether to add a mask token.

    Returns:
        A tokenizer that pads on the left, so that predicted positions are at the end of every row.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, START, STOP],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=STOP,
        padding_side="left",
    )
    fast.add_tokens(
        [AddedToken(token, special=True, normalized=False) for token in items], special_tokens=True
    )
    if mask:
        fast.add_special_tokens({"mask_token": MASK})
    return fast
