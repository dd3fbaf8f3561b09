"""Membership attacks on real tiny models, against direct computations, and their joint bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_recommenders import HELD_OUT, ForgetsEveryone, Memorizes
from run_probe import run_probe, target_for
from small_world import world
from tiny_models import one_by_one
from training_recipes import small_model, small_recipe

from auditkit.engine.plain import distributions
from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.metrics.privacy import auc_value, lira, min_k, min_k_plus_plus, zlib_ratio
from auditkit.probes.base import Context, load_users
from auditkit.probes.privacy.membership_attacks import Evidence, attack_scores
from auditkit.probes.privacy.records import members_and_others, training_record
from auditkit.probes.privacy.reference_models import load_reference
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.stats.bounds import one_sided_bounds
from auditkit.training.loop import train

TRAINED = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_test"}}
LOCAL = ("loss", "zlib", "min_k", "min_k_pp")
REFERENCED = ("reference", "lira_online", "lira_offline", "rmia_online", "rmia_offline")
AUC, TPR = "privacy.membership.auc", "privacy.membership.tpr_at_fpr_0.01"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An audited model and four references that each held out another half of the users."""
    parent = tmp_path_factory.mktemp("models")
    return [
        train(
            small_recipe(seed=seed, steps=3, holdout_users=40, model=small_model(dropout=0.0)),
            parent / f"m{seed}",
            dataset=world(),
        )
        for seed in range(5)
    ]


@pytest.fixture(scope="module")
def evidence(folders, tmp_path_factory):
    """What the attacks read, from direct calls of the models."""
    model = load_folder(folders[0])
    manifest = model.manifest.model_dump(mode="json", exclude_none=True)
    context = Context(world(), 0, "privacy.membership", manifest, load_users(world()))
    target = target_for(model, tmp_path_factory.mktemp("log"))
    split = members_and_others(context, 40)
    users = [*split.members, *split.others]
    records = [training_record(user, target, context) for user in users]
    pairs = model._pairs([r.request.prompt for r in records], [[r.continuation] for r in records])
    return pairs, Evidence(
        records=records,
        user_ids=[user.id for user in users],
        tokens=one_by_one(model.model, pairs),
        n_members=len(split.members),
        recommender=model,
        base=None,
        references=[load_reference(str(f), context, same_data=True) for f in folders[1:]],
    )


def scores(name, evidence, seed=0):
    return attack_scores(name, evidence, rng=np.random.default_rng(seed)).scores


def test_scores_of_one_model_equal_the_public_functions(evidence):
    pairs, own = evidence
    tables = list(distributions(own.recommender.model, pairs))
    found = {name: scores(name, own) for name in LOCAL}
    for i, (record, tokens) in enumerate(zip(own.records, own.tokens, strict=True)):
        table = tables[i]
        p = np.exp(table)
        mean = (p * table).sum(axis=1)
        std = np.sqrt((p * table**2).sum(axis=1) - mean**2)
        expected = {
            "loss": np.mean(tokens),
            "zlib": -zlib_ratio(tokens, record.continuation),
            "min_k": min_k(tokens),
            "min_k_pp": min_k_plus_plus(tokens, mean, std),
        }
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-5), name


def test_distributions_give_the_scores_of_their_tokens(evidence):
    pairs, own = evidence
    for (_, tokens), table, expected in zip(
        pairs[:5], distributions(own.recommender.model, pairs[:5]), own.tokens, strict=False
    ):
        assert table[np.arange(len(tokens)), tokens] == pytest.approx(expected, abs=1e-5)


def test_attacks_with_references_read_who_was_in_which_model(evidence, folders):
    _, own = evidence
    others = np.array(own.reference_losses).T
    held_out = [set(load_folder(f).manifest.training.holdout_users) for f in folders[1:]]
    inside = [[user not in out for out in held_out] for user in own.user_ids]
    assert 0 < np.mean(inside) < 1
    for mode in ("online", "offline"):
        expected = lira(own.losses, others, inside, mode=mode, variance="pooled")
        assert scores(f"lira_{mode}", own) == pytest.approx(expected)
        assert None in expected  # a user whom fewer than two models held out, or trained on
    reference = np.mean(others, axis=1) - own.losses
    assert scores("reference", own) == pytest.approx(reference.tolist())


def test_rmia_tests_no_user_of_its_population(evidence):
    _, own = evidence
    for mode in ("online", "offline"):
        found = attack_scores(f"rmia_{mode}", own, rng=np.random.default_rng(1))
        assert found.excluded == 40 // 3
        assert sum(one is None for one in found.scores[own.n_members :]) >= found.excluded
        assert all(0 <= one <= 1 for one in found.scores if one is not None)


def test_a_text_that_could_not_be_scored_is_missing_in_every_attack(evidence):
    _, own = evidence
    damaged = replace(own, tokens=[None, *own.tokens[1:]])
    for name in (*LOCAL, *REFERENCED):
        found = attack_scores(name, damaged, rng=np.random.default_rng(0))
        assert found.scores[0] is None
        assert found.n_missing >= 1


def test_the_probe_reports_every_attack_and_all_together(folders):
    model = load_folder(folders[0])
    manifest = model.manifest.model_dump(mode="json", exclude_none=True)
    run = run_probe(
        "privacy.membership", model, manifest=manifest, attacks=(*LOCAL, *REFERENCED),
        base_model=str(folders[1]), reference_models=tuple(map(str, folders[1:])),
        fprs=(0.01, 0.001),
    )  # fmt: skip
    groups = [f.group for f in run.findings if f.metric == AUC]
    assert groups == [f"attack={n}" for n in (*LOCAL, *REFERENCED, "any", "blind")]
    for name in (*LOCAL, *REFERENCED):
        assert run.one(AUC, f"attack={name}").estimate.value is not None
    rare = run.one("privacy.membership.tpr_at_fpr_0.001", "attack=loss").estimate
    assert rare.value is None
    assert "needs 1 and 1000" in rare.reason


def test_loss_and_blind_do_not_depend_on_further_attacks():
    one, several = (
        run_probe("privacy.membership", Memorizes(), manifest=TRAINED, attacks=attacks)
        for attacks in (("loss",), ("min_k", "loss", "zlib"))
    )
    for metric in (AUC, TPR):
        for group in ("attack=loss", "attack=blind"):
            assert one.one(metric, group) == several.one(metric, group)
    assert "attack=any" not in {found.group for found in one.findings}


def test_the_joint_bound_is_the_largest_end_corrected_for_the_number_of_attacks():
    attacks = ("loss", "zlib", "min_k")
    run = run_probe("privacy.membership", ForgetsEveryone(), manifest=TRAINED, attacks=attacks)
    singles = [run.one(AUC, f"attack={name}") for name in attacks]
    joint = run.one(AUC, "attack=any").estimate
    assert joint.high == max(one.estimate.high for one in singles)
    lows = [one_sided_bounds(one.law, one.estimate, 1 - 0.05 / 3).lower for one in singles]
    assert joint.low == max(lows)
    assert joint.value == max(one.estimate.value for one in singles)


def test_attacks_that_lack_something_are_undefined_with_the_remedy():
    run = run_probe(
        "privacy.membership", Memorizes(), manifest=TRAINED, attacks=("min_k_pp", *REFERENCED)
    )
    reasons = {f.group: f.estimate.reason for f in run.findings if f.metric == AUC}
    assert "model folder" in reasons["attack=min_k_pp"]
    assert (
        "needs base_model or reference_models, but the recipe names none"
        in reasons["attack=reference"]
    )
    assert all(
        "needs reference_models, but the recipe names none" in reasons[f"attack={n}"]
        for n in REFERENCED[1:]
    )
    assert reasons["attack=any"].startswith("not_assessable")


@pytest.mark.parametrize("wrong", [{"attacks": ("guess",)}, {"attacks": ()}, {"fprs": (0.1,)}])
def test_an_unknown_attack_or_rate_is_an_error(wrong):
    with pytest.raises(InvalidArgument, match="Give attacks out of loss, zlib"):
        run_probe("privacy.membership", Memorizes(), manifest=TRAINED, **wrong)


def test_a_reference_of_other_data_is_refused(folders):
    data = world()
    other = replace(data, interactions=replace(data.interactions, tie_seed=1))
    context = Context(other, 0, "privacy.membership", {}, load_users(other))
    with pytest.raises(ConfigurationError, match="another seed"):
        load_reference(str(folders[1]), context, same_data=True)


def test_the_loss_attack_of_a_model_has_the_auc_of_its_losses(evidence):
    _, own = evidence
    found = attack_scores("loss", own, rng=np.random.default_rng(0)).sides(own.n_members)
    losses = -np.array(own.losses)
    assert auc_value(*found) == auc_value(losses[: own.n_members], losses[own.n_members :])
