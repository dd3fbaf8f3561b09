"""Training rows and the batches that they make.

A `Row` is a list of token ids and the position of its first target; everything from there on is
predicted. Decoder-only models read it whole, padded on the left, so the predicted positions of a
batch form one block at its end and the head runs only there; encoder-decoders read what stands
before the first target and write the rest. A `Pair` holds two texts that belong together, a
`Masked` row hides some of its tokens.
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
    """Token ids and the index of the first one that is predicted.

    Attributes:
        choices: the only tokens that compete for the target, for objective `choice`; empty is all.
        twin: the row of the counterfactual twin, for objective `counterfactual_consistency`; as
            many targets as the row, empty where the row is its own twin.
        weights: of the targets, for objective `language_model`; empty where all weigh 1.
        label: the user's value of an attribute, for objective `adversarial_prompt`; -1 unknown.
    """

    ids: tuple[int, ...]
    first_target: int
    choices: tuple[int, ...] = ()
    twin: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    label: int = -1


class Pair(NamedTuple):
    """Two texts that belong together, and the log-probability of drawing the right one."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    log_share: float = 0.0


class Masked(NamedTuple):
    """A row with hidden tokens; `targets` holds what they were and -100 elsewhere."""

    ids: tuple[int, ...]
    targets: tuple[int, ...]


AnyRow = Row | Pair | Masked


class Batch(NamedTuple):
    """Padded rows.

    Attributes:
        input_ids, attention_mask: [B, T] int64.
        targets: [B, S] int64, -100 where nothing is predicted. Decoder-only: the last S tokens of
            each row. Encoder-decoder: what is written. Masked: S = T, what each position was.
        choices: [B, C] int64 tokens that compete, None where a row names none.
        twin: the twins' batch, None where no row has one. has_twin: [B] bool, which rows have.
        weights: [B, S] float of the targets, None where no row names any. labels: [B] int64, None
            where no row has one.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    targets: torch.Tensor
    choices: torch.Tensor | None = None
    twin: Batch | None = None
    has_twin: torch.Tensor | None = None
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
    """One batch of rows.

    Raises:
        InvalidArgument: a row without a target; its loss would be undefined.
    """
    if any(row.first_target >= len(row.ids) or row.first_target < 1 for row in rows):
        raise InvalidArgument(
            "a training row has nothing to predict. Give every row a prompt and a target."
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
    twin, has_twin = None, None
    if any(row.twin for row in rows):
        has_twin = torch.tensor([bool(row.twin) for row in rows])
        twins = [
            Row(row.twin, len(row.twin) - len(row.ids) + row.first_target)
            if row.twin
            else Row(row.ids, row.first_target)
            for row in rows
        ]
        twin = collate(twins, pad=pad, encoder_decoder=encoder_decoder)
    weights = None
    if any(row.weights for row in rows):
        weights = torch.ones(targets.shape)
        weights[targets != NO_TARGET] = torch.tensor([w for row in rows for w in _weights(row)])
    labels = torch.tensor([row.label for row in rows])
    return Batch(
        input_ids, mask, targets, choices, twin, has_twin, weights,
        labels if bool((labels >= 0).any()) else None,
    )  # fmt: skip


def _weights(row: Row) -> tuple[float, ...]:
    return row.weights or (1.0,) * (len(row.ids) - row.first_target)


def collate_masked(rows: Sequence[Masked], *, pad: int) -> Batch:
    """One batch of rows with hidden tokens, padded on the right."""
    input_ids, mask = _padded([row.ids for row in rows], pad, left=False)
    targets, _ = _padded([row.targets for row in rows], NO_TARGET, left=False)
    return Batch(input_ids, mask, targets)


def collate_pairs(rows: Sequence[Pair], *, pad: int) -> PairBatch:
    """One batch of pairs."""
    left_ids, left_mask = _padded([row.left for row in rows], pad, left=False)
    right_ids, right_mask = _padded([row.right for row in rows], pad, left=False)
    share = torch.tensor([row.log_share for row in rows], dtype=torch.float32)
    return PairBatch(left_ids, left_mask, right_ids, right_mask, share)


def n_tokens(row: AnyRow) -> int:
    """Tokens of a row without padding."""
    return len(row.left) + len(row.right) if isinstance(row, Pair) else len(row.ids)


def _padded(
    rows: Sequence[Sequence[int]], pad: int, *, left: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask [B, T] int64."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row, dtype=torch.long)
        mask[i, place] = 1
    return ids, mask
