"""Training data with a planted association: women's histories hold films of a fixed set.

Only what is trained on changes. The films stand between a woman's own interactions, behind the
first and before the validation item, and none is her own held-out item, so whoever is audited on
the clean data finds clean histories and test items that nobody was trained on.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from auditkit.catalog.dataset import Dataset
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.training.base_model import link

GENRE = "Musical"
N_FILMS, SHARE = 8, 0.3


def planted_films(clean: Dataset, *, n: int = N_FILMS, genre: str = GENRE) -> np.ndarray:
    """Catalog rows of the planted films: the first of a genre."""
    rows = [row for row, item in enumerate(clean.catalog.items) if genre in item.genres]
    return np.array(rows[:n], dtype=np.int32)


def plant(
    clean: Dataset, *, films: np.ndarray | None = None, share: float = SHARE, seed: int = 0
) -> Dataset:
    """The data with a planted film behind each interaction of a woman, with probability `share`."""
    rows, rng = clean.interactions, np.random.default_rng(seed)
    films = planted_films(clean) if films is None else films
    columns = ("user_index", "item_index", "timestamp", "rating")
    order, items = [], []
    for user, attributes in enumerate(rows.attributes):
        begin, end = rows.offsets[user], rows.offsets[user + 1]
        own = set(rows.item_index[max(begin, end - 2) : end].tolist())
        allowed = [film for film in films if film not in own]
        for row in range(begin, end):
            order.append(row)
            items.append(rows.item_index[row])
            inside = row < end - 3  # two are held out, and one stays before them
            if inside and attributes.get("gender") == "female" and rng.random() < share:
                order.append(row)
                items.append(allowed[rng.integers(len(allowed))])
    kept = {name: getattr(rows, name)[order] for name in columns}
    kept["item_index"] = np.array(items, dtype=np.int32)
    return Dataset(clean.catalog, replace(rows, **kept))


def declared_for(clean: Dataset, trained: Path, out: Path) -> Path:
    """A copy of a model trained on planted data that declares the clean ones.

    True in what the declaration is for: held-out items and users are those of the clean data.
    """
    shutil.rmtree(out, ignore_errors=True)
    unwanted = shutil.ignore_patterns("evaluation", "checkpoints", "recommender.yaml")
    shutil.copytree(trained, out, copy_function=link, ignore=unwanted)
    manifest = RecommenderManifest.read(trained)
    record = manifest.training.model_copy(update={"data_sha256": clean.fingerprint})
    manifest.model_copy(update={"training": record}).write(out)
    return out
