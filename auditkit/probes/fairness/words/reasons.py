"""Reasons in the responses of a probe as tables of measures, [users, values].

Titles are removed from a text before its words are counted, so that "Beautiful Girls" does not
count as praise and different titles do not change the tone. Every measure is a fraction, or is
divided by its largest value, so that equal bounds and tests apply to all measures; `scale` converts
a measure back to its unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.linking.normalize import parse_title
from auditkit.claims.reader import ClaimReader
from auditkit.probes.fairness.words.tone import Tone, read_tone
from auditkit.recommenders.execution.list_linking import link_list
from auditkit.recommenders.prompting.answers import read_list
from auditkit.types import Request, Response

__all__ = ["MEASURES", "OF_ENGLISH", "Reasons", "without_titles"]

FAILED = ("target_error", "timeout", "not_run")
OF_ENGLISH = ("sentiment", "hedging", "courtesy")
MEASURES = ("length", *OF_ENGLISH, "contradicted")
_MARKER = re.compile(r"^\s*(?:\d+\s*[.):]|[-*\u2022#]+)\s*", re.MULTILINE)
_AFTER_TITLE = re.compile(r":| [-\u2013\u2014] ")


@dataclass(frozen=True)
class Reasons:
    """Responses for one attribute: every user's history is sent once per value of the attribute.

    Attributes:
        responses: responses, [users][values].
        requests: requests, [users][values].
    """

    catalog: Catalog
    requests: Sequence[Sequence[Request]]
    responses: Sequence[Sequence[Response]]

    @cached_property
    def users(self) -> list[int]:
        """Indices of the users without a failed call."""
        return [
            row
            for row, own in enumerate(self.responses)
            if not any(response.status in FAILED for response in own)
        ]

    @cached_property
    def texts(self) -> list[list[str]]:
        """Texts of the users without a failed call, without titles, [users][values]."""
        return [
            [
                without_titles(response.text or "", request, self.catalog)
                for request, response in zip(self.requests[row], self.responses[row], strict=True)
            ]
            for row in self.users
        ]

    @cached_property
    def tones(self) -> list[list[Tone]]:
        """Tone of every text, [users][values]."""
        return [[read_tone(text) for text in own] for own in self.texts]

    @property
    def longest(self) -> int:
        """Number of words of the longest text, at least 1."""
        return max((tone.words for own in self.tones for tone in own), default=0) or 1

    def scale(self, measure: str) -> float:
        """Return the factor that converts a scaled measure to its unit."""
        return {"length": float(self.longest), "sentiment": 2.0}.get(measure, 1.0)

    def table(self, measure: str) -> NDArray[np.float64]:
        """Return a measure scaled to [0, 1], [users, values]; NaN for a text without decided
        claims.
        """
        if measure == "contradicted":
            return self._contradicted
        values = [[_scaled(tone, measure, self.longest) for tone in own] for own in self.tones]
        n_values = len(self.responses[0]) if self.responses else 0
        return np.array(values, dtype=np.float64).reshape(-1, n_values)

    @cached_property
    def _contradicted(self) -> NDArray[np.float64]:
        """Return the share of decided claims that the graph contradicts, for every text."""
        texts = [one.text or "" for row in self.users for one in self.responses[row]]
        different = list(dict.fromkeys(texts))
        read = dict(zip(different, ClaimReader(self.catalog).read(different), strict=True))
        shares = []
        for text in texts:
            verdicts = [claim.verdict for claim in read[text].claims]
            wrong, right = verdicts.count("contradicted"), verdicts.count("supported")
            shares.append(wrong / (wrong + right) if wrong + right else np.nan)
        n_values = len(self.responses[0]) if self.responses else 0
        return np.array(shares, dtype=np.float64).reshape(-1, n_values)


def _scaled(tone: Tone, measure: str, longest: int) -> float:
    """Return a measure of one text, scaled to [0, 1]."""
    if measure == "length":
        return tone.words / longest
    if measure == "sentiment":
        return (tone.sentiment + 1) / 2
    return tone.hedging if measure == "hedging" else tone.courtesy


def without_titles(text: str, request: Request, catalog: Catalog) -> str:
    """Remove list markers, listed titles and titles of the user's history from a list with reasons.

    If a listed text matches no item of the catalog, its part up to the first colon or dash counts
    as the title, because the list parser may not have separated title and reason.
    """
    listed = [item.raw for item in read_list(text, k=request.k).items]
    titles = [item.title for item in request.history]
    for raw, link in zip(listed, link_list(listed, catalog), strict=True):
        titles.append(raw if link.item_id else _AFTER_TITLE.split(raw)[0])
        if link.item_id:
            titles.append(catalog[link.item_id].display_title)
    named = {name for title in titles for name in (title, parse_title(title).core) if name.strip()}
    text = _MARKER.sub("", text)
    for title in sorted(named, key=lambda name: (-len(name), name)):
        text = re.sub(rf"(?<!\w){re.escape(title)}(?!\w)(?:\s*\(\d{{4}}\))?", " ", text)
    return text
