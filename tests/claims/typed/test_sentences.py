"""How well typed claims are read: labeled sentences, half of which no rule was tuned on."""

from __future__ import annotations

from collections import Counter

import pytest

from auditkit.claims.reader import ClaimReader
from tests.support.domain_sentences import catalog_of, score, sentences

SETS = ("films_en", "products_en", "products_de")


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [("films_en", 0.95, 0.85), ("products_en", 0.95, 0.85), ("products_de", 0.95, 0.75)],
)
@pytest.mark.parametrize("part", ["dev", "heldout"])
def test_precision_and_recall(name, part, precision, recall):
    found = score(name, part)
    print(f"{name} {part}: {found}")
    assert found.precision >= precision
    assert found.recall >= recall
    assert found.supported_called_contradicted <= 0.01 * found.n_supported
    assert found.wrong_verdicts == 0


@pytest.mark.parametrize("name", SETS)
def test_the_sets_have_enough_of_every_verdict(name):
    rows = [row for part in ("dev", "heldout") for row in sentences(name, part)]
    with_verdict = Counter(v for row in rows for v in set(row.claims.values()))
    assert len({row.text for row in rows}) == len(rows) >= 100
    assert with_verdict["contradicted"] >= 100 / 3
    assert with_verdict["unverifiable"] >= 100 / 6


def stated(text, item_id, name="products_en"):
    (reading,) = ClaimReader(catalog_of(name)).read([text], [item_id])
    return {(c.relation, c.value, c.negated): (c.verdict, c.strength) for c in reading.claims}


def test_a_cue_phrase_makes_a_claim_stated():
    assert stated("It weighs 950 g.", "p1") == {("weight", "950 g", False): ("supported", "stated")}
    assert stated("Only 950 g!", "p1") == {("weight", "950 g", False): ("supported", "implied")}


@pytest.mark.parametrize("written", ["0.95 kg", "950 grams", "950g", "950,0 g"])
def test_quantities_are_equal_in_any_unit(written):
    (verdict,) = stated(f"It weighs {written}.", "p1").values()
    assert verdict == ("supported", "stated")


@pytest.mark.parametrize("form", ["schwarz", "schwarze", "schwarzen", "schwarzer", "schwarzes"])
def test_german_endings_do_not_matter(form):
    found = stated(f"Es gibt die Maschine mit einem {form} Gehäuse.", "g2", "products_de")
    assert found[("color", "Schwarz", False)][0] == "supported"


def test_a_brand_that_the_catalog_does_not_have_is_a_claim_after_a_clear_cue():
    found = stated("The drill is made by Zorba.", "p8")
    assert found[("brand", "Zorba", False)] == ("contradicted", "stated")
    assert not any(r == "brand" for r, _, _ in stated("It was built by Swiss engineers.", "p8"))


def test_a_second_year_is_a_claim_of_its_own():
    reader = ClaimReader(catalog_of("films_en"))
    (reading,) = reader.read(["Heat (1995) was released in 1997."], ["f1"])
    assert {(c.value, c.verdict) for c in reading.claims} == {
        ("=1995", "supported"), ("=1997", "contradicted"),
    }  # fmt: skip


def test_a_clause_about_two_items_is_not_read_and_counts_as_unparsed():
    text = "The AeroBrew Coffee Machine and the HydraFlask Bottle weigh 4.2 kg."
    (reading,) = ClaimReader(catalog_of("products_en")).read([text])
    assert reading.claims == ()


def test_lines_of_a_list_are_about_the_item_that_they_name():
    text = (
        "1. BassCube Speaker: 20 W of sound from Sonarix for $99.\n"
        "2. HydraFlask Bottle: a 500 ml bottle by Aquent.\n"
        "3. Unknown Gadget: costs $5."
    )
    (reading,) = ClaimReader(catalog_of("products_en")).read([text])
    found = {(c.item_id, c.relation, c.verdict) for c in reading.claims}
    assert {("p22", "power", "supported"), ("p22", "price", "supported")} <= found
    assert ("p10", "capacity", "contradicted") in found
    assert not any(relation == "price" and item == "p10" for item, relation, _ in found)


@pytest.mark.parametrize(
    "text",
    ["1" * 50_000, "1," * 5_000, "5 x " * 3_000, "red and " * 1_000, "(" * 50_000,
     "from " * 3_000, "12.12." * 2_000, "$" * 50_000, "not " * 3_000, "size " * 3_000],
)  # fmt: skip
def test_long_hostile_texts_are_read_to_their_end(text):
    reader = ClaimReader(catalog_of("products_en"))
    (reading,) = reader.read([text], ["p1"])
    assert all(c.verdict in ("supported", "contradicted", "unverifiable") for c in reading.claims)
