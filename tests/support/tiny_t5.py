"""A T5 of a few thousand random weights over the small world's items, in a folder."""

from __future__ import annotations

import torch
from small_world import world
from transformers import T5Config, T5ForConditionalGeneration

from auditkit.recommenders.adapters.manifest import Decoding, RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.training.tokenizer import build_tokenizer
from auditkit.types import Item

torch.set_num_threads(1)
ITEMS = tuple(Item(item.id, item.display_title) for item in world().catalog.items)


def save(folder, style, *, scale=1):
    """A loaded folder whose weights are `scale` times the usual."""
    tokenizer = build_tokenizer(
        [item_reference(item.id) for item in ITEMS] if style == "rank" else [],
        [item.title for item in ITEMS],
        vocabulary=300,
    )
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=tokenizer.pad_token_id or 0,
        pad_token_id=tokenizer.pad_token_id or 0,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    RecommenderManifest(
        version=1,
        name="t5",
        kind="seq2seq",
        style=style,
        decoding=Decoding(max_new_tokens=8),
    ).write(folder)
    return load_folder(folder)
