"""Character swaps of TextAttack, loaded offline; the only file that imports TextAttack.

Importing TextAttack tries six NLTK downloads and changes cache variables of the process. The loader
marks the post-install step as done in auditkit's cache folder and restores the environment, so
nothing is downloaded. Packages that only unused parts need are not imported, so that TextAttack
works beside transformers 5, which flair does not. Source: TextAttack 0.3.11 (Morris et al. 2020).
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
from auditkit.perturb.placeholders import placeholders
from auditkit.serialization.atomic_files import write_atomically

__all__ = ["load_textattack", "typo"]

_SWAPS = (
    "WordSwapNeighboringCharacterSwap",
    "WordSwapRandomCharacterDeletion",
    "WordSwapRandomCharacterInsertion",
    "WordSwapQWERTY",
)

# Imported by parts of TextAttack that are not used here. An audit of a server needs none of them,
# and their import would take as long as all else.
_UNUSED = (
    "Levenshtein", "OpenHowNet", "bert_score", "datasets", "editdistance", "flair", "jieba",
    "langdetect", "language_tool_python", "lemminflect", "num2words", "pinyin", "terminaltables",
    "transformers", "word2number",
)  # fmt: skip

# TextAttack reads stopwords at import, but the operators used here ignore them.
_STOPWORDS = ("a", "an", "and", "for", "in", "of", "on", "or", "the", "to")


def load_textattack() -> Any:
    """Import TextAttack without network access and without changes to the environment.

    Raises:
        MissingDependency: TextAttack or a package that TextAttack needs is not installed.
    """
    if "textattack" in sys.modules:
        return sys.modules["textattack"]
    try:
        # Import these first: they read their cache paths at import, and transformers looks up once
        # whether a package is installed.
        loaded = ["transformers.trainer"] if "transformers" in sys.modules else []
        for name in ("huggingface_hub", "nltk", *loaded):
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _not_installed(error) from None
    folder = cache_dir() / "textattack"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "post_install_check_3").touch()
    stopwords = cache_dir() / "nltk" / "corpora" / "stopwords" / "english"
    stopwords.parent.mkdir(parents=True, exist_ok=True)
    if not stopwords.exists():  # another process may be reading it
        write_atomically(stopwords, "\n".join(_STOPWORDS) + "\n")
    stopwords.chmod(0o644)  # nltk rejects files that are readable only by their owner
    sys.modules["nltk"].data.path.insert(0, str(cache_dir() / "nltk"))
    kept = dict(os.environ)
    os.environ.update(TA_CACHE_DIR=str(folder), HF_HUB_OFFLINE="1")
    try:
        with placeholders(_UNUSED):
            return importlib.import_module("textattack")
    except ModuleNotFoundError as error:
        raise _not_installed(error) from None
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _not_installed(error: ModuleNotFoundError) -> MissingDependency:
    """How to install TextAttack, whose own requirements exclude transformers 5."""
    return MissingDependency(
        str(error.name),
        purpose="The typo edit of TextAttack",
        command="pip install 'auditkit[edits]' && pip install --no-deps textattack==0.3.11",
    )


@cache
def _operators() -> tuple[Any, ...]:
    load_textattack()
    module = importlib.import_module("textattack.transformations")
    return tuple(getattr(module, name)() for name in _SWAPS)


def typo(text: str, rng: np.random.Generator, count: int) -> str:
    """Misspell `count` distinct words of at least four letters.

    Each word is changed by one random TextAttack operator. The operators use the global `random`
    and `numpy` generators, which are seeded from `rng` and restored afterwards.
    """
    operators = _operators()  # before seeding, because importing TextAttack uses the generators
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
