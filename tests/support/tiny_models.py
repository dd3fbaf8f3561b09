"""Random tiny models of many architectures, and the plainest way to score and to generate."""

from __future__ import annotations

import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Cohere2Config,
    Cohere2ForCausalLM,
    FalconH1Config,
    FalconH1ForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3NextConfig,
    Qwen3NextForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 300
_WIDTHS = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": VOCABULARY,
}
WINDOW = 48


def tiny(name, *, dtype=torch.float64, attention="sdpa", scale=2):
    """A model whose weights, `scale` times the usual, tell right from wrong more loudly.

    Gemma 2 always has eager attention, because sdpa has no soft-capping of attention scores.
    """
    torch.manual_seed(0)
    model = {
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=VOCABULARY)
        ),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**_WIDTHS)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_WIDTHS)),
        "gemma2": lambda: Gemma2ForCausalLM(
            Gemma2Config(**_WIDTHS, head_dim=16, final_logit_softcapping=1.0)
        ),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**_WIDTHS, sliding_window=WINDOW)),
        "bloom": lambda: BloomForCausalLM(
            BloomConfig(hidden_size=64, n_layer=2, n_head=4, vocab_size=VOCABULARY)
        ),
        "t5": lambda: T5ForConditionalGeneration(
            T5Config(
                vocab_size=VOCABULARY,
                d_model=64,
                d_kv=16,
                d_ff=128,
                num_layers=2,
                num_heads=4,
                decoder_start_token_id=0,
            )
        ),
    }[name]()
    if name not in ("bloom", "t5"):
        model.set_attn_implementation("eager" if name == "gemma2" else attention)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    model.generation_config.eos_token_id = None
    return model.to(dtype).eval()


HYBRID = ("gemma3", "cohere2", "gpt-oss", "lfm2", "falcon-h1", "qwen3-next", "mamba")


def hybrid(name):
    """A model with layers of two kinds (sliding and full attention, convolution and attention), or
    with a state instead of keys and values.
    """
    torch.manual_seed(0)
    windows = {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"]}
    experts = {"num_experts_per_tok": 2, "head_dim": 16}
    model = {
        "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**_WIDTHS, **windows, head_dim=16)),
        "cohere2": lambda: Cohere2ForCausalLM(Cohere2Config(**_WIDTHS, **windows)),
        "gpt-oss": lambda: GptOssForCausalLM(
            GptOssConfig(**_WIDTHS, **windows, **experts, num_local_experts=4)
        ),
        "lfm2": lambda: Lfm2ForCausalLM(
            Lfm2Config(**_WIDTHS, layer_types=["conv", "full_attention"])
        ),
        "falcon-h1": lambda: FalconH1ForCausalLM(
            FalconH1Config(
                **_WIDTHS, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_d_state=16
            )
        ),
        "qwen3-next": lambda: Qwen3NextForCausalLM(
            Qwen3NextConfig(
                **_WIDTHS,
                **experts,
                num_experts=4,
                moe_intermediate_size=32,
                shared_expert_intermediate_size=32,
                linear_num_key_heads=2,
                linear_num_value_heads=4,
                linear_key_head_dim=16,
                linear_value_head_dim=16,
                layer_types=["linear_attention", "full_attention"],
            )
        ),
        "mamba": lambda: MambaForCausalLM(
            MambaConfig(hidden_size=64, num_hidden_layers=2, vocab_size=VOCABULARY, state_size=8)
        ),
    }[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    model.generation_config.eos_token_id = None
    return model.eval()


@torch.inference_mode()
def one_by_one(model, pairs):
    """Nats per token, one forward per pair, no cache, no padding."""
    scores = []
    for prompt, continuation in pairs:
        ids = torch.tensor([[*prompt, *continuation[:-1]]])
        if model.config.is_encoder_decoder:
            start = model.config.decoder_start_token_id
            logits = model(
                input_ids=torch.tensor([list(prompt)]),
                decoder_input_ids=torch.tensor([[start, *continuation[:-1]]]),
            ).logits[0]
        else:
            # A soft prompt stands in front of the logits of the tokens.
            logits = model(input_ids=ids, use_cache=False).logits[0]
            logits = logits[-ids.shape[1] :][len(prompt) - 1 :]
        table = logits.log_softmax(dim=1)
        scores.append([float(table[i, token]) for i, token in enumerate(continuation)])
    return scores


def worst(found, expected):
    """Largest difference of a continuation's sum, nats."""
    return max(abs(sum(a) - sum(b)) for a, b in zip(found, expected, strict=True))
