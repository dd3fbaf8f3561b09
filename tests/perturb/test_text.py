"""Edits of titles in the history."""

from __future__ import annotations

import numpy as np

from auditkit.perturb.text import EDITS, edit_one_title


def test_one_title_is_misspelled_and_keeps_its_year():
    titles = ["Up (2009)", "Casino (1995)", "Heat (1995)"]
    for seed in range(20):
        found = edit_one_title(titles, EDITS["typo"], np.random.default_rng(seed))
        different = [new for new, old in zip(found, titles, strict=True) if new != old]
        assert len(different) == 1
        assert different[0].endswith(" (1995)")


def test_titles_that_cannot_be_misspelled_are_unchanged():
    assert edit_one_title(["Up (2009)"], EDITS["typo"], np.random.default_rng(0)) == ["Up (2009)"]
