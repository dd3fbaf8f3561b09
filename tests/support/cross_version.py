"""Write model folders with one release of transformers and score them with another.

python cross_version.py write FOLDER       writes a model folder of every kind into FOLDER
python cross_version.py read FOLDER...     prints JSON: scores in nats by precision, executors and
                                           notes of every kind in every FOLDER, or a refusal
python cross_version.py smollm2            prints JSON: prompt, executor and scores of SmolLM2,
                                           converted into AUDITKIT_CACHE if it is not there
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

VOCABULARY = 300
_WIDTHS = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
_GPT2 = {
    "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY, "n_positions": 512,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_T5 = {
    "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4,
    "vocab_size": VOCABULARY, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
KINDS = (
    "llama", "llama3-scaling", "linear-scaling", "qwen2", "gemma2", "gpt2", "t5", "mistral-window",
    "lora", "prompt-tuning",
)  # fmt: skip


def _model(kind):
    if kind == "llama3-scaling":
        # The two majors spell the same settings differently.
        if transformers.__version__ < "5":
            rotary = {"rope_theta": 500000.0, "rope_scaling": _LLAMA3}
        else:
            rotary = {"rope_parameters": {**_LLAMA3, "rope_theta": 500000.0}}
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**_WIDTHS, **rotary))
    if kind == "linear-scaling":
        if transformers.__version__ < "5":
            rotary = {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}
        else:
            rotary = {
                "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
            }
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**_WIDTHS, **rotary))
    if kind == "qwen2":
        return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**_WIDTHS))
    if kind == "mistral-window":
        return transformers.MistralForCausalLM(
            transformers.MistralConfig(**_WIDTHS, sliding_window=16)
        )
    if kind == "gemma2":
        return transformers.Gemma2ForCausalLM(
            transformers.Gemma2Config(**_WIDTHS, head_dim=16, attn_logit_softcapping=0.5)
        )
    if kind == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**_GPT2))
    if kind == "t5":
        return transformers.T5ForConditionalGeneration(transformers.T5Config(**_T5))
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**_WIDTHS))


def _same_weights(model):
    """Weights that depend on their names only: every release draws its own initial weights."""
    with torch.no_grad():
        for number, (_, parameter) in enumerate(sorted(model.named_parameters())):
            draw = np.random.default_rng(number)
            scale = 0.2 if parameter.ndim > 1 else 0.02
            base = 0.0 if parameter.ndim > 1 else 1.0
            values = base + scale * draw.standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values))


def write(kind, folder):
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir()
    torch.manual_seed(0)
    model = _model(kind)
    _same_weights(model)
    weights = folder / "base" if kind in ("lora", "prompt-tuning") else folder
    model.save_pretrained(weights)
    if kind in ("lora", "prompt-tuning"):
        from peft import LoraConfig, PromptTuningConfig, get_peft_model

        config = (
            LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
            if kind == "lora"
            else PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM")
        )
        adapted = get_peft_model(model, config)
        with torch.no_grad():
            for number, (_, parameter) in enumerate(
                sorted((n, p) for n, p in adapted.named_parameters() if p.requires_grad)
            ):
                draw = np.random.default_rng(1000 + number)
                parameter.copy_(torch.from_numpy(0.3 * draw.standard_normal(parameter.shape)))
        adapted.save_pretrained(folder / "adapter")
    words = {f"w{number}": number for number in range(VOCABULARY)}
    backend = Tokenizer(models.WordLevel(words, unk_token="w3"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="w1", eos_token="w2", pad_token="w0", unk_token="w3"
    ).save_pretrained(folder)
    adapter = "adapter: adapter\n" if weights != folder else ""
    (folder / "recommender.yaml").write_text(
        f"version: 1\nname: {kind}\nkind: {'seq2seq' if kind == 't5' else 'causal'}\n"
        f"style: generate\nweights: {weights.relative_to(folder)}\n{adapter}"
    )


def read(folder):
    from auditkit.errors import TargetUnavailable
    from auditkit.recommenders.adapters.model_folder import load_folder

    try:
        loaded = load_folder(folder)
    except TargetUnavailable as error:
        return {"refused": str(error)}
    draw = np.random.default_rng(0)
    pairs = []
    for length in (3, 20, 60):
        prompt = [1, *map(int, draw.integers(4, VOCABULARY, length))]
        pairs += [(prompt, [int(t) for t in draw.integers(4, VOCABULARY, n)]) for n in (1, 3, 6)]
    causal = loaded.manifest.kind == "causal"
    found = {
        "float32": loaded.engine.score(pairs),
        "passed": loaded.engine.certificate.passed if causal else (),
        "notes": list(loaded.notes),
    }
    loaded.model.double()
    return {**found, "float64": loaded.engine.score(pairs)}


def smollm2():
    from auditkit.recommenders.adapters.model_folder import load_folder
    from auditkit.recommenders.adapters.smollm2 import get_smollm2
    from auditkit.types import Item, Request

    loaded = load_folder(get_smollm2())
    history = (Item("1", "Heat (1995)"), Item("2", "Amélie (2001)"))
    request = Request(id="r", history=history, k=3, instruction="I saw {history}. Name {k}.")
    titles = ["Fargo (1996)", "Alien (1979)", "Aliens (1986)", "Das Boot (1981)"]
    pairs = loaded._pairs([loaded.render(request)], [titles])
    return {
        "prompt": list(pairs[0][0]),
        "executor": loaded.engine.cost(pairs).executor,
        "scores": loaded.engine.score(pairs),
    }


if __name__ == "__main__":
    command, *folders = sys.argv[1:]
    if command == "smollm2":
        print(json.dumps(smollm2()))
    elif command == "write":
        for kind in KINDS:
            write(kind, Path(folders[0]) / kind)
    else:
        print(json.dumps({f: {kind: read(Path(f) / kind) for kind in KINDS} for f in folders}))
