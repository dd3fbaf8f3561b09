"""Pad rows of unequal length to one tensor. Padding has id 0 and is masked."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from auditkit.engine.prefix_tree import Ids

__all__ = ["pad_left", "pad_right"]


def pad_left(rows: Sequence[Ids], *, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows on the left, for generation; return ids and mask, each [n, longest]."""
    width = max(map(len, rows))
    return _padded(rows, [width - len(row) for row in rows], width, device)


def pad_right(rows: Sequence[Ids], *, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows on the right, for scoring; return ids and mask, each [n, longest]."""
    return _padded(rows, [0] * len(rows), max(map(len, rows)), device)


def _padded(
    rows: Sequence[Ids], starts: Sequence[int], width: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
        ids[i, start : start + len(row)] = torch.tensor(row)
        mask[i, start : start + len(row)] = 1
    return ids.to(device), mask.to(device)
