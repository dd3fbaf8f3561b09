"""Reading claims: titles, decades and negations are no claims, and silence is missing."""

from __future__ import annotations

import pytest
from asking import run_probe
from planted_recommenders import Clean
from small_world import world

from auditkit.catalog.catalog import Catalog, CatalogItem
from auditkit.probes.claims import extract_claims, self_check

FILMS = Catalog(
    (
        CatalogItem("1", "2001: A Space Odyssey", 1968, ("Drama", "Sci-Fi")),
        CatalogItem("2", "Fargo", 1996, ("Crime", "Drama")),
        CatalogItem("3", "Clerks", 1994, ("Comedy",)),
    )
)


def verdicts(text, item_id):
    return {
        (c.relation, c.value): c.verdict
        for c in extract_claims(text, item_id=item_id, catalog=FILMS)
    }


def test_right_and_wrong_facts_are_told_apart():
    assert verdicts("Genres: Crime, Comedy. Year: 1995.", "2") == {
        ("genre", "Crime"): "supported",
        ("genre", "Comedy"): "contradicted",
        ("year", "1995"): "contradicted",
    }


def test_a_year_inside_the_items_own_title_is_no_claim():
    assert verdicts("2001: A Space Odyssey. Genres: Sci-Fi. Year: 1968.", "1") == {
        ("genre", "Sci-Fi"): "supported",
        ("year", "1968"): "supported",
    }


def test_a_decade_is_no_year_and_a_negation_is_not_read():
    assert verdicts("A film of the 1990s, not a Comedy. Year: 1996.", "2") == {
        ("year", "1996"): "supported"
    }


class MostlySilent(Clean):
    """Describes one item in five, rightly."""

    def generate(self, prompts, *, max_new_tokens, temperature, seeds):
        answers = super().generate(
            prompts, max_new_tokens=max_new_tokens, temperature=temperature, seeds=seeds
        )
        return [
            answer if len(prompt) % 5 == 0 else "I would rather not say."
            for prompt, answer in zip(prompts, answers, strict=True)
        ]


def test_an_item_about_which_nothing_is_claimed_is_missing():
    run = run_probe("hallucination.claims", MostlySilent(), n_items=60)
    rate = run.one("hallucination.claims.claim_contradicted_rate").estimate
    covered = run.one("hallucination.claims.claim_coverage").estimate
    assert rate.n + rate.n_missing == 60
    assert rate.n_missing > 0
    assert rate.n == round((covered.value or 0) * covered.n)


@pytest.mark.parametrize("catalog", [world().catalog, FILMS], ids=["small world", "three films"])
def test_the_claim_reader_measures_itself(catalog):
    detector = self_check(catalog, form=" Genres: {genres}. Year: {year}.", seed=0)
    assert detector.sensitivity.value == 1
    assert detector.specificity.value == 1
    assert 0 < detector.sensitivity.low < 1
