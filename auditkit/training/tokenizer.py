"""The tokenizer of item-token recommenders: one token per catalog item plus a small byte-level BPE.

ByteLevel pre-tokenisation with its initial alphabet covers every byte, so a misspelt word still has
tokens; BPE's own `byte_fallback` alone would give `<unk>` (measured). Item tokens are special and
unnormalised: typed text cannot reach them. Source: P5 (Geng et al. 2022) writes items as sub-word
pieces; one token per item makes a full-catalog ranking one forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from auditkit.recommenders.prompts import item_reference

__all__ = ["PAD", "START", "STOP", "build_tokenizer"]

PAD, START, STOP = "<pad>", "<s>", "</s>"


def build_tokenizer(
    item_ids: Sequence[str], corpus: Iterable[str], *, vocabulary: int = 600
) -> PreTrainedTokenizerFast:
    """Learn a tokenizer.

    Args:
        item_ids: catalog order; each becomes one token.
        corpus: texts to learn word pieces from: templates, attribute words, genres, titles.
        vocabulary: number of text tokens, control tokens and the 256 bytes included; at least 260.

    Returns:
        A tokenizer with padding on the left, so that predicted positions stand at the end of every
        row.
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
        [
            AddedToken(item_reference(item_id), special=True, normalized=False)
            for item_id in item_ids
        ],
        special_tokens=True,
    )
    return fast
