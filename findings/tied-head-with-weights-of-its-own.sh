#!/usr/bin/env bash
# A tied head that was saved with values of its own: 4.57.6 drops them, 5.24.0 uses them.
#
# config.json says tie_word_embeddings, and model.safetensors contains lm_head.weight with other
# values than the embedding (a fine-tuning script that copied the head leaves such a folder).
# transformers 4.57.6 ties and ignores the saved head; 5.24.0 loads it and does not tie. Neither warns,
# and the loading information lists no missing and no unexpected key, so one folder is two models.
#
# Output seen: 4.57.6 head is the embedding; 5.24.0 head is that of the file; no keys listed in both.
# Needs Linux, Python 3.11 or newer, and about 2 GB in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PY'
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
config = LlamaConfig(
    vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=1,
    num_attention_heads=4, tie_word_embeddings=True,
)
LlamaForCausalLM(config).save_pretrained(folder)
file = f"{folder}/model.safetensors"
tensors = load_file(file)
tensors["lm_head.weight"] = torch.randn(300, 64)
save_file(tensors, file, {"format": "pt"})
model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
tied = torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)
kept = torch.equal(model.lm_head.weight, tensors["lm_head.weight"].to(model.dtype))
listed = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]
print(f"transformers {transformers.__version__}: tied {tied}, head of the file {kept}, keys listed {listed}")
expected = {"4.57.6": (True, False), "5.24.0": (False, True)}[transformers.__version__]
sys.exit(0 if (tied, kept) == expected and not listed else "the behavior has changed")
PY
for release in 4.57.6 5.24.0; do
  python3 -m venv "$work/$release"
  "$work/$release/bin/pip" install -q torch==2.13.0 "transformers==$release"
  "$work/$release/bin/python" "$work/run.py" "$work/model-$release" 2>"$work/log" || { cat "$work/log"; exit 1; }
done
