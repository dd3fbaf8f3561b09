"""Exposure and leak probes find their planted faults and are quiet on clean lists."""

from __future__ import annotations

from functools import cache

import pytest
from planted_lists import EmbedsGender, FollowsTaste, ListsByGender, StarvesTheTail
from planted_recommenders import Clean
from run_probe import ProbeRun, run_probe

EXPOSURE = "fairness.exposure"
LEAK = "fairness.leak"
AUC = "fairness.leak.attack_auc"


@cache
def run(probe_id: str, kind: type) -> ProbeRun:
    return run_probe(probe_id, kind())


def test_exposure_finds_a_starved_tail():
    starved = run(EXPOSURE, StarvesTheTail)
    share = starved.one(f"{EXPOSURE}.tail_share")
    assert share.estimate.high <= share.parameters["of_history"] - 0.2
    assert starved.one(f"{EXPOSURE}.gini").estimate.low >= 0.7
    assert starved.one(f"{EXPOSURE}.coverage@10").estimate.high <= 0.4
    assert starved.one(f"{EXPOSURE}.popularity_lift").estimate.low >= 0.1
    for metric in ("mgu", "dgu"):
        assert starved.one(f"{EXPOSURE}.{metric}", "by=popularity").estimate.low >= 0.04


def test_exposure_names_who_gains_and_who_loses():
    found = run(EXPOSURE, StarvesTheTail).one(f"{EXPOSURE}.dgu", "by=popularity")
    assert "share of exposure minus share of histories: +0." in found.evidence[0].what
    item = run(EXPOSURE, StarvesTheTail).one(f"{EXPOSURE}.gini").evidence[0]
    assert "of 80 lists" in item.what


@pytest.mark.parametrize("grouping", ["popularity", "genre", "decade"])
def test_exposure_is_quiet_when_lists_follow_taste(grouping):
    for metric in ("mgu", "dgu"):
        estimate = (
            run(EXPOSURE, FollowsTaste).one(f"{EXPOSURE}.{metric}", f"by={grouping}").estimate
        )
        assert estimate.low == 0


def test_popularity_of_lists_that_follow_taste_is_not_lifted():
    estimate = run(EXPOSURE, FollowsTaste).one(f"{EXPOSURE}.popularity_lift").estimate
    assert estimate.low <= 0 <= estimate.high
    share = run(EXPOSURE, FollowsTaste).one(f"{EXPOSURE}.tail_share")
    assert abs(share.estimate.value - share.parameters["of_history"]) <= 0.05


@pytest.mark.parametrize(
    ("kind", "of"), [(ListsByGender, "list"), (EmbedsGender, "representation")]
)
def test_leak_finds_gender_where_it_is_given_away(kind, of):
    found = run(LEAK, kind).one(AUC, f"attribute=gender&input={of}")
    assert found.estimate.low >= 0.8


@pytest.mark.parametrize("attribute", ["gender", "age", "occupation"])
def test_leak_is_quiet_on_lists_that_depend_on_nobody(attribute):
    estimate = run(LEAK, Clean).one(AUC, f"attribute={attribute}&input=list").estimate
    assert estimate.low <= 0.5 <= estimate.high


def test_leak_of_one_input_is_no_leak_of_the_other():
    estimate = run(LEAK, EmbedsGender).one(AUC, "attribute=gender&input=list").estimate
    assert estimate.low <= 0.5 <= estimate.high
