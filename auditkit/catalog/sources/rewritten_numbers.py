"""Typed numbers from a SPARQL server, whose spelling may differ from the stored one.

Servers normalize typed literals, each by its own rules: "007"^^xsd:integer is returned as 7 and
"1.50"^^xsd:decimal as 1.5. These are equal numbers, but different texts. Therefore such values are
counted where a text is read, as for ids, titles and strings. RDF files preserve the written form.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

__all__ = ["RewrittenNumbers"]

_NUMERIC = re.compile(
    r"http://www\.w3\.org/2001/XMLSchema#(?:\w*[iI]nteger|decimal|double|float"
    r"|(?:unsigned)?(?:[iI]nt|[lL]ong|[sS]hort|[bB]yte))"
)


class RewrittenNumbers:
    """Counts all values and typed numbers, separately for ids and for each predicate."""

    def __init__(self) -> None:
        self._n_read: Counter[str] = Counter()
        self._n_numbers: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def read(self, what: str, text: str, datatype: str) -> None:
        """Count a value.

        Args:
            what: "ids" or the name of the predicate whose values are read as texts.
            text: the value.
            datatype: IRI of the datatype of the value; "" if the value has none.
        """
        self._n_read[what] += 1
        if _NUMERIC.fullmatch(datatype):
            self._n_numbers[what] += 1
            self._first.setdefault(what, text)

    def warnings(self) -> Iterator[str]:
        """Yield a warning with the counts for ids or a predicate that had typed numbers."""
        for what, n in self._n_numbers.items():
            yield (
                f"{what}: {n} of {self._n_read[what]} are typed numbers, the first: "
                f"{self._first[what][:40]!r}. Servers rewrite them (007 becomes 7, 1.50 becomes "
                "1.5), so they may not equal the ids and texts of other sources; store them as "
                "strings"
            )
