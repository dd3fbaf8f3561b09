"""A folder with a tiny BERT as a dual encoder over the small world's items."""

from __future__ import annotations

import torch
from small_world import world
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.types import Item, Request

torch.set_num_threads(1)
ITEMS = [Item(item.id, item.display_title) for item in world().catalog.items]


def save(folder, **entries):
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special)
    backend.train_from_iterator([item.title for item in ITEMS], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    whole = {"kind": "encoder", "style": "embed", **entries}
    RecommenderManifest(version=1, name="bert", **whole).write(folder)
    return folder


def rendered(encoder, **fields):
    request = Request(id="r", **{"history": tuple(ITEMS[:2]), "k": 4, **fields})
    return Request(**{**request.__dict__, "prompt": encoder.render(request)})
