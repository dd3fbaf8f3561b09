"""Claims that are read from explanations, on hand-written texts with labels."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from labeled_claims import CORE, film_catalog, labeled, score

from auditkit.claims.lexicon import has_no_capital
from auditkit.claims.reader import ClaimReader
from auditkit.errors import CatalogError


@pytest.fixture(scope="module")
def reader():
    return ClaimReader(film_catalog())


def stated(reader, text, item=None):
    """(item, relation, value) of every claim, with "not" in front of a negated value."""
    claims = reader.read([text], [item])[0].claims
    return {(c.item_id, c.relation, f"not {c.value}" if c.negated else c.value) for c in claims}


@pytest.mark.parametrize(
    ("text", "item", "claims"),
    [
        ("Michael Mann's Heat is a crime film.", None,
         {("f1", "director", "Michael Mann"), ("f1", "genre", "Crime")}),
        ("Heat (1995) stars Al Pacino.", None,
         {("f1", "year", "=1995"), ("f1", "actor", "Al Pacino")}),
        ("It isn't a comedy but a thriller.", "f1",
         {("f1", "genre", "not Comedy"), ("f1", "genre", "Thriller")}),
        ("Unlike Alien, this is no horror film.", "f1",
         {("f1", "genre", "not Horror"), ("f5", "genre", "Horror")}),
        ("Vertigo and Psycho (1960) are both Hitchcock films.", None,
         {("f19", "director", "Alfred Hitchcock"), ("f17", "director", "Alfred Hitchcock"),
          ("f17", "year", "=1960")}),
        ("Heat and Casino were directed by Michael Mann and Martin Scorsese, respectively.", None,
         {("f1", "director", "Michael Mann"), ("f3", "director", "Martin Scorsese")}),
        ("Aliens is long. Speed and Fargo are short; the former is from 1994.", None,
         {("f4", "year", "=1994")}),
        ("It comes from the director of Thief.", "f1", {("f1", "same:director", "f59")}),
        ("Made before 1996, in the nineties, it runs 170 minutes.", "f1",
         {("f1", "year", "<1996"), ("f1", "year", ">1989<2000"), ("f1", "runtime", "170")}),
        ("You like comedies and films by Woody Allen.", "f1", set()),
        ("Set in 1942 during the war, with plenty of action scenes.", "f25", set()),
        ("Is it a comedy?", "f1", set()),
        ("Some call it a comedy.", "f1", set()),
        ("A film for fans of science fiction.", "f1", set()),
        ("Crime pays in Crimes and Misdemeanors.", None, set()),
        ("Over three hours long.", "f120", set()),
        # a film that the catalog lacks has facts of its own
        ("Heat is a crime film. Bogus Flick (2001) is an animated comedy.", None,
         {("f1", "genre", "Crime")}),
        ("I recommend Heat. Bogus Flick is a comedy from 2001.", None, set()),
        ("Heat: A crime film.\nBogus Flick: An animated comedy.", None, {("f1", "genre", "Crime")}),
        # a second year is that of another version
        ("Psycho (1960) was remade by Gus Van Sant in 1998.", None, {("f17", "year", "=1960")}),
        ("Alien premiered in 1979 and got a director's cut in 2003.", None,
         {("f5", "year", "=1979")}),
        ("Psycho (1960) is based on Robert Bloch's 1959 novel.", None,
         {("f17", "year", "=1960"), ("f17", "based_on", "Robert Bloch 's 1959 novel")}),
        # negation and contrast reach as far as they are meant
        ("Unlike the comedy Toy Story, Alien is a horror film.", None,
         {("f66", "genre", "Comedy"), ("f66", "genre", "not Horror"), ("f5", "genre", "Horror")}),
        ("Alien, not Aliens, was directed by Ridley Scott.", None,
         {("f5", "director", "Ridley Scott")}),
        ("Aliens is not by Ridley Scott, who made Alien.", None,
         {("f6", "director", "not Ridley Scott"), ("f5", "director", "Ridley Scott")}),
        ("Alien was no mere horror film.", None, {("f5", "genre", "Horror")}),
        ("Alien is less a drama than a horror film.", None, set()),
        ("Ridley Scott never directed a comedy like Toy Story.", None, set()),
        # a surname that is a word
        ("You will love Alien.", None, set()),
    ],
)  # fmt: skip
def test_what_a_careful_reader_would_say_is_claimed(reader, text, item, claims):
    assert stated(reader, text, item) == claims


def test_a_contradiction_carries_the_triples_that_contradict_it(reader):
    (claim,) = reader.read(["Directed by Steven Spielberg."], ["f1"])[0].claims
    assert claim.verdict == "contradicted"
    assert claim.evidence == (("f1", "director", "Michael Mann"),)
    assert "Directed by Steven Spielberg."[slice(*claim.span)] == "Steven Spielberg"


def test_what_the_graph_cannot_know_is_unverifiable_never_false(reader):
    texts = ["Starring Meryl Streep.", "Directed by Jane Doe.", "It won an Oscar."]
    verdicts = [r.claims[0].verdict for r in reader.read(texts, ["f1", "f71", "f1"])]
    assert verdicts == ["unverifiable"] * 3


def test_coverage_counts_factual_clauses_without_a_claim(reader):
    reading = reader.read(["A crime film. Set in 1942."], ["f1"])[0]
    assert reading.n_factual == 2
    assert reading.coverage == 0.5
    assert reading.unparsed == ("Set in 1942.",)
    assert reader.read(["Wonderful."], ["f1"])[0].coverage is None


def test_an_unknown_subject_is_an_error(reader):
    with pytest.raises(CatalogError, match="no item 'f999'"):
        reader.read(["A film."], ["f999"])


@example(text="'B_", item=None)
@given(text=st.text(max_size=200), item=st.sampled_from([None, "f1", "f19"]))
def test_no_text_is_an_error_and_every_span_lies_in_it(reader, text, item):
    reading = reader.read([text], [item])[0]
    assert all(0 <= c.span[0] <= c.span[1] <= len(text) for c in reading.claims)
    assert len(reading.unparsed) <= reading.n_factual


@given(
    st.lists(
        st.sampled_from(
            ["Heat", "(1995)", "is", "not", "a", "crime", "film", ",", "and", "by", "Michael Mann",
             "'s", "but", ".", "who", "directed", "unlike", "Alien", "1994", "both", "the",
             "latter", "respectively", "?", "170", "minutes", "in", "French", "\n", "-", "(", ")"]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_no_order_of_its_own_words_is_an_error(reader, words):
    text = " ".join(words)
    for claim in reader.read([text], [None])[0].claims:
        assert claim.verdict in ("supported", "contradicted", "unverifiable")


def test_a_clause_of_many_thousand_words_keeps_its_tail(reader):
    text = f"Heat is {'nice ' * 12_000} and it is a drama."
    assert ("f1", "genre", "Drama") in stated(reader, text)


def test_very_long_texts_are_read_to_their_end_and_searched_for_capitals_once(reader):
    """Searching at every word is work that grows with the square of a text."""
    has_no_capital.cache_clear()
    many, word, marks = reader.read(
        ["Heat is a crime film and " * 1_000, "x" * 100_000, "(" * 25_000], None
    )
    assert many.n_factual == 1_000
    assert word.claims == marks.claims == ()
    assert has_no_capital.cache_info().misses == 3


def test_twice_the_same_reading(reader):
    texts = [row["text"] for row in labeled("development")]
    assert reader.read(texts) == reader.read(texts)


def test_texts_of_another_author_that_the_rules_have_not_seen(reader):
    scores = score(reader, labeled("unseen"))
    print(scores)
    assert scores.precision(CORE) >= 0.95
    assert scores.recall(CORE) >= 0.85
    assert scores.wrong_verdicts == 0
    assert scores.supported_called_contradicted <= 0.01 * scores.n_supported


def test_both_parts_hold_enough_of_every_verdict():
    parts = {name: labeled(name) for name in ("development", "unseen")}
    for texts in parts.values():
        verdicts = Counter(c["verdict"] for text in texts for c in text["claims"])
        assert verdicts["contradicted"] >= 100
        assert verdicts["unverifiable"] >= 50
        assert len({text["text"] for text in texts}) == len(texts) >= 200
    assert 2 * len(parts["unseen"]) >= len(parts["development"])


def test_the_texts_that_the_rules_were_made_on(reader):
    scores = score(reader, labeled("development"))
    print(scores)
    assert scores.precision(CORE) >= 0.97
    assert scores.recall(CORE) >= 0.93
    assert scores.wrong_verdicts == 0
