"""Plant canaries: synthetic users with random histories, each planted with probability 1/2.

A planted canary is sampled, rendered and trained on like a real user, so a canary audit tests the
unmodified training loop. Histories and planting decisions come from the operating system's entropy
and are written before the first step; a resumed run reads them from the file.

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
    """Sample the histories of all canaries, and which of them are planted.

    Args:
        item_ids: item ids of the catalog, sampled without replacement.
        count: number of canaries.
        length: number of items of each canary.
        rng: generator that is independent of everything that an attacker could know.

    Raises:
        ConfigurationError: a canary would have more items than the catalog.
    """
    if length > len(item_ids):
        raise ConfigurationError(
            f"canaries.length {length} exceeds the {len(item_ids)} items of the catalog. Choose a "
            "smaller length."
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
    """Read the canaries of a training run from the canary file, or create and write them.

    Args:
        out: model folder; the canary file is beside it.
        dataset: data with the catalog whose items are sampled.
        identity: hashes of the training run; the canary file of another run is renamed.
        count, length: as in `draw_canaries`.
        repeats: number of copies of each planted canary.

    Returns:
        All canaries, planted or not.

    Raises:
        ConfigurationError: training resumes from a checkpoint, but the canary file is missing or
            belongs to another run.
    """
    path = canary_path(out)
    found = CanaryFile.read(path) if path.is_file() else None
    if found is not None and found.identity == identity:
        return found.canaries
    if (out / "checkpoints").is_dir() and any((out / "checkpoints").iterdir()):
        raise ConfigurationError(
            f"{path} does not contain the canaries of the checkpoint in {out}, so it is unknown "
            "which canaries were planted. Restore the file, or give another --out folder."
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
    """Add `repeats` users for every planted canary to the data, after the real users.

    The held-out interactions of a canary are copies of its last item, so that its training history
    contains all of its items. The fingerprint remains that of the data without canaries, which a
    model folder declares.
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
