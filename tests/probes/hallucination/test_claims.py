"""Reading claims: titles, decades and negations are no claims, and silence is missing."""

from __future__ import annotations

import pytest
from planted_recommenders import Clean
from run_probe import run_probe
from small_world import world

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.items import CatalogItem
from auditkit.claims.reader import ClaimReader
from auditkit.probes.hallucination.claims import self_check

FILMS = Catalog(
    (
        CatalogItem("1", "2001: A Space Odyssey", 1968, ("Drama", "Sci-Fi")),
        CatalogItem("2", "Fargo", 1996, ("Crime", "Drama")),
        CatalogItem("3", "Clerks", 1994, ("Comedy",)),
    ),
    domain="movies",
)


def verdicts(text, item_id):
    return {
        (c.relation, c.value): c.verdict
        for c in ClaimReader(FILMS).read([text], [item_id])[0].claims
    }


def test_right_and_wrong_facts_are_told_apart():
    assert verdicts("Genres: Crime, Comedy. Year: 1995.", "2") == {
        ("genre", "Crime"): "supported",
        ("genre", "Comedy"): "contradicted",
        ("year", "=1995"): "contradicted",
    }


def test_a_year_inside_the_items_own_title_is_no_claim():
    assert verdicts("2001: A Space Odyssey. Genres: Sci-Fi. Year: 1968.", "1") == {
        ("genre", "Sci-Fi"): "supported",
        ("year", "=1968"): "supported",
    }


def test_a_decade_and_a_negation_are_decided_too():
    assert verdicts("A film of the 1990s, not a Comedy. Year: 1996.", "2") == {
        ("year", ">1989<2000"): "supported",
        ("genre", "Comedy"): "supported",
        ("year", "=1996"): "supported",
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
    assert covered.n == rate.n
    assert covered.value == 1


class GivesReasons(Clean):
    """Lists films, each with a reason; every third reason names a wrong director of no film."""

    def __init__(self, genre_of):
        self.genre_of = genre_of

    def generate(self, prompts, *, max_new_tokens, temperature, seeds):
        items = world().catalog.items[:5]
        lines = [
            f"{number}. {item.display_title}: a {self.genre_of(item)} film."
            for number, item in enumerate(items, start=1)
        ]
        return ["\n".join([*lines, "6. Nowhere Man (1999): a Western from 1902."]) for _ in prompts]


def test_reasons_of_a_list_are_checked_title_by_title():
    honest = run_probe("hallucination.claims", GivesReasons(lambda item: item.genres[0]))
    rate = honest.one("hallucination.claims.claim_contradicted_rate", "reasons").estimate
    assert (rate.value, rate.n, rate.n_missing) == (0, 30, 0)
    wrong = run_probe("hallucination.claims", GivesReasons(_other_genre))
    finding = wrong.one("hallucination.claims.claim_contradicted_rate", "reasons")
    assert finding.estimate.value == 0.5  # the years in the list are right
    assert "the catalog has" in finding.evidence[0].what


def _other_genre(item):
    return next(g for g in ("Western", "Comedy", "Horror") if g not in item.genres)


@pytest.mark.parametrize("catalog", [world().catalog, FILMS], ids=["small world", "three films"])
def test_the_claim_reader_measures_itself(catalog):
    detector = self_check(catalog, form=" Genres: {genres}. Year: {year}.", seed=0)
    assert detector.sensitivity.value == 1
    assert detector.specificity.value == 1
    assert 0 < detector.sensitivity.low < 1
