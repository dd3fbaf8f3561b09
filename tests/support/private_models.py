"""Tiny random models with the trainable sets that private training supports, and ragged rows."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from auditkit.training.objectives import OBJECTIVES
from auditkit.training.rows.batches import Row, collate

VOCABULARY = 40
torch.set_num_threads(1)


def llama(*, tied=True):
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=tied,
            max_position_embeddings=64,
        )
    )  # fmt: skip


def gpt2():
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=64,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )
    )  # fmt: skip


def t5():
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
            dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0,
        )
    )  # fmt: skip


def with_lora(model, *, task="CAUSAL_LM", targets=("q_proj", "v_proj"), **options):
    targets = list(targets)
    return get_peft_model(
        model, LoraConfig(task_type=task, r=4, lora_alpha=8, target_modules=targets, **options)
    )


LORA = {
    "LoRA, tied frozen embeddings": lambda: with_lora(llama()),
    "rsLoRA": lambda: with_lora(llama(), use_rslora=True),
    "LoRA and an untied head": lambda: with_lora(llama(tied=False), modules_to_save=["lm_head"]),
    "LoRA on Conv1D of GPT-2": lambda: with_lora(gpt2(), targets=["c_attn"], fan_in_fan_out=True),
    "LoRA on q and v of T5": lambda: with_lora(t5(), task="SEQ_2_SEQ_LM", targets=["q", "v"]),
}
FULL = {
    "full Llama, tied": llama,
    "full Llama, untied": lambda: llama(tied=False),
    "full GPT-2 with position ids": gpt2,
}
MODELS = {**LORA, **FULL}


def ragged_rows(n=7, *, seed=0, **fields):
    """Rows whose prompts and numbers of targets differ."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        length = 6 + (5 * i) % 9
        ids = tuple(int(token) for token in rng.integers(3, VOCABULARY, length))
        rows.append(Row(ids, 2 + i % 3, **fields))
    return rows


def prepared(make, objectives=("language_model",), **options):
    """A model in training mode without a parameter of zeros, and its losses [B] of rows."""
    torch.manual_seed(0)
    model = make().train()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and not bool(parameter.any()):
                parameter.normal_(0, 0.2)
    encoder_decoder = model.config.is_encoder_decoder

    def losses(rows):
        batch = collate(rows, pad=0, encoder_decoder=encoder_decoder)
        return sum(OBJECTIVES[name].losses(model, batch, **options) for name in objectives)

    return SimpleNamespace(
        model=model, losses=losses, parameters=[p for p in model.parameters() if p.requires_grad]
    )


def one_at_a_time(fixture, units, *, clip):
    """The clipped sum of a plain loop: one backward pass and one norm for every unit."""
    total = [torch.zeros_like(p) for p in fixture.parameters]
    for unit in units:
        for parameter in fixture.parameters:
            parameter.grad = None
        torch.stack([fixture.losses([row])[0] for row in unit]).mean().backward()
        gradients = [p.grad for p in fixture.parameters]
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        for sums, gradient in zip(total, gradients, strict=True):
            sums += gradient * min(1.0, clip / (float(norm) + 1e-6))
    for parameter in fixture.parameters:
        parameter.grad = None
    return total


def median_norm(fixture, units):
    """Median norm of the units' gradients, so that a clip of it clips half of them."""
    norms = []
    for unit in units:
        (found,) = [torch.stack([fixture.losses([row])[0] for row in unit]).mean()]
        gradients = torch.autograd.grad(found, fixture.parameters)
        norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
    return float(np.median(norms))


def grouped(rows, sizes):
    """Rows as units of these sizes."""
    bounds = [0, *np.cumsum(sizes)]
    return [rows[begin:end] for begin, end in pairwise(bounds)]
