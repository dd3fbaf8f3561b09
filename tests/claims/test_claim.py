"""A claim as its evidence rows show it."""

from __future__ import annotations

import pytest

from auditkit.claims.claim import Claim


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1995", "1995"), ("=1995-06", "1995-06"), ("<1970", "below 1970"), ("=-4.5", "-4.5"),
        (">1989<2000", "above 1989 and below 2000"), (">1979", "above 1979"), ("", ""),
        ("Comedy", "Comedy"), ("<3", "below 3"), ("<unknown>", "<unknown>"), ("=", "="),
    ],
)  # fmt: skip
def test_ranges_are_written_in_words(value, text):
    assert Claim("1", "year", value, False, "contradicted", (0, 4)).value_text == text
