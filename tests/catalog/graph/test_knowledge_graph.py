from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import film_graph
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph, Predicate
from auditkit.catalog.sources.freebase import read_crosswalk
from auditkit.errors import CatalogError, InvalidArgument

PREDICATES = (
    Predicate("genre", "closed"),
    Predicate("year", "functional"),
    Predicate("actor"),
    Predicate("fb:director", "closed", labeled=False),
    Predicate("sequel"),
)
TRIPLES = [
    ("50", "genre", "Action"),
    ("50", "year", "1977"),
    ("50", "actor", "Harrison Ford"),
    ("50", "fb:director", "m.1"),
    ("1977", "fb:director", "m.2"),
]


@pytest.fixture(scope="module")
def graph():
    return KnowledgeGraph.from_triples(
        ["50", "172", "1977"], PREDICATES, TRIPLES, item_triples=[("50", "sequel", "172")]
    )


@pytest.mark.parametrize(
    ("item", "predicate", "value", "verdict"),
    [
        ("50", "genre", "Action", "supported"),
        ("50", "genre", "Comedy", "contradicted"),
        ("172", "genre", "Action", "unverifiable"),
        ("50", "year", "1977", "supported"),
        ("50", "year", "1978", "contradicted"),
        ("50", "actor", "Harrison Ford", "supported"),
        ("50", "actor", "Carrie Fisher", "unverifiable"),
        ("50", "fb:director", "m.2", "contradicted"),
        ("50", "fb:director", "George Lucas", "unverifiable"),
        ("50", "sequel", "172", "supported"),
        ("50", "award", "Oscar", "unverifiable"),
    ],
)
def test_verdict_follows_the_world_of_the_predicate(graph, item, predicate, value, verdict):
    assert graph.verdict(item, predicate, value) == verdict


def test_an_unknown_item_is_an_error(graph):
    with pytest.raises(CatalogError, match="not in the catalog"):
        graph.verdict("51", "genre", "Action")


def test_an_unknown_predicate_is_named_with_the_nearest_one(graph):
    with pytest.raises(CatalogError, match="Did you mean 'genre'"):
        graph.predicate("genres")


def test_a_functional_predicate_with_two_values_becomes_closed_with_a_warning():
    made = KnowledgeGraph.from_triples(
        ["1"], [Predicate("year", "functional")], [("1", "year", "1990"), ("1", "year", "1991")]
    )
    assert made.worlds["year"] == "closed"
    assert made.warnings == (
        "year has two values for one item and is therefore treated as closed instead of functional",
    )
    assert made.verdict("1", "year", "1991") == "supported"


def test_codes_out_of_range_are_an_error(graph):
    with pytest.raises(InvalidArgument):
        graph.has([99], 0)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 7)), max_size=40),
)
def test_check_has_and_objects_agree_with_a_set_of_triples(rows):
    items = [str(i) for i in range(6)]
    predicates = [Predicate(f"p{i}") for i in range(4)]
    made = KnowledgeGraph.from_triples(
        items, predicates, [(str(s), f"p{p}", f"v{o}") for s, p, o in rows]
    )
    truth = set(rows)
    assert len(made) == len(truth)
    for s in range(6):
        for p in range(4):
            values = {o for s_, p_, o in truth if (s_, p_) == (s, p)}
            assert bool(made.has(s, p)[0]) == bool(values)
            assert {made.label(code) for code in made.objects(s, p).values.tolist()} == {
                f"v{o}" for o in values
            }
            terms = [made.term(f"v{o}") for o in range(8)]
            known = [-1 if term is None else term for term in terms]
            assert made.check(s, p, known).tolist() == [o in values for o in range(8)]


def test_objects_of_many_subjects_come_as_one_ragged_array(graph):
    found = graph.objects([0, 1, 2], graph.predicate("fb:director"))
    assert found.indptr.tolist() == [0, 1, 1, 2]
    assert [graph.label(code) for code in found.values.tolist()] == ["m.1", "m.2"]


def test_ml100k_graph_links_the_right_films(ml100k):
    graph = ml100k.catalog.graph
    rows = np.arange(len(ml100k.catalog))
    assert graph.link == "checked"
    assert graph.warnings == ()
    assert int(graph.has(rows, graph.predicate("fb:director")).sum()) >= 1500
    assert graph.values("50", "fb:sequel") == ("172",)
    assert graph.values("1", "decade") == ("1990s",)
    assert graph.verdict("1", "genre", "Comedy") == "supported"
    assert graph.verdict("1", "genre", "Horror") == "contradicted"


def test_a_plain_join_on_item_id_is_refused(ml100k):
    same_ids = [(item.id, item.id) for item in ml100k.catalog.items]
    graph = film_graph(ml100k.catalog.items, folder=get_dataset("ml-100k"), crosswalk=same_ids)
    assert graph.link == "refused"
    assert "is rejected" in graph.warnings[0]
    assert graph.verdict("1", "fb:director", "m.1") == "unverifiable"
    assert graph.verdict("1", "genre", "Comedy") == "supported"


def test_crosswalk_serves_every_item_once_and_some_films_twice():
    pairs = read_crosswalk()
    served = [item for _, item in pairs]
    assert len(served) == len(set(served)) >= 1647
    assert len(served) - len({film for film, _ in pairs}) == 18
    assert {("260", "50"), ("1196", "172"), ("1210", "181")} <= set(pairs)
