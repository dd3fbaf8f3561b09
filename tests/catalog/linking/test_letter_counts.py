from __future__ import annotations

import numpy as np
import pytest

from auditkit.catalog.linking.edit_distance import damerau_in_python
from auditkit.catalog.linking.letter_counts import MAX_EDITS, TitleScan
from auditkit.catalog.linking.title_index import TitleIndex


@pytest.fixture(scope="module")
def scan():
    """A thousand random titles of short words, of five years, some with an alias."""
    rng = np.random.default_rng(0)
    titles = [
        "".join(rng.choice(list("abcd e"), int(length))) for length in rng.integers(3, 12, 1000)
    ]
    titles[::10] = [f"{title} (dcba {i})" for i, title in enumerate(titles[::10])]
    return TitleScan(TitleIndex.build(titles, rng.integers(1990, 1995, 1000).tolist()))


@pytest.mark.parametrize("year", [None, 1992])
def test_every_title_within_two_edits_is_found_and_most_others_are_not(scan, year):
    index = scan.index
    n = index.n_entries + index.n_aliases
    allowed = [row for row in range(n) if year in (None, int(index.years[index.entry_of[row]]))]
    assert scan.n_titles(year) == len(allowed)
    keys = ["abcd", "dead beef", "cabbage", "dcba 7"]
    for key, rows in zip(keys, scan.rows(keys, [year] * len(keys)), strict=True):
        near = {
            row
            for row in allowed
            if damerau_in_python(key, index.keys.text(row), MAX_EDITS) <= MAX_EDITS
        }
        assert near <= set(rows.tolist()) <= set(allowed)
        assert len(rows) < len(allowed) / 2


def test_a_year_without_titles_has_none(scan):
    assert scan.n_titles(1900) == 0
    assert [rows.tolist() for rows in scan.rows(["abcd"], [1900])] == [[]]
    assert scan.rows([], []) == []
