#!/usr/bin/env bash
# transformers 5.24.0 does not use the normalizer and pre-tokenizer of a saved tokenizer.json.
#
# A byte-level tokenizer with a normalizer of its own is saved with PreTrainedTokenizerFast next to a
# config.json. AutoTokenizer of transformers 4.57.6 loads what was saved. 5.24.0 builds the class that
# belongs to the model type (Qwen2Tokenizer for qwen2, although tokenizer_config.json names
# PreTrainedTokenizerFast) from the vocabulary, with that class's normalizer and pre-tokenizer: the
# same text gets other token ids, and nothing is said. For llama the saved file is used.
#
# Output seen: 4.57.6 equal for llama and qwen2; 5.24.0 equal for llama, other ids for qwen2.
# Needs Linux, Python 3.11 or newer, and a few hundred MB in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PY'
import json
import sys
from pathlib import Path

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

folder = Path(sys.argv[1])
saved = Tokenizer(models.BPE())
saved.normalizer = normalizers.Lowercase()
saved.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
saved.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
saved.train_from_iterator(["heat 1995 the cat"] * 50, trainer)
same = {}
for kind in ("llama", "qwen2"):
    where = folder / kind
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=saved, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(where)
    (where / "config.json").write_text(json.dumps({"model_type": kind}))
    loaded = transformers.AutoTokenizer.from_pretrained(where)
    ids = loaded.encode("HEAT 1995", add_special_tokens=False)
    same[kind] = ids == saved.encode("HEAT 1995", add_special_tokens=False).ids
    print(f"transformers {transformers.__version__}, {kind}: {type(loaded).__name__}, same ids {same[kind]}")
expected = {"llama": True, "qwen2": transformers.__version__ == "4.57.6"}
sys.exit(0 if same == expected else "the behavior has changed")
PY
for release in 4.57.6 5.24.0; do
  python3 -m venv "$work/$release"
  "$work/$release/bin/pip" install -q "transformers==$release"
  mkdir "$work/files-$release"
  "$work/$release/bin/python" "$work/run.py" "$work/files-$release" 2>"$work/log" || { cat "$work/log"; exit 1; }
done
