"""Model of a recipe with its tokenizer and templates: from scratch, or a base with an adapter.

Dropout on embeddings and on the last hidden state is added by forward hooks, because the Llama
architecture has none. Hooks do not change the saved weights and are inactive in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from auditkit.catalog.dataset import Dataset
from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.language_model import LanguageModel
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.prompting.token_encoding import item_tokens
from auditkit.training.item_indexing import index_items
from auditkit.training.recipe import LoraRecipe, ModelRecipe, SoftPromptRecipe, TrainingRecipe
from auditkit.training.rows.history_sampling import training_histories
from auditkit.training.rows.training_rows import corpus
from auditkit.training.tokenizer import build_tokenizer
from auditkit.training.training_users import left_out

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Trainee", "attach_dropout", "build_model", "prepare"]

Kind = Literal["causal", "seq2seq", "encoder"]
Style = Literal["rank", "generate", "pointwise", "embed"]
_KINDS: Mapping[str, Kind] = {"llama": "causal", "t5": "seq2seq", "bert": "encoder"}


@dataclass(frozen=True, kw_only=True)
class Trainee:
    """A trainable model with its tokenizer and prompt templates.

    Attributes:
        tokens: item id -> token ids; empty for models that read titles.
        index: item id -> tokens, if items have several tokens.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    prompts: Prompts
    kind: Kind
    style: Style
    tokens: Mapping[str, tuple[int, ...]]
    index: Mapping[str, tuple[str, ...]] | None = None


def prepare(recipe: TrainingRecipe, dataset: Dataset, *, base: Path | None) -> Trainee:
    """Create the model, tokenizer and templates of a recipe, deterministically in its seed.

    Args:
        base: folder of the base model, for recipes with a base.
    """
    shipped = Prompts.shipped(recipe.prompts, domain_pack(dataset.catalog.domain))
    taught = {name: task for name, task in shipped.tasks.items() if recipe.tasks.get(name)}
    prompts = replace(shipped, tasks=taught)
    if base is not None:
        return _adapted(recipe, prompts, base)
    index = None
    if recipe.model.indexing != "titles":
        users = dataset.interactions.user_ids
        held_out = frozenset() if recipe.data.synthetic else left_out(recipe, users)
        everybody = training_histories(dataset, fit=recipe.data.fit)
        histories = [items for user, items in enumerate(everybody) if user not in held_out]
        index = index_items(recipe.model.indexing, dataset, histories, seed=recipe.seed)
    tokenizer = build_tokenizer(
        list(dict.fromkeys(token for tokens in (index or {}).values() for token in tokens)),
        corpus(dataset, prompts),
        vocabulary=recipe.model.text_vocabulary,
        mask=any(recipe.tasks.get(name) for name in ("masked_behavior", "masked_text")),
    )
    kind = _KINDS[recipe.model.architecture]
    model = build_model(recipe.model, tokenizer, seed=recipe.seed)
    attach_dropout(model, recipe.model.dropout)
    return Trainee(
        model=model,
        tokenizer=tokenizer,
        prompts=prompts,
        kind=kind,
        style=_style(recipe, kind, index is not None),
        tokens=item_tokens(tokenizer, index) if index else {},
        index=None if recipe.model.indexing == "item" else index,
    )


def _style(recipe: TrainingRecipe, kind: Kind, has_items: bool) -> Style:
    if kind == "encoder":
        return "embed"
    if "choice" in recipe.objectives:
        return "pointwise"
    return "rank" if has_items else "generate"


def _adapted(recipe: TrainingRecipe, prompts: Prompts, base: Path) -> Trainee:
    """Load the base model and add the adapter.

    The chat template is removed, because audits must use the prompts of training.
    """
    manifest = RecommenderManifest.read(base)
    if manifest.kind == "encoder":
        raise ConfigurationError(
            f"model.base {recipe.model.base} is an encoder. Dual encoders are trained from scratch."
        )
    loaded = load_folder(base)
    if not isinstance(loaded, LanguageModel):
        raise TypeError(f"{base} does not contain a language model")
    loaded.tokenizer.chat_template = None
    loaded.tokenizer.padding_side = "left"
    kind, index = manifest.kind, loaded.item_index
    tokens = item_tokens(loaded.tokenizer, index) if prompts.history == "item_tokens" else {}
    if prompts.history == "item_tokens" and not tokens:
        raise ConfigurationError(
            f"model.base {recipe.model.base} has no item tokens, which the prompts "
            f"{recipe.prompts} need. Set `prompts: title_lists` or `prompts: titles`, which refer "
            "to items by title."
        )
    return Trainee(
        model=_with_adapter(recipe, loaded.model),
        tokenizer=loaded.tokenizer,
        prompts=prompts,
        kind=kind,
        style=_style(recipe, kind, bool(tokens)),
        tokens=tokens,
        index={item: tuple(index[item]) for item in index} if index and tokens else None,
    )


def _with_adapter(recipe: TrainingRecipe, model: PreTrainedModel) -> PreTrainedModel:
    torch.manual_seed(recipe.seed)
    if recipe.adapter == "full":
        return model
    from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model

    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    if isinstance(recipe.adapter, LoraRecipe):
        config = LoraConfig(
            task_type=task,
            r=recipe.adapter.r,
            lora_alpha=recipe.adapter.alpha,
            lora_dropout=recipe.adapter.dropout,
            target_modules=recipe.adapter.targets,
        )
    else:
        soft = isinstance(recipe.adapter, SoftPromptRecipe)
        kind = PromptTuningConfig if soft else PrefixTuningConfig
        config = kind(task_type=task, num_virtual_tokens=recipe.adapter.tokens)
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ConfigurationError(
            f"The adapter does not match model.base: {error} Name the layers in adapter.targets."
        ) from None


def build_model(
    recipe: ModelRecipe, tokenizer: PreTrainedTokenizerFast, *, seed: int
) -> PreTrainedModel:
    """Build a randomly initialized transformer in float32."""
    control = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(seed)
    if recipe.architecture == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=recipe.width,
                intermediate_size=recipe.mlp,
                num_hidden_layers=recipe.layers,
                num_attention_heads=recipe.heads,
                num_key_value_heads=recipe.heads,
                max_position_embeddings=recipe.context,
                tie_word_embeddings=True,
                **control,
            )
        ).float()
    if recipe.architecture == "t5":
        t5 = T5ForConditionalGeneration(
            T5Config(
                vocab_size=len(tokenizer),
                d_model=recipe.width,
                d_kv=recipe.width // recipe.heads,
                d_ff=recipe.mlp,
                num_layers=recipe.layers,
                num_heads=recipe.heads,
                dropout_rate=recipe.dropout,
                decoder_start_token_id=tokenizer.pad_token_id,
                **control,
            )
        ).float()
        _initialize_t5(t5, seed)
        return t5
    return BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            max_position_embeddings=recipe.context,
            hidden_dropout_prob=recipe.dropout,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        ),
        add_pooling_layer=False,
    ).float()


@torch.no_grad()
def _initialize_t5(t5: PreTrainedModel, seed: int) -> None:
    """Initialize T5 by parameter name, because releases of transformers sample in different orders.

    The scales are those of T5 (Raffel et al. 2020), except for the embeddings and the head. T5
    gives embeddings a standard deviation of 1 and scales its head by width^-1/2, which a short
    training cannot correct. Here, embeddings and head get the scales of the other architectures.
    """
    draw = torch.Generator().manual_seed(seed)
    width, head_width = t5.config.d_model, t5.config.d_kv
    for name, weight in sorted(t5.named_parameters()):
        scale = weight.shape[-1] ** -0.5
        if name == "shared.weight":
            scale = 0.02
        elif name.endswith(".q.weight"):
            scale = (width * head_width) ** -0.5
        elif "relative_attention_bias" in name:
            scale = width**-0.5
        if weight.ndim > 1:
            weight.normal_(0, scale, generator=draw)
    t5.decoder.final_layer_norm.weight.fill_(width**0.5)


def attach_dropout(model: PreTrainedModel, probability: float) -> None:
    """Add dropout to the embeddings and last hidden state of a decoder-only model.

    The other architectures already have dropout layers.
    """
    if not isinstance(model, LlamaForCausalLM) or probability <= 0:
        return

    def drop(
        module: torch.nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> torch.Tensor:
        return torch.nn.functional.dropout(output, probability, training=module.training)

    model.get_input_embeddings().register_forward_hook(drop)
    model.model.norm.register_forward_hook(drop)
