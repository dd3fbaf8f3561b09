"""All stores answer the five calls as brute force over a set of triples does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.catalog.graph.array_store import TripleKeys
from auditkit.catalog.graph.knowledge_graph import Constraint, KnowledgeGraph, Predicate
from auditkit.catalog.graph.query_validation import Shape
from auditkit.catalog.graph.schema import KINDS, Condition
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.catalog.storage.duckdb_writer import write_duckdb
from auditkit.catalog.storage.reader import open_graph
from auditkit.catalog.storage.sqlite_writer import write_sqlite
from auditkit.errors import CatalogError, InvalidArgument

N_ITEMS = 7
PREDICATES = (
    Predicate("tag"),
    Predicate("kind", "closed"),
    Predicate("size", "closed", type="integer"),
    Predicate("made", "functional", type="date"),
    Predicate("fb:maker", "closed", labeled=False, type="entity"),
    Predicate("sequel_of", "closed", type="item"),
)
DATES = ("1969", "1969-12", "1970-01-01", "1971-05-03")
ENTITY = st.sampled_from(["ann", "bob", "cy"])
FACT = st.one_of(
    st.tuples(st.sampled_from(["tag", "kind"]), ENTITY),
    st.tuples(st.just("size"), st.integers(-3, 12).map(str)),
    st.tuples(st.just("made"), st.sampled_from(DATES)),
    st.tuples(st.just("fb:maker"), st.sampled_from(["m.1", "m.2", "ann"])),
    st.tuples(st.just("sequel_of"), st.integers(0, N_ITEMS - 1)),
)
WORLDS = st.lists(st.tuples(st.integers(0, N_ITEMS - 1), FACT), max_size=30)


class Stores:
    """The same triples in every store, and as a set of (row, predicate code, object code)."""

    def __init__(self, facts, folder):
        draft = CatalogDraft()
        for row in range(N_ITEMS):
            draft.add_item(f"i{row}", f"Item {row}")
        codes = [draft.graph.predicate(predicate) for predicate in PREDICATES]
        by_name = dict(zip((p.name for p in PREDICATES), codes, strict=True))
        for row, (name, value) in facts:
            if name == "sequel_of":
                draft.graph.add_item(row, by_name[name], value)
            else:
                draft.graph.add(row, by_name[name], value)
        encoded = draft.graph.encode(len(draft))
        write_sqlite(folder / "g.akg", draft, encoded)
        write_duckdb(folder / "g.duckdb", draft, encoded)
        sqlite = open_graph(folder / "g.akg")
        self.graphs = {
            "memory": KnowledgeGraph.of_encoded(draft.ids, encoded),
            "sqlite": sqlite,
            "view": KnowledgeGraph(
                sqlite.store.view, sqlite.terms, sqlite.predicates, warnings=sqlite.warnings
            ),
            "duckdb": open_graph(folder / "g.duckdb"),
        }
        graph = self.graphs["memory"]
        self.n_terms, self.p = graph.terms.starts[-1], by_name
        self.truth = set()
        for row, (name, value) in facts:
            kind = next(p.kind for p in PREDICATES if p.name == name)
            place = KINDS.index(kind)
            span = range(graph.terms.starts[place], graph.terms.starts[place + 1])
            o = (
                value
                if name == "sequel_of"
                else next(c for c in graph.terms.codes(value) if c in span)
            )
            self.truth.add((row, by_name[name], o))

    def degree(self, p, o):
        return sum((p, o) == (q, v) for _, q, v in self.truth)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Makes the stores of a list of facts."""
    return lambda facts: Stores(facts, tmp_path_factory.mktemp("stores"))


@settings(max_examples=25, deadline=None)
@given(WORLDS)
def test_check_has_and_objects_agree_with_brute_force(opened, facts):
    stores = opened(facts)
    predicates = sorted(stores.p.values())
    s, p, o = (
        grid.ravel()
        for grid in np.meshgrid(range(N_ITEMS), predicates, range(stores.n_terms), indexing="ij")
    )
    expected = [
        triple in stores.truth for triple in zip(s.tolist(), p.tolist(), o.tolist(), strict=True)
    ]
    pairs = [(a, b) for a in range(N_ITEMS) for b in predicates]
    of_pairs = [sorted(v for x, q, v in stores.truth if (x, q) == pair) for pair in pairs]
    for name, graph in stores.graphs.items():
        assert len(graph) == len(stores.truth), name
        assert graph.check(s, p, o).tolist() == expected, name
        for few in (3, 700):
            assert graph.check(s[:few], p[:few], o[:few]).tolist() == expected[:few], name
        first, second = np.transpose(pairs)
        assert graph.has(first, second).tolist() == [bool(found) for found in of_pairs], name
        found = graph.objects(first, second)
        ragged = [
            found.values[a:b].tolist()
            for a, b in zip(found.indptr[:-1], found.indptr[1:], strict=True)
        ]
        assert ragged == of_pairs, name
        for code in predicates:
            objects = {v for _, q, v in stores.truth if q == code}
            assert graph.store.objects_of(code).tolist() == sorted(objects), name


@settings(max_examples=25, deadline=None)
@given(WORLDS, st.sampled_from([1, 2]), st.booleans(), st.integers(1, 3))
def test_paths_agree_with_brute_force(opened, facts, hops, named, max_degree):
    stores = opened(facts)
    names = ["kind", "sequel_of"] if named else None
    wanted = {stores.p[name] for name in names} if named else set(stores.p.values())
    pairs = [(a, b) for a in range(N_ITEMS) for b in range(N_ITEMS)]
    expected = []
    for a, b in pairs:
        found = {
            (1, p, o) for s, p, o in stores.truth if (s, o) in ((a, b), (b, a)) and p in wanted
        }
        if hops == 2:
            found |= {
                (2, p, o)
                for s, p, o in stores.truth
                if s == a and (b, p, o) in stores.truth and p in wanted
                and (named or stores.degree(p, o) <= max_degree)
            }  # fmt: skip
        expected.append(sorted(found))
    a, b = np.transpose(pairs)
    for name, graph in stores.graphs.items():
        found = graph.paths(a, b, max_hops=hops, predicates=names, max_degree=max_degree)
        rows = list(
            zip(found.hops.tolist(), found.predicate.tolist(), found.value.tolist(), strict=True)
        )
        ragged = [rows[x:y] for x, y in zip(found.indptr[:-1], found.indptr[1:], strict=True)]
        assert ragged == expected, name


CONSTRAINT = st.one_of(
    st.builds(Constraint, st.sampled_from(["tag", "kind", "fb:maker"]),
              st.sampled_from(["=", "!="]), st.sampled_from(["ann", "bob", "m.1", "nobody"])),
    st.builds(Constraint, st.just("size"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
              st.integers(-4, 13).map(str)),
    st.builds(Constraint, st.just("made"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
              st.sampled_from((*DATES, "1970"))),
    st.builds(Constraint, st.just("absent"), st.just("="), st.just("x")),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(WORLDS, st.lists(CONSTRAINT, max_size=3))
def test_select_finds_the_items_whose_verdict_is_supported(opened, facts, constraints):
    stores = opened(facts)
    expected = None
    for name, graph in stores.graphs.items():
        by_verdict = [
            row
            for row in range(N_ITEMS)
            if graph.constraint_verdict(f"i{row}", constraints) == "supported"
        ]
        expected = by_verdict if expected is None else expected
        assert by_verdict == expected, name
        assert graph.select(constraints).tolist() == expected, name


@settings(max_examples=4, deadline=None)
@given(WORLDS)
def test_every_store_gives_the_same_names_and_verdicts(opened, facts):
    stores = opened(facts)
    claims = [
        (name, value)
        for name in (
            *(p.name for p in PREDICATES[:5]),
            "same:kind",
            "same:maker",
            "sequel_of",
            "no",
        )
        for value in ("ann", "m.1", "7", "<5", ">1969", "=1970", "i3")
        if (value == "i3") == (name.startswith("same:") or name == "sequel_of")
    ]

    def judged(graph):
        return [graph.judge(f"i{row}", *claim) for row in range(3) for claim in claims]

    expected = judged(stores.graphs["memory"])
    for name, graph in stores.graphs.items():
        assert judged(graph) == expected, name
        assert graph.warnings == stores.graphs["memory"].warnings, name
        assert graph.worlds == stores.graphs["memory"].worlds, name


def test_a_large_batch_gives_what_single_calls_give(opened):
    facts = [(row, ("size", str(row))) for row in range(N_ITEMS)]
    stores = opened(facts)
    p = stores.p["size"]
    rows = np.arange(5000) % N_ITEMS
    for graph in stores.graphs.values():
        codes = [graph.objects([row], p).values[0] for row in range(N_ITEMS)]
        assert graph.check(rows, p, np.asarray(codes)[rows]).all()
        assert not graph.check(rows, p, np.asarray(codes)[(rows + 1) % N_ITEMS]).any()
        assert graph.has(rows, p).all()
        assert graph.objects(rows, p).values.tolist() == np.asarray(codes)[rows].tolist()
        assert len(graph.paths(rows, rows, predicates=["size"]).value) == 5000


def test_codes_out_of_range_are_refused_or_in_no_triple(opened):
    stores = opened([(0, ("tag", "ann"))])
    for graph in stores.graphs.values():
        assert (
            graph.check([-1, 0, 0, 99], [0, -1, 99, 0], [0, 0, 1 << 40, 0]).tolist() == [False] * 4
        )
        for call in (graph.has, graph.objects):
            with pytest.raises(InvalidArgument, match="out of range"):
                call([99], 0)
        with pytest.raises(InvalidArgument, match="out of range"):
            graph.paths([0], [-1])
        with pytest.raises(InvalidArgument, match="max_hops=3"):
            graph.paths([0], [1], max_hops=3)


def test_empty_batches_have_empty_answers(opened):
    stores = opened([])
    for graph in stores.graphs.values():
        assert graph.check([], 0, []).tolist() == []
        assert graph.has([], 0).tolist() == []
        assert graph.objects([], 0).indptr.tolist() == [0]
        assert graph.paths([], []).indptr.tolist() == [0]
        assert graph.store.select([]).tolist() == list(range(N_ITEMS))
        assert graph.store.select([Condition(0, ())]).tolist() == []


@pytest.mark.parametrize(
    "shape", [Shape(1, 1 << 26, 1, 1), Shape(1, 1, 256, 1), Shape(1, 1, 1, 1 << 29)]
)
def test_a_graph_beyond_its_key_is_refused(shape):
    with pytest.raises(
        CatalogError, match=r"do not fit into the \d+, \d+ and \d+ bits of the graph's keys"
    ):
        TripleKeys(np.empty(0, dtype=np.int64), shape)
