"""The model of a recipe: a small Llama trained from scratch.

Dropout on embeddings and on the last hidden state is added by forward hooks, for the Llama
architecture has none; hooks leave no trace in the saved weights and do nothing in evaluation mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auditkit.training.recipe import ModelRecipe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["attach_dropout", "build_model"]


def build_model(
    recipe: ModelRecipe, tokenizer: PreTrainedTokenizerFast, *, seed: int
) -> LlamaForCausalLM:
    """A randomly initialised decoder-only transformer with tied embeddings, float32."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.mlp,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config).float()


def attach_dropout(model: LlamaForCausalLM, probability: float) -> None:
    """Drop entries of the embeddings and of the last hidden state while training."""

    def drop(
        module: torch.nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> torch.Tensor:
        return torch.nn.functional.dropout(output, probability, training=module.training)

    if probability > 0:
        model.get_input_embeddings().register_forward_hook(drop)
        model.model.norm.register_forward_hook(drop)
