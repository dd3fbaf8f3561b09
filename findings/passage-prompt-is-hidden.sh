#!/usr/bin/env bash
# sentence-transformers: a `passage` prompt is not used by encode_document.
#
# The documentation of encode_document says that it takes the first prompt that the model has among
# `document`, `passage` and `corpus`. Many retrieval models (the E5 family, for example) name theirs `query` and
# `passage`. When such a model is created or loaded, an empty `document` prompt is added to the stored
# ones, and the empty prompt is found first: queries are encoded with their prompt, documents without.
# Nothing is logged. Only encode(texts, prompt_name="passage") uses the prompt.
#
# Output seen: prompts {'query': 'query: ', 'document': '', 'passage': 'passage: '}; encode_query uses
# its prompt; encode_document equals no prompt, cosine .75 with the vectors of the passage prompt (random weights).
# 5.7.0 with transformers 4.57.6 does the same.
# Needs Linux, Python 3.11 or newer, and about 2 GB in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PY'
import sys

import numpy as np
import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

folder = sys.argv[1]
words = {word: i for i, word in enumerate(("[PAD]", "[UNK]", "query", "passage", ":", "heat", "alien"))}
backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
backend.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
)
tokenizer.save_pretrained(f"{folder}/base")
torch.manual_seed(0)
sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
BertModel(BertConfig(vocab_size=7, **sizes)).save_pretrained(f"{folder}/base")
made = SentenceTransformer(
    modules=[Transformer(f"{folder}/base"), Pooling(32, "mean")],
    prompts={"query": "query: ", "passage": "passage: "},
    device="cpu",
)
made.save(f"{folder}/model")
model = SentenceTransformer(f"{folder}/model", device="cpu")
texts = ["heat alien", "alien"]
same = lambda a, b: bool(np.allclose(a, b, atol=1e-6))  # noqa: E731
documents = model.encode_document(texts, normalize_embeddings=True)
passages = model.encode(texts, prompt_name="passage", normalize_embeddings=True)
query_used = same(model.encode_query(texts), model.encode(texts, prompt="query: "))
none_used = same(documents, model.encode(texts, prompt="", normalize_embeddings=True))
cosine = float((documents * passages).sum(1).min())
print(f"sentence-transformers {sentence_transformers.__version__}: prompts {model.prompts}")
print(f"encode_query uses its prompt {query_used}; encode_document uses none {none_used}; "
      f"cosine with the passage prompt {cosine:.2f}")
hidden = model.prompts.get("document") == "" and none_used and cosine < 0.99
sys.exit(0 if query_used and hidden else "the behavior has changed")
PY
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0
"$work/env/bin/python" "$work/run.py" "$work" 2>"$work/log" || { cat "$work/log"; exit 1; }
