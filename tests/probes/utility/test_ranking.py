"""Lists and held-out items: one, several of a temporal split, and the validation item."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_raters import Foresees
from planted_recommenders import Clean, FindsEveryTestItem
from run_probe import run_probe
from small_world import world

from auditkit.catalog.dataset import Dataset
from auditkit.errors import InvalidArgument
from auditkit.probes.base import NotAssessable, load_users
from auditkit.probes.utility import ranking
from auditkit.probes.utility.ranking import list_utility
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.types import Request

FROM, UNTIL = 5, 8  # the n-th interaction of every user has time n


def in_time() -> Dataset:
    """The small world, split in time: up to seven test items a user."""
    rows = world().interactions
    return Dataset(
        world().catalog, replace(rows, timestamp=rows.timestamp % 1000, cuts=(FROM, UNTIL))
    )


def numbers(run, probe, group="all"):
    return {
        f.metric.removeprefix(f"{probe}."): f.estimate.value
        for f in run.findings
        if f.group == group
    }


def test_recall_and_ndcg_are_over_all_test_items_of_a_temporal_split():
    recommender = Foresees(2)
    run = run_probe("utility.ranking", recommender, dataset=in_time())
    counts = np.diff(world().interactions.offsets) - UNTIL
    counts = counts[counts > 0]
    found = numbers(run, "utility.ranking")
    assert found["hr@10"] == found["mrr@10"] == 1
    assert found["recall@10"] == pytest.approx(np.mean(np.minimum(2, counts) / counts))
    gains = 1 / np.log2(np.arange(7) + 2)
    expected = [gains[: min(2, n)].sum() / gains[:n].sum() for n in counts]
    assert found["ndcg@10"] == pytest.approx(np.mean(expected))
    finding = run.one("utility.ranking.recall@10")
    assert (finding.estimate.n, finding.estimate.n_missing) == (len(counts), 0)
    assert finding.parameters["n_targets"] == counts.sum()
    assert f"{counts.sum()} held-out interactions of {len(counts)} users" in finding.notes[0]


def test_no_history_of_a_temporal_split_reaches_into_the_test_period():
    recommender = Foresees(1)
    run_probe("utility.ranking", recommender, dataset=in_time())
    assert recommender.histories
    assert {len(history) for history in recommender.histories.values()} == {UNTIL}


def test_baselines_stand_beside_several_test_items_and_know_none_of_them():
    run = run_probe("utility.ranking", Clean(), dataset=in_time())
    data = in_time()
    users = [user for user in load_users(data) if user.test_items]
    for name in ("popularity", "transitions"):
        baseline = load_baseline(name, data)
        asked = [Request(id=u.id, user_id=u.id, history=u.history, k=10) for u in users]
        shares = [
            len({i.item_id for i in answer.items} & {i.id for i in user.test_items})
            / len(user.test_items)
            for user, answer in zip(users, baseline.recommend(asked), strict=True)
        ]
        found = numbers(run, "utility.ranking", f"baseline={name}")
        assert found["recall@10"] == pytest.approx(np.mean(shares))
    early = data.interactions.timestamp < UNTIL
    table = np.column_stack((data.interactions.user_index, data.interactions.item_index))
    counts = np.bincount(np.unique(table[early], axis=0)[:, 1])
    best = load_baseline("popularity", data).recommend([Request(id="x", k=1)])[0].items[0]
    assert best.score == counts.max()


def test_items_that_a_user_had_before_are_counted():
    data = in_time()
    rows = data.interactions
    again = rows.item_index.copy()
    again[rows.split().test[0]] = again[rows.offsets[rows.user_index[rows.split().test[0]]]]
    data = Dataset(data.catalog, replace(rows, item_index=again))
    run = run_probe("utility.ranking", Clean(), dataset=data)
    assert ", 1 of them with items that the user had before" in run.findings[0].notes[0]


def test_of_one_held_out_item_recall_is_the_hit_rate_and_is_not_repeated():
    run = run_probe("utility.ranking", FindsEveryTestItem())
    suspicion = {"excess_over_baseline", "held_out_in_training"}
    assert set(numbers(run, "utility.ranking")) == {"hr@10", "ndcg@10", "mrr@10"} | suspicion
    users = [user for user in load_users(world()) if user.test_items]
    asked = [Request(id=u.id, user_id=u.id, history=u.history, k=10) for u in users]
    answers = load_baseline("popularity", world()).recommend(asked)
    found = list_utility(users, answers, world().catalog)
    assert found["recall@10"].tolist() == found["hr@10"].tolist()
    ranks = [
        next((at for at, i in enumerate(a.items) if i.item_id == user.test_item.id), None)
        for user, a in zip(users, answers, strict=True)
    ]
    assert found["ndcg@10"].tolist() == [
        0.0 if rank is None else 1 / math.log2(rank + 2) for rank in ranks
    ]


# --- samples of users and failing baselines ------------------------------------------------------


def test_more_users_than_asked_for_are_sampled_and_the_finding_says_so():
    run = run_probe("utility.ranking", FindsEveryTestItem(), n_users=30)
    own = run.one("utility.ranking.hr@10")
    assert own.estimate.n == 30
    assert own.notes[-1] == "30 of 80 users, sampled with seed 0"
    assert len(run_probe("utility.ranking", Clean()).one("utility.ranking.hr@10").notes) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not run: the baseline does not fit into memory"),
        (InvalidArgument("EASE has a limit."), "not run: EASE has a limit."),
        (np.linalg.LinAlgError("Singular matrix"), "not run: Singular matrix"),
    ],
)
def test_a_failing_baseline_loses_only_itself(monkeypatch, error, words):
    def fit(name, dataset):
        if name == "ease":
            raise error
        return load_baseline(name, dataset)

    monkeypatch.setattr(ranking, "load_baseline", fit)
    run = run_probe("utility.ranking", FindsEveryTestItem())
    whole = run_probe("utility.ranking", FindsEveryTestItem())
    for group in ("all", "baseline=popularity", "baseline=transitions"):
        assert numbers(run, "utility.ranking", group) == numbers(whole, "utility.ranking", group)
    lost = run.one("utility.ranking.hr@10", "baseline=ease")
    assert (lost.estimate.value, lost.estimate.reason) == (None, "not run")
    assert lost.estimate.n_missing == run.one("utility.ranking.hr@10").estimate.n
    assert lost.notes == (words,)


# --- validation items ---------------------------------------------------------------------------

FITTED = {"training": {"holdout_users": [], "fit": "all_but_validation"}}


@pytest.mark.parametrize("data", [world(), in_time()])
def test_validation_items_are_found_behind_what_came_before_them(data):
    recommender = Foresees(10)
    run = run_probe("utility.validation", recommender, dataset=data, manifest=FITTED)
    found = numbers(run, "utility.validation")
    assert set(found.values()) == {1.0}
    assert ("recall@10" in found) == (data.interactions.cuts is not None)
    for user, ids in recommender.histories.items():
        row = data.interactions.user_ids.index(user)
        before = data.interactions.history(row, until="validation")
        assert ids == [data.interactions.item_ids[item] for item in before]
    # Whoever lists the test item instead misses.
    late = run_probe("utility.validation", FindsEveryTestItem(), dataset=data, manifest=FITTED)
    assert numbers(late, "utility.validation")["hr@10"] < 0.5


@pytest.mark.parametrize("data", [world(), in_time()])
def test_baselines_beside_validation_items_were_fitted_without_them(data):
    run = run_probe("utility.validation", Foresees(1), dataset=data, manifest=FITTED)
    counts = np.asarray(data.interactions.matrix(until="validation").sum(axis=0)).ravel()
    order = np.argsort(-counts, kind="stable")
    hits = []
    for user in range(len(data.interactions.user_ids)):
        targets = set(data.interactions.held_out(user, role="validation").tolist())
        if targets:
            seen = set(data.interactions.history(user, until="validation").tolist())
            top = [item for item in order.tolist() if item not in seen][:10]
            hits.append(bool(targets & set(top)))
    found = numbers(run, "utility.validation", "baseline=popularity")
    assert found["hr@10"] == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("manifest", [{}, {"training": {"fit": "all_but_test"}}])
def test_model_that_may_have_seen_the_validation_items_is_not_asked_about_them(manifest):
    with pytest.raises(NotAssessable, match="all_but_validation"):
        run_probe("utility.validation", Clean(), manifest=manifest)
