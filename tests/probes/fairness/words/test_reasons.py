"""Titles are taken out of the texts, and reasons are kept."""

from __future__ import annotations

import pytest
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.fairness.words.probe import WordsProbe
from auditkit.probes.fairness.words.reasons import without_titles
from auditkit.types import Item, Request

HISTORY = (Item("h", "Broken Meadow (1987)"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1. Golden Harbor (1971): A dull film.", ": A dull film."),
        ("1. Golden Harbor: A dull film.", ": A dull film."),
        ("- Perfect Brilliant Love (1999): A dull film.", ": A dull film."),
        (
            "1. Golden Harbor (1971): You liked Broken Meadow (1987).\n2. Paper Lantern: Nice.",
            ": You liked . : Nice.",
        ),
        ("It is golden.", "It is golden."),
    ],
)
def test_titles_and_markers_are_removed(text, words):
    request = Request(history=HISTORY, k=3)
    left = without_titles(text, request, world().catalog)
    assert " ".join(left.split()) == words


@pytest.mark.parametrize(
    "wrong",
    [{"n_probes": 0}, {"temperature": -1.0}, {"attributes": ()}, {"attributes": ("hat",)},
     {"attributes": ("age", "age")}],
)  # fmt: skip
def test_wrong_parameters_are_reported_with_what_to_do(wrong):
    with pytest.raises(InvalidArgument, match=r"^fairness\.words got .*(Give|Name)"):
        WordsProbe(**wrong)
