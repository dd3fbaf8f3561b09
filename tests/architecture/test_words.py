"""Words that say nothing to an engineer of this field, or say it in a private dialect.

The list is that of the vocabulary in `docs/glossary.md` and of American spelling. Prompt templates,
lexicons, domain packs and word lists are data, so they are not searched.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ("lexicon.yaml", "english_words.txt", "variant_words.yaml")
PLACES = ("auditkit", "docs", "recipes", "README.md")
KINDS = {".py", ".md", ".yaml", ".j2", ".js", ".css"}

DIALECT = (
    "whoever",
    "nobody",
    "anybody",
    "without a word",
    "stands? in",
    "stands? there",
    "stands? beside",
    "stands? behind",
    "goes on",
    "go on",
    "behind the (?!camera)\\w+",
    "whole or not at all",
    "for it is",
    "for they are",
    r"(?<!there )is no (?!longer|more|less|such)[a-z]+",
    r"(?<!there )are no (?!longer|more|less|such)[a-z]+",
    "(?:fairness|hallucination|reliability|privacy|engine) recipe",
    "twins",
    "remarks?",
)
BRITISH = (
    "optimiser", "neutraliser", "normalis\\w+", "tokenis\\w+",
    "neutralis\\w+", "summaris\\w+", "minimis\\w+", "maximis\\w+", "randomis\\w+", "serialis\\w+",
    "studentis\\w+", "recognis\\w+", "generalis\\w+", "regularis\\w+", "initialis\\w+",
    "labelled", "labelling", "modelled", "relabelling", "behaviours?", "colours?", "favours?",
    "favourites?", "neighbours?", "centres?", "judgements?", "licence", "misspelt", "learnt",
    "grey",
)  # fmt: skip


def searched() -> list[Path]:
    found = []
    for place in PLACES:
        root = ROOT / place
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        found += [
            path
            for path in files
            if path.suffix in KINDS
            and not path.name.endswith(DATA)
            and path.parent.parent.name != "prompting"
            and not (path.parent.name == "domains" and path.suffix == ".yaml")
        ]
    return found


@pytest.mark.parametrize("words", [*DIALECT, *BRITISH])
def test_word_is_not_used(words):
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    hits = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in searched()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert hits == []
