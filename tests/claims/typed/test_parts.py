"""Values of parts, rivals, differences and uses are not read as claims about the item."""

from __future__ import annotations

import pytest

from auditkit.claims.reader import ClaimReader
from auditkit.claims.typed.vocabulary import Parts, own_words
from tests.support.domain_sentences import catalog_of
from tests.support.growth import grows_linearly

TRUE = {
    "products_en": """
        p2 The carafe is glass, and the machine is stainless steel.
        p2 Its drip tray is red but the housing is black.
        p2 The lid of the coffee machine is plastic.
        p2 Comes with a white cable and a 250 g bag of beans.
        p2 It costs $249, which is $50 less than the previous model.
        p2 Down from $299, it now sells for $249.
        p2 The AeroBrew Coffee Machine weighs 4.2 kg, 1.3 kg more than its predecessor.
        p2 It is $60 cheaper than the Lavetti flagship at $309.
        p2 It brews enough for a 2 l thermos.
        p4 The zipper is made of steel and the pockets are blue.
        p5 The knife comes in a red gift box and has a leather sheath.
        p6 It is made of mesh, with a heel of leather.
        p6 Runners up to 80 kg will like it.
        p8 The drill ships in a blue case with a 2 kg battery pack.
        p8 The battery weighs 400 g and the charger costs $39.
        p9 Strong enough for a 20 kg aquarium.
        p10 Its handle, which is black, folds away.
        p10 Keeps drinks cold for 24 hours, holds 0.75 l, cap made of bamboo.
        p12 Its 1.5 m cable is white, the monitor black.
        p13 Made of cotton with a wool fringe, it costs $74 instead of $99.99.
        p16 It costs $159 while a rival at $250 keeps worse time.
        p18 Suitable for loaves up to 1.5 kg.
        p18 Enough for a 2 kg roast, the pot itself weighs 5.8 kg.
        p3 Its carrying pouch, made of cotton, is blue.
        p2 Competing models cost $350.
        p8 Drills through steel, wood and plastic.
        p10 The sleeve around it is made of nylon.
        p24 The legs, made of oak, are 20 cm tall.
        p24 Legs in black, seat in beige.
        p24 A matching footstool in red costs $99.
    """,
    "products_de": """
        g1 Die Regenhülle ist orange und wiegt 90 g.
        g1 Der Rucksack hat gelbe Reißverschlüsse und einen Hüftgurt aus Leder.
        g2 Der Deckel ist aus Kunststoff, die Maschine selbst aus Edelstahl.
        g2 Statt 1.399 € kostet sie jetzt 1.249 €.
        g2 Sie kostet 1.249 €, also 100 € weniger als die Konkurrenz für 1.349 €.
        g2 Sie ist 200 g leichter als das Vorgängermodell.
        g2 Früher 1.399 €, jetzt 1.249 €.
        g2 Vergleichbare Geräte kosten 1.500 €.
        g5 Schneidet auch einen 3 kg schweren Kürbis.
        g5 Rot ist nur der Griff.
        g5 Das Messer kommt in einer schwarzen Schachtel.
        g6 Die Schnürsenkel sind weiß und die Sohle ist aus Gummi.
        g7 Der Schirm aus Leinen sitzt auf einem Fuß aus Stahl.
        g8 Geliefert wird er in einem roten Koffer mit einem 500 g schweren Akku.
        g8 Das Ladegerät kostet 39 € und wiegt 300 g.
        g9 Er trägt bis zu 20 kg und ist für Lampen bis 5 kg gedacht.
        g10 Der Griff, der rot ist, lässt sich umklappen.
        g16 Das Zifferblatt ist weiß, das Armband aus Nylon.
        g18 Reicht für einen 2 kg schweren Braten.
        g18 Er ist um 300 g schwerer als sein Vorgänger.
        g21 Der Griff des Schirms ist aus Holz, die Hülle rot.
    """,
}
FALSE = {
    "products_en": """
        p1 color=Red The backpack is red, the straps are black.
        p2 material=Plastic The carafe is glass, but the machine is made of plastic.
        p2 price=199 USD It has a white cable and costs $199.
        p2 weight=6 kg With a lid made of plastic, it weighs 6 kg.
        p4 material=Cotton Made of cotton with steel zippers, it costs $219.
        p6 color=Green With white laces, the shoes come in green.
        p8 color=Red The drill comes with a blue bag and is red.
        p10 material=Aluminium The bottle is made of aluminum, the lid of bamboo.
        p12 weight=8 kg The monitor weighs 8 kg, its stand 1 kg.
        p16 weight=120 g It has a leather strap, weighs 120 g and costs $159.
        p16 weight=120 g Its strap is brown and the watch tips the scales at 120 g.
        p18 price=99 USD It costs $99 instead of $149.
        p18 price=79 USD At $79 it is $40 cheaper than its rival at $119.
        p24 color=Red This armchair is red and has black legs.
    """,
    "products_de": """
        g1 color=Gelb Der Rucksack ist gelb, die Gurte sind schwarz.
        g2 material=Aluminium Der Tankdeckel ist aus Glas, aber die Maschine ist aus Aluminium.
        g2 price=999 EUR Statt 1.249 € kostet sie jetzt 999 €.
        g5 weight=400 g Das Messer wiegt 400 g, der Griff ist aus Holz.
        g6 color=Grün Die Laufschuhe sind grün mit weißen Schnürsenkeln.
        g10 material=Kunststoff Die Trinkflasche ist aus Kunststoff, der Deckel aus Bambus.
        g18 weight=9 kg Der Bräter wiegt 9 kg und hat einen Knauf aus Edelstahl.
        g24 color=Rot Der Sessel ist rot, die Füße sind schwarz.
    """,
}


def lines_of(sets):
    return [(name, *line.split(" ", 1)) for name, text in sets.items() for line in lines(text)]


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def contradicted(name, item_id, text):
    (reading,) = ClaimReader(catalog_of(name)).read([text], [item_id])
    return {(c.relation, c.value) for c in reading.claims if c.verdict == "contradicted"}


@pytest.mark.parametrize(("name", "item_id", "text"), lines_of(TRUE))
def test_a_true_sentence_about_a_part_contradicts_nothing(name, item_id, text):
    assert contradicted(name, item_id, text) == set()


@pytest.mark.parametrize(("name", "item_id", "line"), lines_of(FALSE))
def test_a_false_sentence_about_the_item_is_contradicted_beside_a_part(name, item_id, line):
    relation, rest = line.split("=", 1)
    found = contradicted(name, item_id, rest.partition(" ")[2])
    assert [(r, rest.startswith(f"{value} ")) for r, value in found] == [(relation, True)]


def test_a_clause_about_a_part_alone_is_unparsed():
    (reading,) = ClaimReader(catalog_of("products_en")).read(["The strap is red."], ["p16"])
    assert reading.claims == ()
    assert len(reading.unparsed) == reading.n_factual == 1


def test_what_replaces_a_former_price_is_read():
    (reading,) = ClaimReader(catalog_of("products_en")).read(
        ["It costs $119 instead of $149."], ["p18"]
    )
    assert [(c.value, c.verdict) for c in reading.claims] == [("119 USD", "supported")]


def test_a_part_that_is_the_item_itself_is_the_item():
    assert ("color", "Red") in contradicted("products_en", "p17", "The hose is red.")
    assert ("color", "Rot") in contradicted("products_de", "g21", "Der Schirm ist rot.")


def test_words_for_parts_end_compounds_in_german_only():
    parts = Parts({"de": ["deckel"], "en": ["lid"]})
    assert parts.has("glasdeckel", "de")
    assert not parts.has("glasdeckel", "de", compounds=False)
    assert not parts.has("eyelid", "en")


def test_the_main_noun_of_a_title_is_in_front_of_its_additions():
    words = own_words(["Steel Pan with Lid"])
    assert "pan" in words.main
    assert "lid" not in words.main | words.words


@pytest.mark.parametrize(
    "part",
    ["the lid is red and ", "a red lid of ", "up to 2 kg ", "$5 less than ", "of the red ",
     "der Deckel ist ", "statt 5 € ", "red "],
)  # fmt: skip
def test_long_texts_take_linear_time(part):
    reader = ClaimReader(catalog_of("products_en"))
    assert grows_linearly(lambda n_parts: reader.read([part * n_parts], ["p1"]), 250)
