#!/usr/bin/env bash
# transformers 4.57.6 computes Gemma 2 without its cap on attention scores.
#
# A Gemma 2 configuration caps attention scores (`attn_logit_softcapping`, 50 in the released
# models). transformers 4.57.6 chooses sdpa attention by default, which has no cap, and says nothing;
# eager attention applies it. transformers 5.24.0 declares that Gemma 2 has no sdpa and chooses eager.
# So the same folder gives other logits under the two releases. A small cap makes it plain here.
#
# Output seen: 4.57.6 default sdpa, difference to eager above 1e-3; 5.24.0 default eager, 0.
# Needs Linux, Python 3.11 or newer, and about 2 GB in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PY'
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

folder = sys.argv[1]
torch.manual_seed(0)
model = Gemma2ForCausalLM(
    Gemma2Config(
        vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, attn_logit_softcapping=0.5,
    )
).double()
for parameter in model.parameters():
    parameter.data.mul_(3)
model.save_pretrained(folder)
load = lambda **how: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, **how).eval()
usual, eager = load(), load(attn_implementation="eager")
ids = torch.arange(40)[None]
with torch.no_grad():
    difference = float((usual(ids).logits - eager(ids).logits).abs().max())
chosen = usual.config._attn_implementation
print(f"transformers {transformers.__version__}: default {chosen}, difference {difference:.1e}")
expected = {"4.57.6": chosen == "sdpa" and difference > 1e-3, "5.24.0": chosen == "eager" and not difference}
sys.exit(0 if expected[transformers.__version__] else "the behavior has changed")
PY
for release in 4.57.6 5.24.0; do
  python3 -m venv "$work/$release"
  "$work/$release/bin/pip" install -q torch==2.13.0 "transformers==$release"
  "$work/$release/bin/python" "$work/run.py" "$work/model-$release" 2>"$work/log" || { cat "$work/log"; exit 1; }
done
