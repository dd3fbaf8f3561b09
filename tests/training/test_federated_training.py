"""Federated training from a recipe to a folder that an audit reads, and what recipes may say."""

from __future__ import annotations

import os
import socket
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from audited_runs import audit
from safetensors.torch import load_file
from scipy import stats
from small_folder import save
from small_world import world, write_cache
from training_recipes import small_recipe

from auditkit.errors import ConfigurationError, InvalidArgument, MissingDependency
from auditkit.recommenders.adapters.folder_checks import sample_outputs
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.federated.clients import deal
from auditkit.training.federated.local_training import LocalSteps, LocalTraining, drops_out
from auditkit.training.federated_training import federated_plan
from auditkit.training.loop import train, training_rows
from auditkit.training.model import prepare
from auditkit.training.model_folder import identity_of
from auditkit.training.recipe import (
    FederatedRecipe,
    ForgettingRecipe,
    LoraRecipe,
    OptimizerRecipe,
    TrainingRecipe,
)
from auditkit.training.recipe_checks import read_training_recipe, recipe_errors
from auditkit.training.train import train_recipe
from auditkit.training.training_users import draw_holdout
from auditkit.training.weighted_objectives import Weighted
from auditkit.types import AuditResult

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
needs_flower = pytest.mark.skipif(
    find_spec("flwr") is None, reason="flwr is not installed; make test-fl runs this"
)
STILL = 1e-30  # a learning rate whose updates are lost in rounding


def federated(**changes):
    settings = {"clients": 8, "local_steps": 2, "batch": 4, "noise_multiplier": 1.0, **changes}
    return FederatedRecipe(**settings)


def recipe(base=None, *, learning_rate=0.01, steps=3, seed=0, **changes):
    """A recipe without the fields that federated training does not use."""
    sections = small_recipe(seed=seed, window=4)
    kept = {
        "data": sections.data,
        "model": {"base": str(base)} if base else sections.model,
        **({"adapter": LoraRecipe(method="lora", r=2)} if base else {}),
    }
    return TrainingRecipe(
        version=1,
        name="small",
        seed=seed,
        steps=steps,
        optimizer=OptimizerRecipe(learning_rate=learning_rate, weight_decay=0.0),
        federated=federated(**changes),
        **kept,
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    """8 clients, 3 rounds, LoRA."""
    steps = []
    out = train_recipe(
        recipe(base), tmp_path_factory.mktemp("fl") / "m", dataset=world(), on_step=steps.append
    )
    assert [report.step for report in steps] == [1, 2, 3]
    return out


@needs_flower
def test_eight_clients_and_three_rounds_give_a_folder_with_its_claim(folder):
    claim = RecommenderManifest.read(folder).privacy
    assert (claim.mechanism, claim.claim, claim.unit) == ("dp_fedavg", "dp", "client")
    assert (claim.n_units, claim.steps, claim.sampling) == (8, 3, "all")
    assert claim.delta == pytest.approx(1 / 80)
    assert 0 < claim.epsilon <= claim.epsilon_rdp * 1.05
    assert claim.records_per_unit == 8  # 2 steps of 4 rows
    limits = " ".join(claim.not_covered)
    assert "no secure aggregation" in limits
    assert "a single user of a client" in limits
    assert "base model" in limits
    assert len((folder / "ledger.jsonl").read_text(encoding="ascii").splitlines()) == 1 + 3


@needs_flower
def test_folder_has_lora_weights_and_loads_like_any_other(folder):
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all("lora" in name for name in weights)
    assert all(bool(tensor.any()) for tensor in weights.values())
    assert not (folder / "log.jsonl").exists()  # losses are outside of the claim
    assert sample_outputs(load_folder(folder, world()).model).isfinite().all()


def trained_values(folder, before):
    """Released minus initial LoRA weights, flat."""
    after = load_file(folder / "adapter" / "adapter_model.safetensors")
    return np.concatenate(
        [
            (after[name.replace(".default", "")].double() - value.double()).numpy().ravel()
            for name, value in before.items()
        ]
    )


@needs_flower
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_noise_in_the_released_weights_is_that_of_the_claim(base, tmp_path, dropout):
    """Zero updates, so released minus initial weights are noise, also when clients drop out."""
    wanted = recipe(base, learning_rate=STILL, noise_multiplier=1.3, clip_norm=0.7, dropout=dropout)
    start = prepare(wanted, world(), base=base).model
    before = {n: p.detach().clone() for n, p in start.named_parameters() if p.requires_grad}
    out = train_recipe(wanted, tmp_path / "m", dataset=world())
    claim = RecommenderManifest.read(out).privacy
    values = trained_values(out, before)
    scale = claim.noise_multiplier * claim.clip_norm * claim.steps**0.5
    scale /= claim.sample_rate * claim.n_units
    assert len(values) >= 200
    assert plausible(values / scale)
    answers = [8 - sum(lost(round_, dropout)) for round_ in (1, 2, 3)]
    assert (min(answers) < 8) == bool(dropout)
    # The values contradict the scale of a mean over the clients that answered.
    by_answers = scale * 8 * np.sqrt(np.mean([1 / n**2 for n in answers]))
    assert plausible(values / by_answers) != bool(dropout)


def lost(round_, dropout):
    return [drops_out(f"client-{n}", round_, probability=dropout, seed=0) for n in range(8)]


def plausible(values, *, p=1e-6):
    """Whether these values have a standard deviation of 1, by the chi-square distribution."""
    n, total = len(values), float(np.square(values).sum())
    return stats.chi2.ppf(p / 2, n) <= total <= stats.chi2.ppf(1 - p / 2, n)


@needs_flower
def test_noise_differs_between_runs_unless_a_seed_for_tests_is_given(base, tmp_path):
    outs = {
        name: train_recipe(recipe(base, steps=1, test_seed=s), tmp_path / name, dataset=world())
        for name, s in (("a", None), ("b", None), ("c", 3), ("d", 3))
    }
    digests = {
        n: (o / "adapter" / "adapter_model.safetensors").read_bytes() for n, o in outs.items()
    }
    assert digests["a"] != digests["b"]
    assert digests["c"] == digests["d"]
    claim = RecommenderManifest.read(outs["c"]).privacy
    assert (claim.claim, claim.reason) == ("none", "federated.test_seed fixes sampling and noise")


@needs_flower
def test_all_weights_from_scratch_and_every_user_a_client(tmp_path):
    wanted = recipe(steps=2, clients=None, fraction=0.2, noise_multiplier=None, epsilon=4.0)
    out = train_recipe(wanted, tmp_path / "m", dataset=world())
    claim = RecommenderManifest.read(out).privacy
    assert (claim.unit, claim.n_units, claim.sampling) == ("user", 70, "poisson")
    assert 3.9 < claim.epsilon <= 4.0
    assert not any("single user of a client" in limit for limit in claim.not_covered)
    assert any("tokenizer" in limit for limit in claim.not_covered)


@needs_flower
def test_rounds_of_a_stopped_run_count(base, tmp_path):
    stopped = tmp_path / "m"

    def stop(report):
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe(base), stopped, dataset=world(), on_step=stop)
    claim = RecommenderManifest.read(train_recipe(recipe(base), stopped, dataset=world())).privacy
    assert claim.steps == 2 + 3


def test_plan_states_clients_and_noise_without_training(base):
    plan = federated_plan(recipe(base), recipe(base).federated, world())
    assert "3 rounds, 8 clients, 8 expected" in plan
    assert "noise multiplier 1.0000, epsilon 4.76 at delta 0.0125 (PRV)" in plan
    assert "standard deviation 0.217 of the noise in each of" in plan


def test_more_clients_than_users_are_refused(base):
    with pytest.raises(InvalidArgument, match="70 training users cannot be dealt to 71"):
        federated_plan(recipe(base), federated(clients=71), world())


def test_other_recipes_keep_their_identity(base):
    plain = small_recipe()
    fields = plain.model_dump(mode="json")
    assert fields["federated"] is None
    identity = identity_of(plain, world())
    assert identity["recipe_sha256"] == (
        "5dd22a0c26854accdfc4dcebe45bf44a23825daeb361be14c95051c760cffd7f"
    )
    assert identity_of(recipe(base), world()) != identity_of(recipe(base, clients=9), world())


def test_steps_over_all_rows_refuse_a_federated_recipe(base, tmp_path):
    with pytest.raises(ConfigurationError, match="section federated"):
        train(recipe(base), tmp_path / "m", dataset=world())


@pytest.mark.skipif(find_spec("flwr") is not None, reason="flwr is installed")
def test_missing_flower_names_the_command(base, tmp_path):
    with pytest.raises(MissingDependency, match=r"auditkit\[fl\]"):
        train_recipe(recipe(base), tmp_path / "m", dataset=world())


FEDERATED = "version: 1\nname: x\nsteps: 3\nfederated: {clients: 8, noise_multiplier: 1.0}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            FEDERATED.replace(", noise_multiplier: 1.0", ""),
            "recipe.yaml:4: federated needs epsilon",
        ),
        (FEDERATED.replace("1.0}", "1.0, epsilon: 2.0}"), "noise_multiplier follows from epsilon"),
        (FEDERATED.replace("clients: 8", "clients: 1"), "greater than or equal to 2"),
        (FEDERATED.replace("clients", "client"), "client"),
        (FEDERATED + "privacy: {mechanism: dp_sgd}\n", "privacy adds noise in every step"),
        (FEDERATED + "tasks: {recommend: 4}\n", "recipe.yaml:5: tasks is not used"),
        (FEDERATED + "checkpoint_every: 5\n", "checkpoint_every is not used"),
        (FEDERATED + "optimizer: {warmup_steps: 5}\n", "optimizer.warmup_steps is not used"),
        (FEDERATED + "data: {bucketing: true}\n", "data.bucketing is not used"),
        (FEDERATED + "data: {synthetic: {epsilon: 1.0}}\n", "data.synthetic is not used"),
        (FEDERATED + "canaries: {count: 8}\n", "canaries are users"),
        (FEDERATED + "max_seconds: 5\n", "max_seconds could end"),
        (FEDERATED + "model: {indexing: collaborative}\n", "uses private histories"),
    ],
)
def test_a_wrong_recipe_names_the_line_and_the_remedy(tmp_path, text, expected):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        read_training_recipe(path)


def test_the_recipe_of_the_how_to_page_is_valid():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "train-federated.md"
    text = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    fields = yaml.safe_load(text)
    assert list(recipe_errors(TrainingRecipe.model_validate(fields))) == []


@needs_flower
def test_folder_is_audited_and_the_claim_probe_shows_its_claim(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    probes = {"privacy.claim": {}, "utility.ranking": {}, "hallucination.catalog": {"n_users": 30}}
    result = AuditResult.read(audit(str(folder), tmp_path / "run", probes))
    found = {one.metric: one for one in result.findings}
    claim = RecommenderManifest.read(folder).privacy
    epsilon = found["privacy.claim.epsilon"]
    assert epsilon.estimate.value == pytest.approx(claim.epsilon)
    assert (epsilon.parameters["mechanism"], epsilon.parameters["unit"]) == ("dp_fedavg", "client")
    assert any("no secure aggregation" in note for note in epsilon.notes)
    assert found["utility.ranking.ndcg@10"].estimate.n > 0
    assert found["hallucination.catalog.out_of_catalog_rate"].estimate.n == 30


@needs_flower
def test_training_opens_no_connection(base, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    train_recipe(recipe(base, steps=1), tmp_path / "m", dataset=world())


def updates_by_client(wanted, base):
    """Update of every client in round 1, by its name."""
    trainee = prepare(wanted, world(), base=base)
    rows, users = training_rows(wanted, world(), trainee, base=base), world().interactions.user_ids
    by_user = {users[user]: own for user, own in rows.fixed_rows_by_user().items()}
    clients = deal(by_user, clients=wanted.federated.clients, seed=wanted.seed)
    weighted = Weighted(trainee, wanted.objectives, torch.device("cpu"))
    trained = [p for p in trainee.model.parameters() if p.requires_grad]
    settings = LocalSteps(steps=2, batch=1, learning_rate=0.01, betas=(0.9, 0.98), weight_decay=0.0)
    local = LocalTraining(trained, weighted.losses, clients, settings, seed=wanted.seed)
    start = local.weights()
    return {client.name: local(i, 1, start) for i, client in enumerate(clients)}


@pytest.mark.parametrize("clients", [None, 8])
def test_one_user_less_changes_the_update_of_one_client_only(base, tmp_path, clients):
    """Sensitivity: the sum changes by the clipped update of one client."""
    wanted = recipe(base, clients=clients)
    held_out = draw_holdout(wanted, n_users=80)
    gone = world().interactions.user_ids[next(u for u in range(80) if u not in held_out)]
    (tmp_path / "gone.txt").write_text(f"{gone}\n", encoding="utf-8")
    forgetting = ForgettingRecipe(users_file=str(tmp_path / "gone.txt"))
    data = wanted.data.model_copy(update={"forgetting": forgetting})
    before = updates_by_client(wanted, base)
    after = updates_by_client(wanted.model_copy(update={"data": data}), base)
    changed = [
        name
        for name, update in before.items()
        if name not in after or not all(map(np.array_equal, update, after[name]))
    ]
    assert len(changed) == 1
    assert changed == [gone] if clients is None else changed[0].startswith("client-")
    assert set(after) == set(before) - ({gone} if clients is None else set())
