"""Training objectives that return one loss per example instead of a batch average.

`model(labels=...).loss` averages over all tokens of a batch, so the gradient of an example depends
on the lengths of the other examples (measured: its norm rises from 0.398 to 0.514). Per-example
means are independent of other examples, as differential privacy requires, and make accumulation
exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, normalize
from transformers import T5ForConditionalGeneration

from auditkit.engine.decoder import decoder_of, upcast
from auditkit.engine.embedding_perturbation import perturbed_losses
from auditkit.engine.releases import cache_argument
from auditkit.errors import InvalidArgument
from auditkit.training.rows.batches import NO_TARGET, AnyRow, Batch, Masked, Pair, PairBatch, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "OBJECTIVES",
    "Objective",
    "adversarial_prompt",
    "choice",
    "contrastive",
    "counterfactual_consistency",
    "embedding_adversarial",
    "language_model",
    "last_states",
    "masked_language_model",
    "next_k_behaviors",
]

_HORIZON = 3  # number of next behaviors that PTUM predicts
_TEMPERATURE = 0.07
# Attributes of a model with per-example gradients, set by `training.dp` and by Opacus.
_RECORDERS = ("per_example_gradients", "autograd_grad_sample_hooks")


@dataclass(frozen=True)
class Objective:
    """A loss function with the properties that recipes must respect.

    Attributes:
        losses: function that maps (model, batch) and optional settings to losses [B], in nats.
        per_example: whether the loss of an example depends on this example only; DP training
            requires True.
        kind: type of the rows that the loss is computed for.
    """

    losses: Callable[..., torch.Tensor]
    per_example: bool
    kind: type[AnyRow] = Row


def language_model(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Mean negative log-likelihood of each row's targets, multiplied by their weights if given.

    Returns:
        [B] nats per target token, >= 0; ideal 0.
    """
    predicted = batch.targets != NO_TARGET
    losses = cross_entropy(_logits(model, batch), batch.targets[predicted], reduction="none")
    if batch.weights is not None:
        losses = losses * batch.weights[predicted]
    return _row_means(losses, predicted)


def choice(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Negative log-likelihood of the target, normalized over the row's choices.

    For two choices, the loss is binary cross-entropy on the difference of their logits (TALLRec,
    Bao et al. 2023).

    Returns:
        [B] nats, >= 0; ideal 0.

    Raises:
        InvalidArgument: rows without choices, or with more than one target.
    """
    predicted = batch.targets != NO_TARGET
    if batch.choices is None or not bool((predicted.sum(dim=1) == 1).all()):
        raise InvalidArgument(
            "Objective `choice` got rows without choices or with several targets. Use a task that "
            "defines choices, such as `like`."
        )
    logits = _logits(model, batch).gather(1, batch.choices)
    chosen = (batch.choices == batch.targets[predicted][:, None]).int().argmax(dim=1)
    return cross_entropy(logits, chosen, reduction="none")


def next_k_behaviors(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Mean negative log-likelihood of the next three targets at every position.

    The same distribution predicts all three targets (PTUM, Wu et al. 2020).

    Returns:
        [B] nats per target; the minimum is above 0 if the three targets differ.
    """
    predicted = batch.targets != NO_TARGET
    table = _logits(model, batch).log_softmax(dim=1)
    places = predicted.new_zeros(predicted.shape, dtype=torch.long)
    places[predicted] = torch.arange(len(table), device=places.device)
    losses, counts = table.new_zeros(len(predicted)), table.new_zeros(len(predicted))
    for ahead in range(_HORIZON):
        both = predicted[:, : predicted.shape[1] - ahead] & predicted[:, ahead:]
        rows = places[:, : both.shape[1]][both]
        wanted = batch.targets[:, ahead:][both]
        owner = both.nonzero()[:, 0]
        losses = losses.index_add(0, owner, -table[rows, wanted])
        counts = counts.index_add(0, owner, torch.ones_like(wanted, dtype=table.dtype))
    return losses / counts


def counterfactual_consistency(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Jensen-Shannon divergence between the predictions for a user and a counterfactual user.

    The two users differ in one stated attribute. The divergence is averaged over the row's targets.

    Returns:
        [B] nats in [0, ln 2]; ideal 0, and 0 for a row without a counterfactual.
    """
    predicted = batch.targets != NO_TARGET
    if batch.counterfactual is None or batch.has_counterfactual is None:
        return torch.zeros(len(predicted), dtype=model.dtype, device=batch.targets.device)
    own, other = (_logits(model, one).log_softmax(dim=1) for one in (batch, batch.counterfactual))
    middle = torch.logaddexp(own, other) - math.log(2)
    divergence = sum(0.5 * (table.exp() * (table - middle)).sum(dim=1) for table in (own, other))
    means = _row_means(divergence, predicted)  # type: ignore[arg-type]
    # Rows without a counterfactual are compared with a copy, which dropout makes different.
    return torch.where(batch.has_counterfactual, means, 0.0)


def adversarial_prompt(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Placeholder for the adversarial objective, which `attribute_adversary.Adversary` computes.

    The objective couples examples, because its cap applies to the mean over the batch.

    Raises:
        InvalidArgument: always, because the training loop must use the recipe's adversary instead.
    """
    raise InvalidArgument(
        "Objective `adversarial_prompt` has no adversary. Add a section `adversary` to the recipe."
    )


def embedding_adversarial(
    model: PreTrainedModel, batch: Batch, *, scale: float = 0.5, steps: int = 1
) -> torch.Tensor:
    """The `language_model` loss with the prompt's embeddings moved to increase it.

    Args:
        scale, steps: radius and number of steps of the perturbation; see
            `engine.embedding_perturbation`.

    Returns:
        [B] nats per target token, >= 0. If this loss exceeds that of `language_model` by less than
        1 %, the radius is too small for the model to learn from the perturbation.

    Source: FGM (Miyato et al. 2017) with one step, FreeLB (Zhu et al. 2020) with more.
    """
    prompt = batch.attention_mask.bool()
    if not model.config.is_encoder_decoder:
        predicted = batch.targets != NO_TARGET
        prompt = prompt.clone()
        prompt[:, -predicted.shape[1] :] &= ~predicted
    source = getattr(model, "per_example_gradients", None)
    return perturbed_losses(
        model, lambda: language_model(model, batch), prompt, scale=scale, steps=steps,
        inner=nullcontext if source is None else source.paused,
    )  # fmt: skip


def masked_language_model(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Mean negative log-likelihood of each row's masked tokens (BERT, Devlin et al. 2019).

    The input embedding matrix serves as the output head.

    Returns:
        [B] nats per masked token, >= 0; ideal 0.
    """
    hidden = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    predicted = batch.targets != NO_TARGET
    logits = upcast(hidden[predicted] @ model.get_input_embeddings().weight.T)
    losses = cross_entropy(logits, batch.targets[predicted], reduction="none")
    return _row_means(losses, predicted)


def contrastive(model: PreTrainedModel, batch: PairBatch) -> torch.Tensor:
    """InfoNCE loss with in-batch negatives, on cosine similarities at temperature 0.07.

    Scores are corrected for the sampling probability of each text (logQ), and texts equal to the
    target are excluded from the negatives. The objective couples examples, because the negatives
    are the other examples of the batch.

    Source: van den Oord et al. 2018 (InfoNCE); Yi et al. 2019 (logQ).

    Returns:
        [B] nats, >= 0; ideal 0.
    """
    left = _embedded(model, batch.left_ids, batch.left_mask)
    right = _embedded(model, batch.right_ids, batch.right_mask)
    logits = left @ right.T / _TEMPERATURE - batch.log_share
    equal = (batch.right_ids[:, None] == batch.right_ids[None]).all(dim=2)
    own = torch.eye(len(left), dtype=torch.bool, device=left.device)
    logits = logits.masked_fill(equal & ~own, -torch.inf)
    return cross_entropy(logits, torch.arange(len(left), device=left.device), reduction="none")


def _embedded(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean last hidden states as unit vectors, [B, d]."""
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask[:, :, None].to(hidden.dtype)
    return normalize((hidden * weights).sum(dim=1) / weights.sum(dim=1), dim=1)


def _row_means(values: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Average `values` [number of targets] over each row's targets, marked in `predicted` [B,
    S].
    """
    sums = torch.zeros(len(predicted), dtype=values.dtype, device=values.device)
    return sums.index_add(0, predicted.nonzero()[:, 0], values) / predicted.sum(dim=1)


def _logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Return logits [number of targets, V] in the order of `targets[targets != -100]`."""
    predicted = batch.targets != NO_TARGET
    if model.config.is_encoder_decoder:
        return upcast(_written(model, batch, predicted))
    hidden = last_states(model, batch)[:, -predicted.shape[1] - 1 : -1]
    head = model.get_output_embeddings()
    # A head with per-example gradients needs [B, S, d], because gathered rows would give a gradient
    # per token, so gather after it. Otherwise gather before it, which halves the cost of a step.
    recorded = any(hasattr(model, name) for name in _RECORDERS)
    trained = recorded and any(parameter.requires_grad for parameter in head.parameters())
    return upcast(head(hidden)[predicted] if trained else head(hidden[predicted]))


def _written(model: PreTrainedModel, batch: Batch, predicted: torch.Tensor) -> torch.Tensor:
    """Return logits [number of targets, V] of an encoder-decoder."""
    inputs = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "decoder_input_ids": _shifted(model, batch.targets),
        "use_cache": False,
    }
    if not isinstance(model, T5ForConditionalGeneration):
        return model(**inputs).logits[predicted]  # type: ignore[no-any-return]
    # Running the head on every position, including padding, is a third of the cost of a small T5.
    states = model.encoder(batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    hidden = model.decoder(
        input_ids=inputs["decoder_input_ids"],
        encoder_hidden_states=states,
        encoder_attention_mask=batch.attention_mask,
        use_cache=False,
    ).last_hidden_state[predicted]
    scale = model.model_dim**-0.5 if model.config.tie_word_embeddings else 1.0
    return model.lm_head(hidden * scale)  # type: ignore[no-any-return]


def _shifted(model: PreTrainedModel, targets: torch.Tensor) -> torch.Tensor:
    """Return decoder inputs: the start token, then all targets except the last one."""
    start = torch.full_like(targets[:, :1], model.config.decoder_start_token_id)
    read = torch.cat([start, targets[:, :-1]], dim=1)
    return read.masked_fill(read == NO_TARGET, model.config.pad_token_id)


def last_states(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Return the last hidden states of a decoder-only model, [B, T, d].

    With a soft prompt of n virtual tokens, the shape is [B, n + T, d], virtual tokens first.
    """
    mask, inputs = batch.attention_mask, {"input_ids": batch.input_ids}
    adapter = getattr(model, "active_peft_config", None)
    if adapter is not None and adapter.peft_type == "PREFIX_TUNING":
        return _behind_prefix(model, batch)
    if adapter is not None and adapter.is_prompt_learning:
        inputs, mask = _behind_soft_prompt(model, batch)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    decoder = decoder_of(model.get_base_model() if adapter is not None else model)
    hidden: torch.Tensor = decoder(
        **inputs, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state
    return hidden


def _behind_prefix(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Return the last hidden states [B, T, d] of a model with a tuned prefix.

    The prefix must be adjacent to the first token of a row, so rows are rolled to have their
    padding on the right, and the states are rolled back.
    """
    n, width = model.active_peft_config.num_virtual_tokens, batch.input_ids.shape[1]
    padding = width - batch.attention_mask.sum(dim=1, keepdim=True)
    place = torch.arange(width, device=batch.input_ids.device)[None]
    turned, back = (place + padding) % width, (place - padding) % width
    mask = batch.attention_mask.gather(1, turned)
    decoder = decoder_of(model.get_base_model())
    hidden: torch.Tensor = decoder(
        input_ids=batch.input_ids.gather(1, turned),
        attention_mask=torch.cat([mask.new_ones((len(mask), n)), mask], dim=1),
        position_ids=(n + place).expand(len(mask), -1),
        **{cache_argument(decoder): model.get_prompt(batch_size=len(mask))},
    ).last_hidden_state
    return hidden.gather(1, back[:, :, None].expand(-1, -1, hidden.shape[2]))


def _behind_soft_prompt(
    model: PreTrainedModel, batch: Batch
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return model inputs with the soft prompt between padding and row, and the attention mask."""
    words = model.get_input_embeddings()(batch.input_ids)
    prompt = model.get_prompt(batch_size=len(words))
    n, width = prompt.shape[1], words.shape[1]
    padding = width - batch.attention_mask.sum(dim=1, keepdim=True)
    place = torch.arange(width + n, device=words.device)[None]
    virtual = (place >= padding) & (place < padding + n)
    source = torch.where(
        virtual, width + place - padding, torch.where(place < padding, place, place - n)
    )
    both = torch.cat([words, prompt.to(words.dtype)], dim=1)
    embeds = both.gather(1, source[:, :, None].expand(-1, -1, both.shape[2]))
    return {"inputs_embeds": embeds}, (place >= padding).long()


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "language_model": Objective(language_model, per_example=True),
        "choice": Objective(choice, per_example=True),
        "next_k_behaviors": Objective(next_k_behaviors, per_example=True),
        "counterfactual_consistency": Objective(counterfactual_consistency, per_example=True),
        "embedding_adversarial": Objective(embedding_adversarial, per_example=True),
        "adversarial_prompt": Objective(adversarial_prompt, per_example=False),
        "masked_language_model": Objective(masked_language_model, per_example=True, kind=Masked),
        "contrastive": Objective(contrastive, per_example=False, kind=Pair),
    }
)
