"""A recommender folder of a few thousand random weights over the small world's items."""

from __future__ import annotations

import torch
from small_world import world

from auditkit.recommenders.adapters.manifest import Decoding, RecommenderManifest
from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.training.model import build_model
from auditkit.training.recipe import ModelRecipe
from auditkit.training.tokenizer import build_tokenizer
from auditkit.types import Item

ITEMS = tuple(Item(item.id, item.display_title) for item in world().catalog.items)
torch.set_num_threads(1)
SIZE = ModelRecipe(width=16, layers=2, heads=2, mlp=32, context=512, text_vocabulary=300)


def save(folder, *, style="rank", window=50, with_items=True, **entries):
    tokenizer = build_tokenizer(
        [item_reference(item.id) for item in ITEMS] if with_items else [],
        ["Recommend movies to watch next."] * 9,
        vocabulary=300,
    )
    model = build_model(SIZE, tokenizer, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # random scores far enough apart to rank
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    RecommenderManifest(
        version=1,
        name="tiny",
        kind="causal",
        style=style,
        decoding=Decoding(history_window=window, max_new_tokens=6),
        **entries,
    ).write(folder)
    return folder
