"""The canary probe: its bound, ceiling, verdict and exposure, and when it cannot be run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from planted_leakage import (
    N_CANARIES,
    FailsOnEveryThirdText,
    RemembersCanaries,
    canaries,
    canaries_file,
)
from planted_recommenders import Clean, ForgetsEveryone
from run_probe import run_probe
from small_world import world
from training_recipes import small_model, small_recipe

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.metrics.canary_audit import guesses
from auditkit.privacy.bounds import Claim, group_claim, one_run_bound
from auditkit.privacy.canary_file import CanaryFile, canary_path
from auditkit.probes.base import NotAssessable
from auditkit.probes.privacy.canary_bound import CanaryScores, bound_of
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.serialization.atomic_files import sha256_file
from auditkit.training.loop import train
from auditkit.training.recipe import CanaryRecipe

CLAIM = {"claim": "dp", "epsilon": 1.0, "delta": 1e-5, "n_units": 400}
TRAINING = {"fit": "all_but_test", "holdout_users": []}


def run(recommender, *, claim=None, **parameters):
    manifest = {"training": TRAINING, **({"privacy": claim} if claim else {})}
    return run_probe(
        "privacy.canary", recommender, manifest=manifest,
        **{"canaries_file": canaries_file(), **parameters},
    )  # fmt: skip


def test_every_correct_guess_gives_the_ceiling():
    found = run(RemembersCanaries())
    lower = found.one("privacy.canary.epsilon_lower")
    n_units = 80 + sum(canary.planted for canary in canaries().canaries)
    expected = one_run_bound(canaries=200, guesses=100, correct=100, delta=1 / (10 * n_units))
    assert lower.estimate.value == pytest.approx(expected.epsilon)
    assert lower.baseline.value == found.one("privacy.canary.ceiling").estimate.value
    assert lower.baseline.value == pytest.approx(expected.ceiling)
    assert (lower.estimate.low, lower.estimate.high) == (lower.estimate.value, None)
    assert lower.parameters["correct"] == lower.parameters["guesses"] == 100
    assert lower.notes[0].startswith("recommender.yaml makes no privacy claim; the measured")
    assert found.one("privacy.canary.auc").estimate.low > 0.9
    exposure = found.one("privacy.canary.exposure")
    assert exposure.estimate.value == pytest.approx(math.log2(56))  # 60 items less 4 in the history
    assert exposure.baseline.value < 3


def test_a_claim_below_the_bound_is_contradicted():
    found = run(RemembersCanaries(), claim=CLAIM)
    assert found.one("privacy.canary.over_claim").estimate.low > 1
    assert found.one("privacy.canary.epsilon_lower").notes[0].startswith("contradicted")


def test_a_quiet_audit_names_its_ceiling_and_what_lies_beyond_it():
    quiet = run(ForgetsEveryone(), claim=CLAIM)
    assert quiet.one("privacy.canary.epsilon_lower").estimate.value == 0
    assert quiet.one("privacy.canary.over_claim").estimate.value == -1
    note = quiet.one("privacy.canary.epsilon_lower").notes[0]
    assert note == "not contradicted; this audit could show an epsilon of up to 3.49"
    large = run(ForgetsEveryone(), claim={**CLAIM, "epsilon": 8.0})
    note = large.one("privacy.canary.epsilon_lower").notes[0]
    assert note.endswith("up to 3.49, less than the claim of 8.00")


def test_copies_of_a_canary_are_compared_with_the_claim_of_a_group():
    scored = CanaryScores([float(i < 20) for i in range(40)], [i < 20 for i in range(40)])
    found = bound_of(scored, CLAIM, repeats=4, n_units=400, rng=np.random.default_rng(0))
    assert found.claimed == group_claim(Claim(1.0, 1e-5), 4)
    expected = one_run_bound(canaries=40, guesses=20, correct=20, delta=found.claimed.delta)
    assert found.bound == pytest.approx(expected)
    huge = bound_of(scored, {**CLAIM, "epsilon": 8.0}, repeats=100, n_units=400,
                    rng=np.random.default_rng(0))  # fmt: skip
    assert huge.bound == (0.0, 0.0)  # the group's delta is 1, so nothing is claimed


def test_without_a_claim_the_excess_is_undefined_with_the_reason():
    estimate = run(Clean()).one("privacy.canary.over_claim", "claim=none").estimate
    assert estimate.value is None
    assert "claims no differential privacy" in estimate.reason


def test_ties_are_broken_before_the_coins_are_read():
    equal = [0.0] * 12
    first = guesses(equal, rng=np.random.default_rng(3))
    again = guesses(equal, rng=np.random.default_rng(3))
    assert first.inside.tolist() == again.inside.tolist()
    assert len(first.inside) == len(first.outside) == 3
    assert not set(first.inside) & set(first.outside)


def test_scores_without_information_give_no_bound_in_95_percent_of_audits():
    rng, n = np.random.default_rng(0), 400
    right = []
    for _ in range(n):
        coins, guessed = rng.random(60) < 0.5, guesses(rng.normal(size=60), rng=rng)
        right.append(int(coins[guessed.inside].sum() + (~coins[guessed.outside]).sum()))
    bounds = {v: one_run_bound(canaries=60, guesses=30, correct=v, delta=1e-4).epsilon
              for v in set(right)}  # fmt: skip
    positive = sum(bounds[v] > 0 for v in right)
    assert positive <= 0.05 * n + 2 * math.sqrt(0.05 * 0.95 * n)


def test_many_missing_scores_on_a_side_leave_the_audit_undefined():
    manifest = {"training": TRAINING, "privacy": CLAIM}
    found = run_probe(
        "privacy.canary", FailsOnEveryThirdText(), manifest=manifest, max_error_rate=1.0,
        canaries_file=canaries_file(),
    )  # fmt: skip
    for name in ("epsilon_lower", "ceiling", "over_claim", "auc"):
        estimate = found.one(f"privacy.canary.{name}").estimate
        assert estimate.value is None
        assert estimate.reason.startswith("not_assessable")
        assert estimate.n_missing > 10


def test_the_probe_says_why_it_cannot_run(tmp_path):
    with pytest.raises(NotAssessable, match="add a section `canaries`"):
        run(Clean(), canaries_file="")
    declared = {"training": {**TRAINING, "canaries": {"file_sha256": "0" * 64}}}
    with pytest.raises(NotAssessable, match="names no canaries_file"):
        run_probe("privacy.canary", Clean(), manifest=declared)
    with pytest.raises(NotAssessable, match="hash differs"):
        run_probe("privacy.canary", Clean(), manifest=declared, canaries_file=canaries_file())
    other = CanaryFile((canaries().canaries[0]._replace(items=("1", "x")),) * 1, 1,
                       canaries().identity)  # fmt: skip
    other.write(tmp_path / "few.jsonl")
    with pytest.raises(NotAssessable, match="at least 4"):
        run(Clean(), canaries_file=str(tmp_path / "few.jsonl"))
    foreign = [c._replace(items=("1", "x")) for c in canaries().canaries[:4]]
    CanaryFile(tuple(foreign), 1, canaries().identity).write(tmp_path / "foreign.jsonl")
    with pytest.raises(ConfigurationError, match="not in the catalog"):
        run(Clean(), canaries_file=str(tmp_path / "foreign.jsonl"))
    with pytest.raises(InvalidArgument, match="n_exposure"):
        run(Clean(), n_exposure=1)


def test_a_trained_model_is_audited_with_and_without_its_base(tmp_path):
    recipe = small_recipe(steps=2, canaries=CanaryRecipe(count=N_CANARIES, length=5),
                          model=small_model(dropout=0.0))  # fmt: skip
    folder = train(recipe, tmp_path / "m", dataset=world())
    base = train(small_recipe(steps=1), tmp_path / "base", dataset=world())
    model = load_folder(folder)
    manifest = model.manifest.model_dump(mode="json", exclude_none=True)
    path = canary_path(folder)
    assert manifest["training"]["canaries"]["file_sha256"] == sha256_file(path)
    found = {
        name: run_probe("privacy.canary", model, manifest=manifest, canaries_file=str(path),
                        n_exposure=10, base_model=name)
        for name in ("", str(base))
    }  # fmt: skip
    for one in found.values():
        assert one.one("privacy.canary.auc").estimate.n == N_CANARIES
        assert one.one("privacy.canary.epsilon_lower").estimate.value < 1.5  # barely trained
    notes = [one.one("privacy.canary.auc").notes[0] for one in found.values()]
    assert "no base model" in notes[0]
    assert "loss of the base model base minus" in notes[1]
