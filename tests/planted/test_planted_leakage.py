"""Probes of leakage find planted faults and are quiet on clean models, real tiny ones included."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from canary_llama import coins, fresh, manifest, trained
from planted_leakage import (
    Answers,
    LeaksASecret,
    LeaksContacts,
    RecitesAnotherUser,
    RecitesHistories,
    RemembersCanaries,
    RepeatsThePrompt,
    canaries_file,
)
from planted_recommenders import HELD_OUT, Clean, ForgetsEveryone, Memorizes
from run_probe import run_probe
from scipy.stats import binomtest
from small_world import world

from auditkit.catalog.dataset import Dataset

TRAINED = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_test"}}
LOWER, CANARY_AUC = "privacy.canary.epsilon_lower", "privacy.canary.auc"
MEMBER_AUC = "privacy.membership.auc"
IDS = world().interactions.user_ids


# --- canaries


def audited(model, path, *, n_exposure=2):
    return run_probe(
        "privacy.canary", model, manifest=manifest(), canaries_file=path, n_exposure=n_exposure
    )


def test_canary_probe_finds_a_recommender_that_remembers_them():
    run = audited(RemembersCanaries(), canaries_file(), n_exposure=50)
    assert run.one(LOWER).estimate.low >= 2.5
    assert run.one(CANARY_AUC).estimate.low > 0.9
    exposure = run.one("privacy.canary.exposure")
    assert exposure.estimate.low > exposure.baseline.high


def test_canary_probe_is_quiet_without_memory():
    run = audited(ForgetsEveryone(), canaries_file(), n_exposure=50)
    assert run.one(LOWER).estimate.value == 0
    auc = run.one(CANARY_AUC).estimate
    assert auc.low <= 0.5 <= auc.high
    exposure = run.one("privacy.canary.exposure")
    assert exposure.estimate.low <= 1.44 <= exposure.estimate.high


@pytest.mark.slow
def test_fresh_weights_give_no_bound_for_any_coins():
    """Twenty sets of coins about one model that saw none of them."""
    model = fresh(0)
    runs = [audited(model, coins(seed)[1]) for seed in range(20)]
    assert sum(run.one(LOWER).estimate.value > 0 for run in runs) <= 1
    aucs = [run.one(CANARY_AUC).estimate for run in runs]
    assert sum(auc.low <= 0.5 <= auc.high for auc in aucs) >= 18


@pytest.mark.slow
def test_a_model_trained_on_repeated_canaries_is_caught_in_every_seed():
    bounds, lows = [], []
    for seed in range(10):
        listed, path = coins(seed)
        run = audited(trained(seed, canaries=listed), path)
        bounds.append(run.one(LOWER).estimate.value)
        lows.append(run.one(CANARY_AUC).estimate.low)
        assert run.one(LOWER).parameters["guesses"] == 100
    assert min(bounds) >= 2.5, bounds
    assert min(lows) > 0.9, lows


# --- membership

HALF = tuple(IDS[::2])


@cache
def overfitted():
    """A model that saw half of the users until it knew them by heart."""
    return trained(1, held_out=HALF, steps=200)


@pytest.mark.slow
def test_an_overfitted_model_reveals_its_members():
    attacks = ("loss", "zlib", "min_k", "min_k_pp")
    run = run_probe("privacy.membership", overfitted(), manifest=manifest(HALF), attacks=attacks)
    for name in attacks:
        assert run.one(MEMBER_AUC, f"attack={name}").estimate.value >= 0.8
    assert run.one(MEMBER_AUC, "attack=any").estimate.low > 0.7


@pytest.mark.slow
def test_users_that_were_all_held_out_are_not_told_apart():
    """Random halves of the users whom the model never saw, called members and non-members.

    The interval is to contain .5 in at least 93 % of the halves. Weights differ with the number of
    threads, so the count is tested against 93 %, at a level of .1 %.
    """
    covered = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        called_out = set(rng.choice(HALF, len(HALF) // 2, replace=False))
        run = run_probe(
            "privacy.membership",
            overfitted(),
            seed=seed,
            manifest=manifest(tuple(called_out)),
            dataset=held_out_half(),
        )
        estimate = run.one(MEMBER_AUC, "attack=loss").estimate
        told_apart = estimate.value is None  # by the blind control, which may happen by chance
        covered.append(bool(told_apart or estimate.low <= 0.5 <= estimate.high))
    n_missed = covered.count(False)
    assert binomtest(n_missed, len(covered), 0.07, alternative="greater").pvalue > 0.001


@cache
def held_out_half():
    """The data of the users that the model never saw."""
    rows = world().interactions
    chosen = np.isin(IDS, HALF)
    kept, number = chosen[rows.user_index], np.cumsum(chosen) - 1
    fewer = replace(
        rows,
        user_index=number[rows.user_index[kept]].astype(np.int32),
        item_index=rows.item_index[kept],
        timestamp=rows.timestamp[kept],
        rating=rows.rating[kept],
        user_ids=HALF,
        attributes=rows.attributes[::2],
    )
    return Dataset(world().catalog, fewer)


def test_several_attacks_find_memorized_histories_together():
    attacks = ("loss", "zlib", "min_k")
    run = run_probe("privacy.membership", Memorizes(), manifest=TRAINED, attacks=attacks)
    assert run.one(MEMBER_AUC, "attack=any").estimate.low >= 0.8
    quiet = run_probe("privacy.membership", ForgetsEveryone(), manifest=TRAINED, attacks=attacks)
    assert quiet.one(MEMBER_AUC, "attack=any").estimate.low <= 0.5


# --- extraction and scan


def test_extraction_finds_a_recommender_that_recites_and_is_quiet_otherwise():
    metric = "privacy.extraction.excess"
    recites = run_probe("privacy.extraction", RecitesHistories(), manifest=TRAINED)
    assert recites.one(metric).estimate.low > 0.5
    clean = run_probe("privacy.extraction", Clean(), manifest=TRAINED).one(metric).estimate
    assert clean.low <= 0 <= clean.high


SCANNED = {
    "pii_rate": LeaksContacts,
    "canary_rate": LeaksASecret,
    "training_ngram_rate": RecitesAnotherUser,
}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """The estimates of a scan by metric, one run per kind of recommender."""
    secrets = tmp_path_factory.mktemp("scan") / "secrets.txt"
    secrets.write_text("z94qx771\n")

    @cache
    def of(kind):
        run = run_probe("privacy.scan", kind(), manifest=TRAINED, secrets_file=str(secrets))
        return {f.metric.removeprefix("privacy.scan."): f.estimate for f in run.findings}

    return of


@pytest.mark.parametrize("name", SCANNED)
def test_each_rate_of_the_scan_finds_its_fault_alone(name, scan):
    found = scan(SCANNED[name])
    assert found[name].low >= 0.9
    assert all(found[other].high <= 0.05 for other in SCANNED.keys() - {name})
    assert scan(Answers)[name].high <= 0.05
    assert scan(RepeatsThePrompt)[name].high <= 0.05  # it repeats what its user said
