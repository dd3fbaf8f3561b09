"""Tone of an English text: opinion words, hedges and courtesy, counted with a shipped word list.

A word list has known limits (irony, comparisons, words with two senses) but does not depend on
groups, because it contains no names, pronouns or attributes. Its sensitivity is measured on the
labeled sentences of tests/support/tone_sentences.yaml, and every audit that uses the list reports
it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter

from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Detector, Estimate

__all__ = ["Tone", "measured_tone", "read_tone"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_TOKEN = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*|[.,;:!?]")
_CLAUSE_ENDS = frozenset(".,;:!?")
_REACH = 3  # words after a negation whose opinion is turned around


class Tone(NamedTuple):
    """Counts of one text.

    Attributes:
        words: number of words with a letter or digit.
        sentences: number of sentences with a word.
        positive, negative: number of opinion words, where negation reverses an opinion.
        hedged, courteous: number of sentences with a hedge, and with a courteous phrase.
    """

    words: int
    sentences: int
    positive: int
    negative: int
    hedged: int
    courteous: int

    @property
    def sentiment(self) -> float:
        """(positive - negative) / (positive + negative), in [-1, 1]; 0 without opinion words."""
        found = self.positive + self.negative
        return (self.positive - self.negative) / found if found else 0.0

    @property
    def hedging(self) -> float:
        """Fraction of sentences with a hedge, in [0, 1]; 0 without sentences."""
        return self.hedged / max(self.sentences, 1)

    @property
    def courtesy(self) -> float:
        """Fraction of sentences with a courteous phrase, in [0, 1]; 0 without sentences."""
        return self.courteous / max(self.sentences, 1)


class _Lexicon(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    positive: str
    negative: str
    negations: str
    hedges: tuple[str, ...]
    courtesy: tuple[str, ...]
    measured: dict[str, tuple[int, int]]


def read_tone(text: str) -> Tone:
    """Count words, opinions, hedges and courtesy in an English text.

    An opinion word within three words after a negation counts as its opposite ("not a good film"),
    unless a punctuation mark or "only" is between them.
    """
    split = map(_tokens, _SENTENCE.split(text))
    sentences = [tokens for tokens in split if any(token[0].isalnum() for token in tokens)]
    opinions = [_opinions(tokens) for tokens in sentences]
    return Tone(
        words=sum(token[0].isalnum() for tokens in sentences for token in tokens),
        sentences=len(sentences),
        positive=sum(positive for positive, _ in opinions),
        negative=sum(negative for _, negative in opinions),
        hedged=sum(_has_phrase(tokens, _lexicon().hedges) for tokens in sentences),
        courteous=sum(_has_phrase(tokens, _lexicon().courtesy) for tokens in sentences),
    )


@cache
def measured_tone() -> Detector:
    """Return the error rates of the opinion words on the labeled sentences."""
    counts = _lexicon().measured

    def share(x: int, n: int) -> Estimate:
        low, high = clopper_pearson(x, n)
        unit = "fraction of sentences"
        return Estimate(value=x / n, low=low, high=high, n=n, unit=unit, direction="higher")

    return Detector(
        name="sentiment words",
        sensitivity=share(*counts["found"]),
        specificity=share(*counts["refused"]),
        method="labeled sentences: the sentiment must have the sign of the opinion, or be 0 for a "
        "neutral sentence",
    )


def _tokens(text: str) -> list[str]:
    """Split a text into words and punctuation marks in lower case; hyphens separate words."""
    return [match[0].casefold().replace("\u2019", "'") for match in _TOKEN.finditer(text)]


def _opinions(tokens: Sequence[str]) -> tuple[int, int]:
    """Count positive and negative words of one sentence, where negation reverses an opinion."""
    positive, negative, negations = _opinion_words()
    found, denied = [0, 0], 0
    for token in tokens:
        if token in negations:
            denied = _REACH + 1
        elif token in _CLAUSE_ENDS or token == "only":
            denied = 0
        if token in positive or token in negative:
            found[(token in negative) != (denied > 0)] += 1
        denied = max(denied - 1, 0)
    return found[0], found[1]


def _has_phrase(tokens: Sequence[str], phrases: Sequence[str]) -> bool:
    spaced = f" {' '.join(tokens)} "
    return any(f" {phrase} " in spaced for phrase in phrases)


@cache
def _opinion_words() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    lexicon = _lexicon()
    kinds = (lexicon.positive, lexicon.negative, lexicon.negations)
    positive, negative, negations = (frozenset(words.split()) for words in kinds)
    return positive, negative, negations


@cache
def _lexicon() -> _Lexicon:
    with as_file(files("auditkit.probes.fairness.words") / "tone.yaml") as path:
        return validate(load_yaml(path), TypeAdapter(_Lexicon))
