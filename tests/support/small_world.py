"""A small synthetic MovieLens: 60 films with years and genres, 80 users.

Written as GroupLens files and read by the package's own loader, so that in-process tests and fresh
interpreters see the same data.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.movielens import GENRES, load_ml100k

N_ITEMS, N_USERS = 60, 80
_FIRST = (
    "Silver",
    "Quiet",
    "Hidden",
    "Golden",
    "Broken",
    "Distant",
    "Velvet",
    "Frozen",
    "Burning",
    "Paper",
)
_SECOND = ("Harbor", "Meadow", "Compass", "Lantern", "Orchard", "Viaduct")
_OCCUPATIONS = ("student", "engineer", "writer", "librarian")


def grouplens_files() -> dict[str, str]:
    """The content of `u.item`, `u.user` and `u.data`."""
    rng = np.random.default_rng(20)
    items = []
    for row in range(N_ITEMS):
        title = f"{_FIRST[row % 10]} {_SECOND[row // 10]} ({1950 + (row * 7) % 45})"
        marked = {1 + row % 18, 1 + (row * 5 + 3) % 18}
        flags = ["1" if position in marked else "0" for position in range(len(GENRES))]
        items.append("|".join([str(row + 1), title, "", "", "", *flags]))
    users, ratings = [], []
    weights = 1 / (np.arange(N_ITEMS) + 5.0)
    for user in range(N_USERS):
        age, gender = (20, 30, 50)[user % 3], "FM"[user % 2]
        users.append(f"{user + 1}|{age}|{gender}|{_OCCUPATIONS[(user // 2) % 4]}|00000")
        n = int(rng.integers(8, 15))
        chosen = rng.choice(N_ITEMS, size=n, replace=False, p=weights / weights.sum())
        ratings += [
            f"{user + 1}\t{item + 1}\t{1 + (user + 3 * at) % 5}\t{1000 * user + at}"
            for at, item in enumerate(chosen)
        ]
    return {"u.item": "\n".join(items), "u.user": "\n".join(users), "u.data": "\n".join(ratings)}


def write_cache(cache_folder: Path) -> Path:
    """Put the world where `get_dataset("ml-100k")` looks when AUDITKIT_CACHE is `cache_folder`."""
    folder = cache_folder / "ml-100k"
    folder.mkdir(parents=True)
    for name, text in grouplens_files().items():
        (folder / name).write_text(text + "\n", encoding="latin-1")
    return cache_folder


@cache
def world() -> Dataset:
    """The data set in memory."""
    with tempfile.TemporaryDirectory() as folder:
        return load_ml100k(write_cache(Path(folder)) / "ml-100k")
