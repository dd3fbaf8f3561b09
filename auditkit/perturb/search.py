"""TextAttack's operators, loaded offline; the only file that imports TextAttack.

Importing TextAttack tries six NLTK downloads and rewrites cache variables of the whole process. The
loader below marks its post-install step as done in our own cache folder and restores the
environment, so nothing is fetched and nothing else changes. Source: TextAttack 0.3.11 (Morris et
al. 2020), character word swaps.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
from functools import cache
from typing import Any

import numpy as np

from auditkit.catalog.datasets.download import cache_dir
from auditkit.errors import MissingDependency
from auditkit.serialization.atomic_files import write_atomically

__all__ = ["load_textattack", "typo"]

_SWAPS = (
    "WordSwapNeighboringCharacterSwap",
    "WordSwapRandomCharacterDeletion",
    "WordSwapRandomCharacterInsertion",
    "WordSwapQWERTY",
)

# Read once at import of TextAttack's word helpers; our operators never look at them.
_STOPWORDS = ("a", "an", "and", "for", "in", "of", "on", "or", "the", "to")


def load_textattack() -> Any:
    """Import TextAttack without network and without a trace in the environment.

    Raises:
        MissingDependency: the extra `attack` is not installed.
    """
    if "textattack" in sys.modules:
        return sys.modules["textattack"]
    try:
        for name in ("huggingface_hub", "transformers", "nltk"):  # fixes their cache paths first
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependency(
            str(error.name), extra="attack", purpose="TextAttack's operators"
        ) from None
    folder = cache_dir() / "textattack"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "post_install_check_3").touch()
    stopwords = cache_dir() / "nltk" / "corpora" / "stopwords" / "english"
    stopwords.parent.mkdir(parents=True, exist_ok=True)
    if not stopwords.exists():  # another process may be reading it
        write_atomically(stopwords, "\n".join(_STOPWORDS) + "\n")
    stopwords.chmod(0o644)  # nltk refuses files that only their owner may read
    sys.modules["nltk"].data.path.insert(0, str(cache_dir() / "nltk"))
    kept = dict(os.environ)
    os.environ.update(TA_CACHE_DIR=str(folder), HF_HUB_OFFLINE="1")
    try:
        return importlib.import_module("textattack")
    except ModuleNotFoundError as error:
        raise MissingDependency(
            str(error.name), extra="attack", purpose="TextAttack's operators"
        ) from None
    finally:
        os.environ.clear()
        os.environ.update(kept)


@cache
def _operators() -> tuple[Any, ...]:
    load_textattack()
    module = importlib.import_module("textattack.transformations")
    return tuple(getattr(module, name)() for name in _SWAPS)


def typo(text: str, rng: np.random.Generator, count: int) -> str:
    """Misspell `count` distinct words of at least four letters, each by one random TextAttack
    operator.

    The operators draw from the global `random` and `numpy` generators; both are seeded from `rng`
    and put back.
    """
    operators = _operators()  # before seeding: importing TextAttack draws from the generators too
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if sum(map(str.isalpha, word)) >= 4]
    kept, kept_numpy = random.getstate(), np.random.get_state()
    random.seed(int(rng.integers(2**32)))
    np.random.seed(int(rng.integers(2**32)))
    try:
        for i in rng.permutation(long)[:count].tolist() if long else []:
            operator = operators[rng.integers(len(operators))]
            options = operator._get_replacement_words(words[i])
            if options:
                words[i] = options[0]
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)
    return " ".join(words)
