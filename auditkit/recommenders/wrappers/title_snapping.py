"""Snap misspelled titles of a request to the nearest title of the catalog.

Only the titles of the history and of the candidates are changed, in the items and in the texts of a
request. Titles of the catalog are not changed. Any other title is replaced by the catalog title
with the highest normalized Levenshtein similarity (case ignored), if this similarity is at least
the floor and no other title is as similar. Otherwise the title is not changed, because a title
outside the catalog must not become a wrong title of the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from auditkit.errors import MissingDependency
from auditkit.recommenders.wrappers.edited_titles import with_titles
from auditkit.types import Request

__all__ = ["FLOOR", "TitleSnapper"]

FLOOR = 0.70
_REMEMBERED = 100_000


class TitleSnapper:
    """Replaces titles outside the catalog by the most similar titles of the catalog.

    Args:
        titles: titles of the catalog, as prompts show them.
        floor: smallest similarity at which a title is replaced, in [0, 1].
    """

    def __init__(self, titles: Iterable[str], *, floor: float = FLOOR) -> None:
        self._titles = list(dict.fromkeys(titles))
        self._known = frozenset(self._titles)
        self._folded = [title.casefold() for title in self._titles]
        self._floor = floor
        self.snap = lru_cache(maxsize=_REMEMBERED)(self._snap)

    def _snap(self, title: str) -> str:
        """The most similar title of the catalog, or the given title."""
        if title in self._known:
            return title
        try:
            from rapidfuzz import process
            from rapidfuzz.distance import Levenshtein
        except ModuleNotFoundError:
            raise MissingDependency("rapidfuzz", extra="graph", purpose="snapped:") from None
        nearest = process.extract(
            title.casefold(),
            self._folded,
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=self._floor,
            limit=2,
        )
        if not nearest or (len(nearest) > 1 and nearest[0][1] == nearest[1][1]):
            return title
        return self._titles[nearest[0][2]]

    def request(self, request: Request) -> Request:
        """Return the request with replaced titles, in its items and its texts."""
        return with_titles(request, self.snap)
