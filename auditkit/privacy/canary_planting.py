"""Plant canaries: synthetic users with random histories, each in with probability 1/2.

A planted canary is sampled, rendered and trained on like a real user, so an audit of canaries
audits the training loop as it is. Coins and histories come from the operating system's entropy and
are written before the first step; a run that is resumed uses the same ones.

Source: Steinke, Nasr & Jagielski 2023 (independent coins in one training run).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.privacy.canary_file import Canary, CanaryFile, canary_path
from auditkit.serialization.atomic_files import set_aside

__all__ = ["draw_canaries", "place_canaries", "with_canaries"]


def draw_canaries(
    item_ids: Sequence[str], *, count: int, length: int, rng: np.random.Generator
) -> tuple[Canary, ...]:
    """Draw the histories and the coins of all canaries.

    Args:
        item_ids: ids of the catalog, from which items are drawn without replacement.
        count: number of canaries. length: items of each.
        rng: must be independent of everything that an attacker could know.

    Raises:
        ConfigurationError: the catalog has fewer items than a canary.
    """
    if length > len(item_ids):
        raise ConfigurationError(
            f"canaries.length {length} exceeds the {len(item_ids)} items of the catalog. "
            "Choose a shorter one."
        )
    drawn = []
    for number in range(count):
        rows = rng.choice(len(item_ids), size=length, replace=False)
        items = tuple(item_ids[row] for row in rows)
        drawn.append(Canary(f"canary-{number:05d}", items, bool(rng.integers(2))))
    return tuple(drawn)


def place_canaries(
    out: Path,
    dataset: Dataset,
    identity: Mapping[str, str],
    *,
    count: int,
    length: int,
    repeats: int,
) -> tuple[Canary, ...]:
    """The canaries of a training run: those of its file, else new ones that are written there.

    Args:
        out: model folder; the file is beside it.
        identity: of the training run; the file of another run is set aside.
        count, length: as in `draw_canaries`. repeats: copies of a planted canary.

    Returns:
        All canaries, planted or not.

    Raises:
        ConfigurationError: a checkpoint is resumed, and the file is missing or that of another run.
    """
    path = canary_path(out)
    found = CanaryFile.read(path) if path.is_file() else None
    if found is not None and found.identity == identity:
        return found.canaries
    if (out / "checkpoints").is_dir() and any((out / "checkpoints").iterdir()):
        raise ConfigurationError(
            f"{path} does not hold the canaries of the checkpoint in {out}, so it is not known "
            "which were planted. Restore the file, or give another --out folder."
        )
    if found is not None:
        set_aside(path)
    rng = np.random.default_rng()  # the operating system's entropy
    drawn = draw_canaries(dataset.interactions.item_ids, count=count, length=length, rng=rng)
    CanaryFile(drawn, repeats, identity).write(path)
    return drawn


def with_canaries(
    dataset: Dataset,
    canaries: Sequence[Canary],
    *,
    repeats: int,
    fit: Literal["all_but_test", "all_but_validation"],
) -> Dataset:
    """The data with `repeats` users for every planted canary, after the real users.

    The held-out rows of a canary are copies of its last item, so that its training history is the
    whole canary. The fingerprint stays that of the audited data, which a model folder declares.
    """
    planted = [canary for canary in canaries if canary.planted for _ in range(repeats)]
    if not planted:
        return dataset
    rows, index = dataset.interactions, dataset.catalog.index
    n_held_out = 0 if rows.cuts else (1 if fit == "all_but_test" else 2)
    histories = [
        [*(index[item] for item in canary.items), *[index[canary.items[-1]]] * n_held_out]
        for canary in planted
    ]
    lengths = [len(history) for history in histories]
    first = rows.cuts[0] - max(lengths) if rows.cuts else 0  # before the period of the test items
    users = len(rows.user_ids) + np.repeat(np.arange(len(planted)), lengths)
    times = np.concatenate([first + np.arange(length) for length in lengths])
    unknown = dict.fromkeys(rows.attributes[0], "unknown") if rows.attributes else {}
    typical = np.float32(np.median(rows.rating)) if len(rows) else np.float32(1)
    more = replace(
        rows,
        user_index=np.concatenate([rows.user_index, users.astype(np.int32)]),
        item_index=np.concatenate([rows.item_index, np.concatenate(histories).astype(np.int32)]),
        timestamp=np.concatenate([rows.timestamp, times.astype(np.int64)]),
        rating=np.concatenate([rows.rating, np.full(len(users), typical, dtype=np.float32)]),
        user_ids=(*rows.user_ids, *(f"{one.id}/{at}" for at, one in enumerate(planted))),
        attributes=(*rows.attributes, *[unknown] * len(planted)),
    )
    return Dataset(dataset.catalog, more, dataset.notes, content_sha256=dataset.fingerprint)
