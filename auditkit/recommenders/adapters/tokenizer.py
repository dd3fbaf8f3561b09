"""Load the tokenizer of a model folder as it was saved.

Some classes of transformers 5 rebuild the normalizer and the pre-tokenizer that tokenizer.json
contains, so the same file gives other token ids under another release. The file is therefore used
as it is, and a release that would encode texts differently is reported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from auditkit.engine.releases import VERSION
from auditkit.recommenders.adapters.file_checks import library_errors, require_readable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["load_tokenizer"]

# Texts on which normalizers and pre-tokenizers differ: case, accents, digits, spaces, punctuation.
_SAMPLES = (
    "Toy Story (1995) and 2001: A Space Odyssey",
    "  Amélie \N{EM DASH} l'Été  12,345.67 ₹\n\n1. **Heat**\tdon't",
    "七人の侍 Дерсу Узала İstanbul ﬁlm №5 x_y-z",
)


def load_tokenizer(folder: Path) -> tuple[PreTrainedTokenizerFast, list[str]]:
    """Load the tokenizer as it was saved; return notes if transformers would load another one.

    Raises:
        TargetUnavailable: the tokenizer cannot be read.
    """
    options = {"trust_remote_code": False, "local_files_only": True}
    require_readable(folder)
    remedy = (
        f"Its tokenizer is read by transformers {VERSION}; copy all tokenizer files of the model "
        "into the folder, or save the tokenizer again with save_pretrained."
    )
    with library_errors(folder, remedy):
        if not (folder / "tokenizer.json").is_file():
            return AutoTokenizer.from_pretrained(folder, **options), []
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, **options)
    try:
        usual = AutoTokenizer.from_pretrained(folder, **options)
    except Exception as error:  # the classes raise any error, also those of the Rust library
        why = " ".join(str(error).split())[:120]
        return tokenizer, [
            "tokenizer.json is used as saved, because the tokenizer's class cannot be loaded "
            f"({why})."
        ]
    differ = _encoded(tokenizer.backend_tokenizer) != _encoded(usual.backend_tokenizer)
    if not differ:
        return tokenizer, []
    return tokenizer, [
        f"tokenizer.json is used as saved. transformers {VERSION} rebuilds it as "
        f"{type(usual).__name__}, which gives other token ids. A server that loads this folder "
        "with AutoTokenizer therefore does not serve the model that was audited."
    ]


def _encoded(tokenizer: Tokenizer) -> list[list[int]]:
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in _SAMPLES]
