"""What a graph says of a claim: the rules of the worlds, ranges, negation, shared values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.graph.knowledge_graph import Constraint, KnowledgeGraph, Predicate
from auditkit.catalog.graph.typed_values import canonical, claimed_range, constrained_range
from auditkit.catalog.graph.verdict_rules import every, negation_of, some
from auditkit.errors import CatalogError, InvalidArgument

GRAPH = KnowledgeGraph.from_triples(
    ["alien", "aliens", "heat", "ran", "lost"],
    (
        Predicate("year", "functional", type="integer"),
        Predicate("director", "closed", type="entity"),
        Predicate("actor", type="entity"),
        Predicate("runtime", "functional", type="integer"),
        Predicate("score", "closed", type="real"),
        Predicate("premiere", "closed", type="date"),
        Predicate("fb:director", "closed", labeled=False, type="entity"),
        Predicate("fb:sequel", labeled=False, type="item"),
    ),
    [
        ("alien", "year", "1979"), ("aliens", "year", "1986"), ("heat", "year", "1995"),
        ("alien", "director", "Ridley Scott"), ("aliens", "director", "James Cameron"),
        ("alien", "actor", "Sigourney Weaver"), ("aliens", "actor", "Sigourney Weaver"),
        ("heat", "actor", "Al Pacino"), ("alien", "runtime", "117"), ("heat", "score", "8.30"),
        ("alien", "premiere", "1979-05-25"),
        ("ran", "fb:director", "m.1"), ("heat", "fb:director", "m.2"),
        ("alien", "fb:director", "m.2"),
    ],
    item_triples=[("alien", "fb:sequel", "aliens")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("1979", "supported"), ("=1979", "supported"), ("=1980", "contradicted"),
        ("<1980", "supported"), ("<1979", "contradicted"), (">1978", "supported"),
        (">1979", "contradicted"), (">1969<1980", "supported"), (">1979<1990", "contradicted"),
        ("1979.0", "supported"), ("soon", "unverifiable"), ("<soon", "unverifiable"),
        ("", "unverifiable"), ("<", "unverifiable"), ("=" + "9" * 400, "unverifiable"),
    ],
)  # fmt: skip
def test_years_are_compared_with_exclusive_bounds(value, verdict):
    assert GRAPH.verdict("alien", "year", value) == verdict
    assert GRAPH.verdict("lost", "year", value) == "unverifiable"


@pytest.mark.parametrize(
    ("item", "predicate", "value", "verdict"),
    [
        ("alien", "runtime", "117", "supported"),
        ("alien", "runtime", "170", "contradicted"),
        ("heat", "score", "8.3", "supported"),
        ("heat", "score", ">8.3", "contradicted"),
        ("alien", "premiere", "=1979", "supported"),
        ("alien", "premiere", "1979-05", "supported"),
        ("alien", "premiere", ">1979", "contradicted"),
        ("alien", "premiere", "<1980", "supported"),
    ],
)
def test_numbers_and_dates_are_compared_as_such(item, predicate, value, verdict):
    assert GRAPH.verdict(item, predicate, value) == verdict


@pytest.mark.parametrize(
    ("claim", "plain", "negated"),
    [
        (("alien", "director", "Ridley Scott"), "supported", "contradicted"),
        (("alien", "director", "James Cameron"), "contradicted", "supported"),
        (("alien", "actor", "Al Pacino"), "unverifiable", "unverifiable"),
        (("alien", "award", "Oscar"), "unverifiable", "unverifiable"),
    ],
)
def test_negation_swaps_supported_and_contradicted(claim, plain, negated):
    assert GRAPH.verdict(*claim) == plain
    assert GRAPH.verdict(*claim, negated=True) == negated


@pytest.mark.parametrize(
    ("ids", "value", "verdict"),
    [
        (["alien", "aliens"], "James Cameron", "supported"),
        (["alien", "aliens"], "Michael Mann", "contradicted"),
        (["alien", "lost"], "Michael Mann", "unverifiable"),
        (["lost", "alien"], "Ridley Scott", "supported"),
    ],
)
def test_several_items_for_one_mention_are_judged_in_doubt_for_the_speaker(ids, value, verdict):
    assert GRAPH.verdict(ids, "director", value) == verdict


@pytest.mark.parametrize(
    ("a", "relation", "b", "verdict"),
    [
        ("alien", "same:director", "aliens", "contradicted"),
        ("alien", "same:actor", "aliens", "supported"),
        ("alien", "same:actor", "heat", "unverifiable"),  # actor is open
        ("ran", "same:director", "heat", "contradicted"),  # by the ids of Freebase
        ("alien", "same:director", "heat", "supported"),  # heat has no named director
        ("alien", "same:director", "lost", "unverifiable"),
        ("alien", "same:award", "heat", "unverifiable"),
        ("aliens", "sequel_of", "alien", "supported"),
        ("alien", "sequel_of", "aliens", "unverifiable"),
    ],
)
def test_relations_between_items_follow_the_graph(a, relation, b, verdict):
    assert GRAPH.verdict(a, relation, b) == verdict


def test_a_value_without_a_name_contradicts_only_ids():
    assert GRAPH.verdict("ran", "fb:director", "m.2") == "contradicted"
    assert GRAPH.verdict("ran", "fb:director", "Ridley Scott") == "unverifiable"


def test_evidence_is_what_supports_or_what_the_item_has_instead():
    assert GRAPH.judge("alien", "director", "Ridley Scott").evidence == (
        ("alien", "director", "Ridley Scott"),
    )
    assert GRAPH.judge("alien", "year", "<1970").evidence == (("alien", "year", "1979"),)
    assert GRAPH.judge("alien", "actor", "nobody").evidence == ()
    assert GRAPH.judge("aliens", "sequel_of", "alien").evidence == (
        ("alien", "fb:sequel", "aliens"),
    )
    assert GRAPH.judge("alien", "same:director", "aliens").evidence == (
        ("alien", "director", "Ridley Scott"),
        ("aliens", "director", "James Cameron"),
    )


def test_relations_between_items_want_an_item():
    with pytest.raises(CatalogError, match="'nowhere', which is not in the catalog"):
        GRAPH.verdict("alien", "same:director", "nowhere")


def test_constraints_are_anded_and_doubt_outweighs_support():
    def verdict(item, *constraints):
        return GRAPH.constraint_verdict(item, [Constraint(*c) for c in constraints])

    assert (
        verdict("alien", ("year", "<", "1980"), ("actor", "=", "Sigourney Weaver")) == "supported"
    )
    assert verdict("alien", ("year", "<", "1980"), ("actor", "=", "Al Pacino")) == "unverifiable"
    assert verdict("alien", ("year", ">=", "1980"), ("actor", "=", "x")) == "contradicted"
    assert verdict("alien", ("director", "!=", "Ridley Scott")) == "contradicted"
    assert verdict("alien", ("director", "!=", "Michael Mann")) == "supported"
    assert verdict("alien", ("actor", "!=", "Al Pacino")) == "unverifiable"
    assert verdict("alien") == "supported"


def test_a_comparison_without_numbers_is_an_error():
    with pytest.raises(InvalidArgument, match="the predicate has no numbers"):
        GRAPH.select([Constraint("director", "<", "5")])
    with pytest.raises(InvalidArgument, match="'soon' is not a number"):
        GRAPH.select([Constraint("year", "<", "soon")])
    with pytest.raises(InvalidArgument, match="operator '~'"):
        Constraint("year", "~", "5")


@given(st.lists(st.sampled_from(["supported", "contradicted", "unverifiable"]), min_size=1))
def test_some_and_every_are_dual(verdicts):
    assert negation_of(some(verdicts)) == every(map(negation_of, verdicts))


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_bounds_are_exclusive_for_every_number(number, bound):
    def within(value):
        allowed = claimed_range(value, "integer")
        return allowed.low <= number <= allowed.high

    assert within(f"<{bound}") == (number < bound)
    assert within(f">{bound}") == (number > bound)
    assert within(f"={bound}") == (number == bound)
    below = constrained_range("<=", str(bound), "integer")
    assert (below.low <= number <= below.high) == (number <= bound)


@pytest.mark.parametrize(
    ("text", "of", "expected"),
    [
        ("1995.0", "integer", "1995"), (" +7 ", "integer", "7"), ("1e3", "real", "1000"),
        ("8.30", "real", "8.3"), ("-0.5", "real", "-0.5"),
        ("1995-11-22T10:00", "date", "1995-11-22"),
        ("1995-11", "date", "1995-11"), ("1995", "date", "1995"), (" x ", "string", "x"),
        ("1895-00-00", "date", "1895"), ("1895-06-00", "date", "1895-06"),
        ("1895-00-07", "date", "1895"), ("1901Z", "date", "1901"), ("1901+01:00", "date", "1901"),
        ("+1895-06-01T00:00:00Z", "date", "1895-06-01"), ("0042", "string", "0042"),
    ],
)  # fmt: skip
def test_values_have_one_spelling(text, of, expected):
    assert canonical(text, of) == expected
    assert canonical(expected, of) == expected


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("1.5", "integer"), ("nan", "real"), ("inf", "real"), ("", "integer"), ("٣", "integer"),
        ("-0750", "date"), ("0000-00-00", "date"), ("12345", "date"),
        ("1995-13", "date"), ("95-1-1", "date"), ("1_000", "integer"), ("9" * 5000, "integer"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_its_type_is_refused(text, of):
    with pytest.raises(ValueError, match=r"is not a"):
        canonical(text, of)


DATED = KnowledgeGraph.from_triples(
    ["day", "month", "year", "zeros", "later"],
    (Predicate("made", "functional", type="date"),),
    [
        ("day", "made", "1895-06-15"), ("month", "made", "1895-06-00"), ("year", "made", "1895"),
        ("zeros", "made", "1895-00-00"), ("later", "made", "1896-01-01"),
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "verdicts"),
    [
        ("=1895", "supported supported supported supported contradicted"),
        ("=1895-06", "supported supported unverifiable unverifiable contradicted"),
        ("=1895-06-15", "supported unverifiable unverifiable unverifiable contradicted"),
        ("=1895-07", "contradicted contradicted unverifiable unverifiable contradicted"),
        ("<1895-07", "supported supported unverifiable unverifiable contradicted"),
        (">1895", "contradicted contradicted contradicted contradicted supported"),
    ],
)
def test_a_date_without_a_day_neither_supports_nor_contradicts_one_of_its_days(value, verdicts):
    items = ("day", "month", "year", "zeros", "later")
    assert [DATED.verdict(item, "made", value) for item in items] == verdicts.split()


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("value", ["1895", "1895-06", "1895-06-15", "1895-07", "1896-01-01"])
def test_items_are_selected_by_date_only_if_they_certainly_meet_it(operator, value):
    constraint = Constraint("made", operator, value)
    items = ("day", "month", "year", "zeros", "later")
    certain = [
        row
        for row, item in enumerate(items)
        if DATED.constraint_verdict(item, [constraint]) == "supported"
    ]
    assert DATED.select([constraint]).tolist() == certain
