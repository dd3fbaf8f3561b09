from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from planted_recommenders import (
    Clean,
    FindsEveryTestItem,
    FindsNoTestItem,
    ServesMenBetter,
    chance,
)
from run_probe import run_probe, target_for
from small_world import world

from auditkit.catalog.dataset import Dataset
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable, User, load_users
from auditkit.probes.fairness.group_gaps import choose_groupings, user_attributes
from auditkit.probes.fairness.group_utility import GroupUtilityProbe
from auditkit.registry import probe_spec
from auditkit.stats.group_bounds import group_gap_bounds
from auditkit.types import Request

PROBE = "fairness.group_utility"
FEW = {"draws": 99, "bootstrap_draws": 99}


def with_attributes(attributes):
    rows = dataclasses.replace(world().interactions, attributes=tuple(attributes))
    return Dataset(world().catalog, rows)


def user(**attributes):
    return User(0, "0", attributes, (), ())


def test_attributes_are_those_of_the_data_with_two_known_values():
    users = [user(tier="a", site="x", age="unknown"), user(tier="b", site="x", age="old")]
    assert user_attributes(users) == ("tier",)
    assert [g.name for g in choose_groupings(users, (), None)] == ["tier"]


def test_every_pair_of_attributes_is_crossed_unless_some_are_named():
    users = [user(tier="a", site="x", age="old"), user(tier="b", site="y", age="young")]
    names = [g.name for g in choose_groupings(users, (), None)]
    assert names == ["tier", "site", "age", "tier&site", "tier&age", "site&age"]
    assert [g.name for g in choose_groupings(users, ("age",), ("tier&site",))] == [
        "age",
        "tier&site",
    ]


@pytest.mark.parametrize("parameters", [{"attributes": ("gendr",)}, {"crossed": ("gendr&age",)}])
def test_a_misspelled_attribute_is_refused_with_the_nearest_name(parameters):
    with pytest.raises(InvalidArgument, match=r"'gendr'.*Did you mean 'gender'"):
        run_probe(PROBE, FindsEveryTestItem(), **parameters)


def test_a_crossing_that_the_users_lack_is_left_out_with_a_note():
    rows = [{"plan": "ab"[i % 2], "country": "xy"[i // 2 % 2]} for i in range(80)]
    data = with_attributes(rows)
    run = run_probe(PROBE, FindsEveryTestItem(), dataset=data, crossed=("gender&age",), **FEW)
    notes = [note for finding in run.findings for note in finding.notes]
    assert any(
        "gender&age is not compared, because the users have no attribute" in note for note in notes
    )
    assert run.one(f"{PROBE}.hr_gap", "plan").estimate.value == 0
    with pytest.raises(NotAssessable, match="no attribute 'gender'"):
        run_probe(PROBE, FindsEveryTestItem(), dataset=data, attributes=("gender",))


def test_users_without_attributes_are_not_assessable():
    with pytest.raises(NotAssessable, match="no user attribute"):
        run_probe(PROBE, FindsEveryTestItem(), dataset=with_attributes([{}] * 80))


def test_own_attributes_of_a_data_set_are_compared_and_crossed():
    rows = [{"tier": "ab"[i % 2], "site": "xy"[i // 2 % 2]} for i in range(80)]
    run = run_probe(PROBE, FindsEveryTestItem(), dataset=with_attributes(rows), **FEW)
    assert run.one(f"{PROBE}.hr_gap", "tier").estimate.value == 0
    assert run.one(f"{PROBE}.ndcg@10", "tier=a&site=x").estimate.n == 20
    assert {f.metric for f in run.findings if f.group == "tier=a&site=x"} == {f"{PROBE}.ndcg@10"}


def test_crossed_cells_that_are_too_small_are_refused_and_listed():
    run = run_probe(PROBE, FindsEveryTestItem(), crossed=("gender&age",), **FEW)
    found = run.one(f"{PROBE}.hr_gap", "gender&age")
    assert found.estimate.value is None
    assert "gender=female&age=25 to 39 (1" in found.notes[0]
    assert not any(f.group.startswith("gender=female&") for f in run.findings)


def test_groups_that_are_too_small_are_listed_and_counted_but_are_no_finding():
    run = run_probe(PROBE, FindsEveryTestItem(), min_group=27, **FEW)
    gap = run.one(f"{PROBE}.ndcg_gap", "age")
    assert gap.notes[0] == "groups with fewer than 27 users are omitted: age=40 and over (26)"
    assert gap.estimate.n_missing == 26
    groups = {f.group for f in run.findings if f.metric == f"{PROBE}.ndcg@10"}
    assert groups == {"age=25 to 39", "age=under 25", "gender=female", "gender=male"}


def test_pairs_of_attributes_with_fewer_than_four_large_cells_are_left_out_and_named():
    run = run_probe(PROBE, FindsEveryTestItem(), **FEW)
    assert not any("&" in f.group for f in run.findings)
    notes = run.one(f"{PROBE}.ndcg_gap", "gender").notes
    assert notes[0].startswith(
        "gender&age is not compared, because only 0 of 6 cells have 20 users"
    )
    rows = [{"tier": "ab"[i % 2], "site": "xy"[i // 2 % 2]} for i in range(79)] + [{}]
    run = run_probe(PROBE, FindsEveryTestItem(), dataset=with_attributes(rows), **FEW)
    assert run.one(f"{PROBE}.ndcg_gap", "tier").notes == (
        "tier&site is not compared, because only 3 of 4 cells have 20 users, but 4 are required",
    )


def test_recall_of_one_held_out_item_is_the_hit_rate():
    run = run_probe(PROBE, ServesMenBetter(), **FEW)
    for name in ("gap", "gap_stratified"):
        hits, recall = (run.one(f"{PROBE}.{m}_{name}", "gender") for m in ("hr", "recall"))
        assert hits.estimate.value == recall.estimate.value
        assert hits.law == recall.law


def test_relative_gap_is_the_gap_over_the_mean_of_all_users():
    run = run_probe(PROBE, ServesMenBetter(), **FEW)
    gap = run.one(f"{PROBE}.ndcg_gap", "gender")
    relative = run.one(f"{PROBE}.ndcg_relative_gap", "gender")
    mean = gap.parameters["mean"]
    assert relative.estimate.value == pytest.approx(gap.estimate.value / mean)
    assert relative.estimate.low == pytest.approx(gap.estimate.low / mean)
    assert relative.parameters["relative_gap"] == relative.estimate.value
    assert relative.parameters["ratio"] == pytest.approx(
        run.one(f"{PROBE}.ndcg@10", "gender=female").estimate.value
        / run.one(f"{PROBE}.ndcg@10", "gender=male").estimate.value
    )


def test_a_model_that_nobody_is_served_by_is_not_assessable():
    with pytest.raises(NotAssessable, match="equally useless"):
        run_probe(PROBE, FindsNoTestItem(), **FEW)


def test_a_model_that_answers_nobody_is_not_assessable():
    class Fails(FindsEveryTestItem):
        def answer(self, request):
            raise RuntimeError("no answer")

    with pytest.raises(NotAssessable, match="no request has a response"):
        run_probe(PROBE, Fails(), **FEW)


def test_users_without_a_held_out_item_are_missing():
    known = load_users(world())
    users = (*known, *(dataclasses.replace(u, id=f"{u.id}x", test_items=()) for u in known[:9]))
    with tempfile.TemporaryDirectory() as folder:
        target = target_for(FindsEveryTestItem(), Path(folder)).for_probe(probe_spec(PROBE))
        found = list(GroupUtilityProbe(**FEW).run(target, Context(world(), 0, PROBE, {}, users)))
    gap = next(f for f in found if f.metric == f"{PROBE}.ndcg_gap" and f.group == "gender")
    assert (gap.estimate.n, gap.estimate.n_missing) == (80, 9)


def test_disclosure_asks_a_sample_and_refuses_small_groups():
    run = run_probe(PROBE, FindsEveryTestItem(), n_disclosed=30, **FEW)
    found = run.one(f"{PROBE}.disclosure_effect", "age")
    assert found.estimate.value is None
    assert found.estimate.reason == "no group has at least 20 users"
    assert "age=under 25 (" in found.notes[0]
    assert sum(run.counts.values()) == 80 + 3 * 30


def test_a_recommender_that_never_reads_words_is_not_asked_again():
    class Deaf(FindsEveryTestItem):
        reads_prompt = False

    run = run_probe(PROBE, Deaf(), **FEW)
    for name in ("gender", "age", "occupation"):
        found = run.one(f"{PROBE}.disclosure_effect", name)
        assert "never reads the prompt text" in found.estimate.reason
    assert sum(run.counts.values()) == 80


def fair_data(generator):
    """Four groups of 200 with one chance of a hit."""
    return (generator.random(800) < 0.3).astype(float), np.repeat([0, 1, 2, 3], 200)


def test_bounds_of_a_fair_gap_contain_zero():
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(300):
        values, groups = fair_data(generator)
        bounds = group_gap_bounds(values, groups, rng=generator, draws=300).bounds
        covered += bounds.low <= 0 <= bounds.high
    assert covered / 300 >= 0.94


@pytest.mark.slow
def test_fairlearns_interval_of_a_fair_gap_never_contains_zero():
    """Why the bounds are ours: bootstrap quantiles of a max - min stay above 0."""
    from fairlearn.metrics import MetricFrame

    generator = np.random.default_rng(12)
    contained = 0
    for seed in range(20):
        values, groups = fair_data(generator)
        frame = MetricFrame(
            metrics={"mean": lambda _, utility: float(np.mean(utility))},
            y_true=values,
            y_pred=values,
            sensitive_features=groups,
            n_boot=100,
            ci_quantiles=[0.025, 0.975],
            random_state=seed,
        )
        contained += float(frame.difference_ci()[0]["mean"]) <= 0
    assert contained == 0


def asked_by(recommender, **parameters):
    """Every request of a run."""

    class Recorder(type(recommender)):
        requests: ClassVar[list[Request]] = []

        def recommend(self, requests):
            self.requests.extend(requests)
            return super().recommend(requests)

    recorder = Recorder()
    return run_probe(PROBE, recorder, **parameters, **FEW), recorder.requests


def test_the_held_out_item_stands_among_candidates_that_every_request_of_a_user_shares():
    run, requests = asked_by(FindsEveryTestItem(), candidates=20, attributes=("gender",))
    by_user = {}
    for request in requests:
        by_user.setdefault(request.user_id, set()).add(request.candidates)
    assert len(requests) == 80 + 60
    places = []
    for person in load_users(world()):
        (candidates,) = by_user[person.id]
        ids = [item.id for item in candidates]
        assert len(set(ids)) == 20
        assert not set(ids) & {item.id for item in person.history}
        places.append(ids.index(person.test_item.id))
    assert 6 < np.mean(places) < 13
    found = run.one(f"{PROBE}.ndcg_gap", "gender")
    assert (found.parameters["candidates"], found.parameters["n_users"]) == (20, 80)


def test_candidates_are_in_the_words_of_whoever_reads_words():
    _, requests = asked_by(FindsEveryTestItem(), candidates=20, attributes=("gender",))
    assert all(f"- {item.title}" in r.prompt for r in requests for item in r.candidates)


def test_a_random_ranking_of_the_candidates_is_not_assessable():
    with pytest.raises(NotAssessable, match=r"not above the 0\.5000 of a random ranking"):
        run_probe(PROBE, Clean(), candidates=20, **FEW)


def test_hits_that_only_candidates_make_likely_do_not_count():
    """HR@10 of this one is far above a random ranking of the catalog, not of the candidates."""

    class Half(FindsEveryTestItem):
        def answer(self, request):
            found = chance(request.user_id) < 0.45
            return (super() if found else FindsNoTestItem()).answer(request)

    with pytest.raises(NotAssessable, match="equally useless"):
        run_probe(PROBE, Half(), candidates=20, **FEW)


def test_users_are_sampled():
    run, requests = asked_by(FindsEveryTestItem(), n_users=50, n_disclosed=10)
    assert len({request.user_id for request in requests}) == 50
    assert run.one(f"{PROBE}.hr_gap", "gender").parameters["n_users"] == 50


class SmallModel(FindsEveryTestItem):
    """Reads titles, and is a language model that is too small to list them."""

    n_parameters = 135_000_000


class LargeModel(FindsEveryTestItem):
    n_parameters = 7_000_000_000


def test_a_small_model_that_reads_titles_ranks_candidates():
    run, requests = asked_by(SmallModel(), attributes=("gender",))
    assert {len(request.candidates) for request in requests} == {20}
    assert not any(i.title in r.prompt for r in requests for i in r.candidates)  # it scores them
    assert run.one(f"{PROBE}.hr_gap", "gender").parameters["candidates"] == 20


@pytest.mark.parametrize("kind", [LargeModel, FindsEveryTestItem])
def test_whoever_can_list_titles_is_asked_for_a_free_list(kind):
    run, requests = asked_by(kind(), attributes=("gender",))
    assert {request.candidates for request in requests} == {None}
    assert run.one(f"{PROBE}.hr_gap", "gender").parameters["candidates"] == 0


def test_only_automatic_candidates_make_the_sample_of_users_smaller(tmp_path):
    small, large = (
        target_for(kind(), tmp_path / kind.__name__) for kind in (SmallModel, LargeModel)
    )
    assert GroupUtilityProbe().sizes(small) == (200, 20)
    assert GroupUtilityProbe(n_users=30).sizes(small) == (30, 20)
    assert GroupUtilityProbe(candidates=50).sizes(small) == (2_000, 50)
    assert GroupUtilityProbe().sizes(large) == (2_000, 0)


@pytest.mark.parametrize("parameters", [{"candidates": 10}, {"candidates": -1}, {"n_users": 0}])
def test_sizes_that_measure_nothing_are_refused(parameters):
    with pytest.raises(InvalidArgument):
        GroupUtilityProbe(**parameters)
