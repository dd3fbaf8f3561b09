"""The plain executor: padded batches, logits only where a token is predicted, float32 on CPU.

The anchor that every faster executor is compared with. Score batches are padded on the right,
generation batches on the left; `position_ids` are always passed, for not every architecture derives
them from the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from auditkit.errors import TargetError
from auditkit.recommenders.protocols import TokenScores

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Generated", "generate", "next_token_logits", "score", "upcast"]

Ids = Sequence[int]


class Generated(NamedTuple):
    """New token ids of one prompt; `cut` if the token limit came before the end token."""

    ids: list[int]
    cut: bool


def upcast(tensor: torch.Tensor) -> torch.Tensor:
    """Half precision becomes float32 before a softmax; float32 and float64 stay as they are."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def _pad(
    rows: Sequence[Ids], *, left: bool, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, attention mask and position ids, each [n, longest]. Padding is id 0: the mask
    hides it.
    """
    width = max(map(len, rows))
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row)
        mask[i, place] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return ids.to(device), mask.to(device), positions.to(device)


@torch.inference_mode()
def next_token_logits(
    model: PreTrainedModel, prompts: Sequence[Ids], *, batch: int = 32
) -> torch.Tensor:
    """Logits of the token after each prompt, [n, vocabulary] float32, in the order given.

    Rows are sorted by length before they are padded, so a batch holds little padding.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    rows: list[torch.Tensor | None] = [None] * len(prompts)
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        ids, mask, positions = _pad([prompts[i] for i in part], left=True, device=model.device)
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            logits_to_keep=1,
        ).logits[:, -1]
        for i, row in zip(part, upcast(logits).cpu(), strict=True):
            rows[i] = row
    return torch.stack([row for row in rows if row is not None])


@torch.inference_mode()
def score(
    model: PreTrainedModel, pairs: Sequence[tuple[Ids, Ids]], *, batch: int = 32
) -> list[TokenScores]:
    """Log-probability in nats of each continuation's tokens given its prompt.

    Args:
        pairs: (prompt ids, continuation ids); both non-empty, jointly tokenised.

    Raises:
        TargetError: `non_finite` where the model returns NaN or infinity, `context_overflow`
            where a pair is too long.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]) + len(pairs[i][1]), i))
    results: list[TokenScores | None] = [None] * len(pairs)
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        rows = [[*pairs[i][0], *pairs[i][1]] for i in part]
        if limit and len(rows[-1]) > limit:
            raise TargetError(
                "context_overflow", detail=f"{len(rows[-1])} tokens, the model reads {limit}"
            )
        ids, mask, positions = _pad(rows, left=False, device=model.device)
        body = model.get_decoder()(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
        ).last_hidden_state
        for row, i in enumerate(part):
            prompt, continuation = pairs[i]
            states = body[row, len(prompt) - 1 : len(prompt) + len(continuation) - 1]
            logits = upcast(model.get_output_embeddings()(states))
            chosen = logits.gather(1, torch.tensor(continuation, device=logits.device)[:, None])[
                :, 0
            ]
            values = (chosen - logits.logsumexp(dim=1)).tolist()
            if not all(map(_finite, values)):
                raise TargetError("non_finite", detail="a log-probability is NaN or infinite")
            results[i] = TokenScores(tuple(values))
    return [result for result in results if result is not None]


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Ids],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    seeds: Sequence[int] = (),
    batch: int = 16,
) -> list[Generated]:
    """Continue each prompt until the model's end token or `max_new_tokens`.

    Greedy at temperature 0; above it every row draws from its own generator, so a text does not
    depend on its batch.

    Returns:
        New token ids per prompt, without the end token, and whether the limit cut them off.
    """
    ends = model.generation_config.eos_token_id
    stops = set(ends if isinstance(ends, list) else [ends])
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    results: list[list[int]] = [[] for _ in prompts]
    cut: set[int] = set()
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        ids, mask, positions = _pad([prompts[i] for i in part], left=True, device=model.device)
        draws = [torch.Generator().manual_seed(seeds[i]) for i in part] if temperature > 0 else []
        cache, alive = None, set(range(len(part)))
        for _ in range(max_new_tokens):
            output = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache, logits = output.past_key_values, upcast(output.logits[:, -1])
            chosen = _choose(logits, temperature=temperature, draws=draws)
            for row in list(alive):
                if chosen[row] in stops:
                    alive.discard(row)
                else:
                    results[part[row]].append(chosen[row])
            if not alive:
                break
            ids = torch.tensor(chosen, device=model.device)[:, None]
            mask = torch.cat([mask, mask.new_ones((len(part), 1))], dim=1)
            positions = positions[:, -1:] + 1
        cut.update(part[row] for row in alive)
    return [Generated(ids, i in cut) for i, ids in enumerate(results)]


def _choose(
    logits: torch.Tensor, *, temperature: float, draws: Sequence[torch.Generator]
) -> list[int]:
    """The next token of every row: the most likely one (lowest id among equals), or a draw."""
    if not draws:
        return [int(token) for token in logits.argmax(dim=1)]
    weights = torch.softmax(logits / temperature, dim=1).cpu()
    return [
        int(torch.multinomial(row, 1, generator=draw))
        for row, draw in zip(weights, draws, strict=True)
    ]


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
