"""Training rows and their batches.

A `Row` is a list of token ids and the position of its first target; all tokens from this position
on are predicted. Decoder-only models read the whole row, padded on the left, so the predicted
positions of a batch form one block at its end and the output head is computed only for this block.
Encoder-decoders read the tokens before the first target and generate the rest. A `Pair` has two
matching texts, and a `Masked` row has masked tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from auditkit.errors import InvalidArgument

__all__ = [
    "AnyRow",
    "Batch",
    "Masked",
    "Pair",
    "PairBatch",
    "Row",
    "collate",
    "collate_masked",
    "collate_pairs",
    "n_tokens",
]

NO_TARGET = -100


class Row(NamedTuple):
    """Token ids of a row, and the index of the first predicted token.

    Attributes:
        choices: candidate tokens for the target, for objective `choice`; if empty, all tokens.
        counterfactual: counterfactual row with the same number of targets, for objective
            `counterfactual_consistency`; empty if there is none.
        weights: weights of the targets, for objective `language_model`; empty if all are 1.
        label: index of the user's attribute value, for objective `adversarial_prompt`; -1 if
            unknown.
    """

    ids: tuple[int, ...]
    first_target: int
    choices: tuple[int, ...] = ()
    counterfactual: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    label: int = -1


class Pair(NamedTuple):
    """Token ids of two matching texts, and the log-probability of sampling the second text."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    log_share: float = 0.0


class Masked(NamedTuple):
    """A row with masked tokens; `targets` has their original ids, and -100 elsewhere."""

    ids: tuple[int, ...]
    targets: tuple[int, ...]


AnyRow = Row | Pair | Masked


class Batch(NamedTuple):
    """Padded rows.

    Attributes:
        input_ids, attention_mask: [B, T] int64.
        targets: [B, S] int64, -100 where nothing is predicted. Decoder-only: the last S tokens of
            each row. Encoder-decoder: the output tokens. Masked: S = T, the original token at each
            masked position.
        choices: [B, C] int64 candidate tokens of each row; None if a row has no choices.
        counterfactual: batch of counterfactual rows; None if no row has one.
        has_counterfactual: [B] bool, whether a row has a counterfactual.
        weights: [B, S] float weights of the targets; None if no row has weights.
        labels: [B] int64, label of each row or -1; None if no row has a label.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    targets: torch.Tensor
    choices: torch.Tensor | None = None
    counterfactual: Batch | None = None
    has_counterfactual: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    labels: torch.Tensor | None = None


class PairBatch(NamedTuple):
    """Pairs, padded on the right; tensors [B, T] int64 and [B] float."""

    left_ids: torch.Tensor
    left_mask: torch.Tensor
    right_ids: torch.Tensor
    right_mask: torch.Tensor
    log_share: torch.Tensor


def collate(rows: Sequence[Row], *, pad: int, encoder_decoder: bool = False) -> Batch:
    """Collate rows to a batch.

    Raises:
        InvalidArgument: a row has no target, so its loss would be undefined.
    """
    if any(row.first_target >= len(row.ids) or row.first_target < 1 for row in rows):
        raise InvalidArgument(
            "A training row has nothing to predict. Give every row a prompt and a target."
        )
    if encoder_decoder:
        sources = [row.ids[: row.first_target] for row in rows]
        input_ids, mask = _padded(sources, pad, left=False)
        targets, _ = _padded([row.ids[row.first_target :] for row in rows], NO_TARGET, left=False)
    else:
        input_ids, mask = _padded([row.ids for row in rows], pad, left=True)
        targets, _ = _padded([row.ids[row.first_target :] for row in rows], NO_TARGET, left=True)
    choices = (
        torch.tensor([row.choices for row in rows]) if all(row.choices for row in rows) else None
    )
    counterfactual, has_counterfactual = None, None
    if any(row.counterfactual for row in rows):
        has_counterfactual = torch.tensor([bool(row.counterfactual) for row in rows])
        counterfactuals = [
            Row(row.counterfactual, len(row.counterfactual) - len(row.ids) + row.first_target)
            if row.counterfactual
            else Row(row.ids, row.first_target)
            for row in rows
        ]
        counterfactual = collate(counterfactuals, pad=pad, encoder_decoder=encoder_decoder)
    weights = None
    if any(row.weights for row in rows):
        weights = torch.ones(targets.shape)
        weights[targets != NO_TARGET] = torch.tensor([w for row in rows for w in _weights(row)])
    labels = torch.tensor([row.label for row in rows])
    return Batch(
        input_ids, mask, targets, choices, counterfactual, has_counterfactual, weights,
        labels if bool((labels >= 0).any()) else None,
    )  # fmt: skip


def _weights(row: Row) -> tuple[float, ...]:
    return row.weights or (1.0,) * (len(row.ids) - row.first_target)


def collate_masked(rows: Sequence[Masked], *, pad: int) -> Batch:
    """Collate rows with masked tokens to a batch, padded on the right."""
    input_ids, mask = _padded([row.ids for row in rows], pad, left=False)
    targets, _ = _padded([row.targets for row in rows], NO_TARGET, left=False)
    return Batch(input_ids, mask, targets)


def collate_pairs(rows: Sequence[Pair], *, pad: int) -> PairBatch:
    """Collate pairs to a batch."""
    left_ids, left_mask = _padded([row.left for row in rows], pad, left=False)
    right_ids, right_mask = _padded([row.right for row in rows], pad, left=False)
    share = torch.tensor([row.log_share for row in rows], dtype=torch.float32)
    return PairBatch(left_ids, left_mask, right_ids, right_mask, share)


def n_tokens(row: AnyRow) -> int:
    """Count the tokens of a row, without padding."""
    return len(row.left) + len(row.right) if isinstance(row, Pair) else len(row.ids)


def _padded(
    rows: Sequence[Sequence[int]], pad: int, *, left: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows to equal length; return ids and attention mask, each [B, T] int64."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row, dtype=torch.long)
        mask[i, place] = 1
    return ids, mask
