from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_lists import FollowsTaste, StarvesTheTail
from planted_recommenders import Clean
from run_probe import run_probe, target_for
from scipy import sparse
from small_world import world

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph, Predicate
from auditkit.errors import InvalidArgument
from auditkit.metrics.exposure import gini, group_utility, lorenz_curve, tail
from auditkit.probes.base import Context, item_ids, load_users, neutral_request
from auditkit.probes.fairness.exposure import ExposureProbe, _statistics
from auditkit.probes.fairness.exposure_counts import popularity_in
from auditkit.probes.fairness.item_groupings import item_groupings, largest_groups
from auditkit.registry import probe_spec
from auditkit.stats.concentration import concentration

PROBE = "fairness.exposure"
UNITS = {"unit": "points", "direction": "lower"}


def with_relation(name):
    """The small world's catalog, its even items of one provider and its odd ones of three."""
    items = world().catalog.items

    def build(found):
        triples = [
            (item.id, name, "one" if row % 2 == 0 else f"other {row % 3}")
            for row, item in enumerate(found)
        ]
        return KnowledgeGraph.from_triples(
            [item.id for item in found], [Predicate(name, "closed")], triples
        )

    return dataclasses.replace(world().catalog, items=items, build_graph=build)


def run_with(catalog, recommender, **parameters):
    probe = ExposureProbe(draws=99, **parameters)
    with tempfile.TemporaryDirectory() as folder:
        target = target_for(recommender, Path(folder), catalog=catalog).for_probe(probe_spec(PROBE))
        context = Context(world(), 0, PROBE, {}, load_users(world()))
        return {(f.metric, f.group): f for f in probe.run(target, context)}


@pytest.mark.parametrize("name", ["director", "fb:director"])
def test_providers_of_the_graph_are_compared_and_their_concentration_measured(name):
    found = run_with(with_relation(name), FollowsTaste())
    dgu = found[f"{PROBE}.dgu", "by=director"]
    assert set(dgu.parameters["groups"]) == {"one", "other 0", "other 1", "other 2"}
    assert found[f"{PROBE}.coverage@10", "by=director"].parameters["n_items"] == 4
    missing = found[f"{PROBE}.dgu", "by=production_company"].estimate
    assert missing.reason == "the catalog's graph has no relation 'production_company'"


def test_metrics_equal_those_of_the_pure_functions():
    run = run_probe(PROBE, StarvesTheTail(), draws=99)
    users = load_users(world())
    catalog = world().catalog
    with tempfile.TemporaryDirectory() as folder:
        target = target_for(StarvesTheTail(), Path(folder))
        answers = target.recommend([neutral_request(user, k=10) for user in users])
    exposure = np.zeros(len(catalog))
    for answer in answers:
        for item in list(dict.fromkeys(item_ids(answer)))[:10]:
            if item in catalog.index:
                exposure[catalog.index[item]] += 1
    history = np.zeros(len(catalog))
    for user in users:
        for item in user.history:
            history[catalog.index[item.id]] += 1
    assert run.one(f"{PROBE}.gini").estimate.value == pytest.approx(gini(exposure))
    groups = group_utility(exposure, history, [item.genres for item in catalog.items])
    dgu = run.one(f"{PROBE}.dgu", "by=genre")
    assert dgu.estimate.value == pytest.approx(groups.dgu)
    assert run.one(f"{PROBE}.mgu", "by=genre").estimate.value == pytest.approx(groups.mgu)
    for name, row in dgu.parameters["groups"].items():
        assert row["utility"] == pytest.approx(groups.utility[name])
        assert row["low"] <= row["utility"] <= row["high"]


def test_users_without_a_history_are_missing():
    known = load_users(world())
    users = (*known, *(dataclasses.replace(u, id=f"{u.id}x", history=()) for u in known[:7]))
    with tempfile.TemporaryDirectory() as folder:
        target = target_for(FollowsTaste(), Path(folder)).for_probe(probe_spec(PROBE))
        found = list(ExposureProbe(draws=9).run(target, Context(world(), 0, PROBE, {}, users)))
    assert {f.estimate.n_missing for f in found if f.estimate.n} == {7}


def test_a_pilot_has_no_bounds_and_says_so():
    run = run_probe(PROBE, StarvesTheTail(), draws=99, n_users=19)
    dgu = run.one(f"{PROBE}.dgu", "by=genre")
    assert dgu.estimate.value > 0
    assert (dgu.estimate.low, dgu.estimate.high) == (None, None)
    assert dgu.notes == (
        "no bounds, because there are fewer than 20 users (pilot)",
        "19 of 80 users, sampled with seed 0",
    )


def test_gini_comes_with_its_lorenz_curve():
    curve = run_probe(PROBE, StarvesTheTail(), draws=9).one(f"{PROBE}.gini").parameters["lorenz"]
    assert len(curve) == 21
    assert curve[0] == [0, 0]
    assert curve[-1] == [1, 1]


def test_discounted_exposure_is_another_number_and_says_so():
    plain = run_probe(PROBE, StarvesTheTail(), draws=9).one(f"{PROBE}.hhi")
    weighed = run_probe(PROBE, StarvesTheTail(), draws=9, discount=True).one(f"{PROBE}.hhi")
    assert weighed.estimate.value > plain.estimate.value
    assert weighed.parameters["discount"] is True


def test_lists_without_a_catalog_item_have_no_exposure():
    class Elsewhere(Clean):
        def answer(self, request):
            return [f"Zzyzx {request.user_id}{i} (1999)" for i in range(request.k)]

    run = run_probe(PROBE, Elsewhere(), draws=9)
    assert run.one(f"{PROBE}.gini").estimate.reason == "no item of the catalog was shown"
    assert run.one(f"{PROBE}.popularity_lift").estimate.n_missing == 80
    assert run.one(f"{PROBE}.dgu", "by=genre").estimate.value is None


def test_deciles_are_of_items_by_popularity_and_then_id():
    items = world().catalog.items
    deciles = item_groupings(world().catalog, np.zeros(len(items)), ())[0]
    first = [item.id for item, own in zip(items, deciles.groups, strict=True) if "decile 1" in own]
    assert sorted(first) == sorted(item.id for item in items)[:6]
    assert {len([g for g in deciles.groups if g == (f"decile {d}",)]) for d in range(1, 11)} == {6}


def test_groups_beyond_the_largest_are_pooled(monkeypatch):
    monkeypatch.setattr("auditkit.probes.fairness.item_groupings._LARGEST", 2)
    names, parts = largest_groups([("a",), ("b",), ("c", "d"), ("e",)], np.array([5.0, 9, 2, 0]))
    assert names == ("b", "a", "other (2)")
    assert parts.toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]


@given(
    exposure=st.lists(st.integers(0, 4), min_size=2, max_size=30).filter(any),
    popularity=st.lists(st.integers(0, 9), min_size=30, max_size=30),
)
def test_statistics_of_shown_items_are_those_of_the_whole_catalog(exposure, popularity):
    whole, n = np.array(exposure, dtype=float), len(exposure)
    ids = [f"{row:02}" for row in range(n)]
    in_tail = tail(popularity[:n], ids)
    shown = np.flatnonzero(whole)
    of_shown, of_all = _statistics(n, in_tail[shown]), _statistics(n, in_tail)
    for name, statistic in of_all.items():
        assert of_shown[name](whole[shown]) == pytest.approx(statistic(whole), abs=1e-12)
    assert np.allclose(lorenz_curve(whole[shown], n_items=n), lorenz_curve(whole))


def test_intervals_do_not_depend_on_items_that_no_list_contains():
    """The cost of a resample neither, because their columns are left out."""
    shown = np.random.default_rng(0).integers(0, 2, size=(40, 12)).astype(float)
    wide = sparse.csr_array(np.hstack([shown, np.zeros((40, 300))]))
    narrow = sparse.csr_array(shown)
    for name, statistic in _statistics(312, np.ones(312, dtype=bool)).items():
        whole = concentration(wide, statistic, rng=np.random.default_rng(1), **UNITS)
        own = _statistics(312, np.ones(12, dtype=bool))[name]
        part = concentration(narrow, own, rng=np.random.default_rng(1), **UNITS)
        assert part.estimate.low == pytest.approx(whole.estimate.low, abs=1e-12)
        assert part.estimate.high == pytest.approx(whole.estimate.high, abs=1e-12)


@given(
    popularity=st.lists(st.integers(0, 3), min_size=1, max_size=20),
    head=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)
def test_tail_is_outside_the_most_popular_with_ties_by_id(popularity, head):
    ids = [str(9 - row % 10) + str(row) for row in range(len(popularity))]
    order = sorted(range(len(ids)), key=lambda row: (-popularity[row], ids[row]))
    first = order[: math.ceil(head * len(ids) - 1e-9)]
    expected = [row not in first for row in range(len(ids))]
    assert tail(popularity, ids, head=head).tolist() == expected


def test_popularity_in_another_catalog_is_by_id():
    items = world().catalog.items
    other = dataclasses.replace(world().catalog, items=tuple(reversed(items[:9])))
    counts = popularity_in(world().catalog, world())
    assert popularity_in(other, world()).tolist() == counts[:9][::-1].tolist()


@pytest.mark.parametrize("parameters", [{"n_users": 0}, {"draws": 0}])
def test_parameters_out_of_range_are_refused(parameters):
    with pytest.raises(InvalidArgument):
        ExposureProbe(**parameters)
