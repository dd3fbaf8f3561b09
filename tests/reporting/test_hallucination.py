from __future__ import annotations

from planted_recommenders import Clean, InventsTitles
from run_probe import run_probe

from auditkit.reporting.hallucination_summary import sentence


def test_the_sentence_says_how_many_titles_are_not_there_and_why():
    said = sentence(run_probe("hallucination.catalog", InventsTitles()).findings)
    assert said.startswith("Of 800 titles, 50.0 % (")
    assert "are not in the catalog: 50.0 % invented, 0.0 % near misses" in said
    assert said.endswith("0.0 % match several entries. Shares are means over users.")


def test_a_clean_recommender_reads_as_one_and_silence_says_nothing():
    said = sentence(run_probe("hallucination.catalog", Clean()).findings)
    assert said.startswith("Of 800 titles, 0.0 % (0.0 % to")
    assert sentence(()) == ""
