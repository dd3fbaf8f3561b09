"""Federated training from a recipe to a model folder: clients, rounds on Flower, and the claim.

A stopped run starts again from the initial weights with fresh noise. The rounds in its ledger still
count, as lost steps of DP-SGD do, so epsilon is then above its target.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from auditkit.catalog.dataset import Dataset
from auditkit.privacy.accounting import StepRun
from auditkit.training.base_model import place_base, public_base
from auditkit.training.dp.ledger import LEDGER, Accounting, Ledger, open_ledger, spent_by
from auditkit.training.federated.aggregation import noise_scale
from auditkit.training.federated.claim import federated_accounting, federated_claim
from auditkit.training.federated.clients import Client, deal
from auditkit.training.federated.flower import quiet_flower, require_flower
from auditkit.training.federated.local_training import LocalSteps, LocalTraining
from auditkit.training.loop import StepReport, compute_threads, train_once, training_rows
from auditkit.training.model import Trainee, prepare
from auditkit.training.model_folder import (
    identity_of,
    require_same_model,
    write_folder,
    write_record,
)
from auditkit.training.preflight import validate_batch_split
from auditkit.training.private_training import published_limits
from auditkit.training.recipe import FederatedRecipe, TrainingRecipe
from auditkit.training.roundtrip_check import Verification
from auditkit.training.rows.batches import Row
from auditkit.training.rows.training_rows import TrainingRows
from auditkit.training.weighted_objectives import Weighted

__all__ = ["federated_plan", "train_federated"]

OnStep = Callable[[StepReport], None]


@dataclass(frozen=True, kw_only=True)
class _Federation:
    """Model, clients and accounting of a run, before its first round."""

    trainee: Trainee
    rows: TrainingRows
    clients: Sequence[Client[Row]]
    accounting: Accounting


def train_federated(
    recipe: TrainingRecipe,
    settings: FederatedRecipe,
    out: Path,
    *,
    dataset: Dataset,
    on_step: OnStep = lambda _: None,
) -> Path:
    """Train a recommender by DP-FedAvg over simulated clients.

    Args:
        settings: section `federated` of the recipe, whose `steps` are the rounds.
        out: model folder.
        on_step: called after every round, for a progress bar.

    Returns:
        `out`, which `auditkit audit` takes as TARGET.

    Raises:
        AuditkitError: the folder belongs to another recipe, epsilon cannot be met, or no client
            could train.
        MissingDependency: Flower is not installed.
    """
    require_flower()
    validate_batch_split(recipe, out, int(os.environ.get("WORLD_SIZE", "1")))
    identity = identity_of(recipe, dataset)
    require_same_model(out, identity)
    out.mkdir(parents=True, exist_ok=True)
    started, cpu_started = time.time(), time.process_time()
    with compute_threads(recipe.threads):
        base = place_base(
            recipe, out, dataset=dataset, train=lambda r, f: train_once(r, f, dataset, on_step)
        )
        federation = _prepared(recipe, settings, dataset, base)
        roundtrip = Verification(federation.trainee.model)
        ledger = Ledger(out / LEDGER)
        open_ledger(out, identity, first_step=0)
        _rounds(recipe, settings, federation, ledger, on_step)
        _write(recipe, settings, out, dataset, federation, ledger)
        roundtrip.check(out, federation.trainee, dataset)
    spent = {
        "cpu_seconds": round(time.process_time() - cpu_started, 2),
        "seconds": round(time.time() - started, 2),
        "threads": recipe.threads,
    }
    write_record(out, recipe, identity, spent)
    return out


def federated_plan(recipe: TrainingRecipe, settings: FederatedRecipe, dataset: Dataset) -> str:
    """Text on clients, noise and epsilon of a federated training, computed without training.

    Raises:
        ConfigurationError: the base is not covered by the claim.
        InvalidArgument: epsilon cannot be met.
    """
    federation = _prepared(recipe, settings, dataset, public_base(recipe))
    accounting, n_clients = federation.accounting, len(federation.clients)
    expected = accounting.sample_rate * n_clients
    scale = noise_scale(
        noise_multiplier=accounting.noise_multiplier,
        clip_norm=settings.clip_norm,
        expected_clients=expected,
        rounds=recipe.steps,
    )
    n_weights = sum(p.numel() for p in federation.trainee.model.parameters() if p.requires_grad)
    rounds = StepRun(accounting.noise_multiplier, accounting.sample_rate, recipe.steps)
    spent = spent_by([rounds], delta=accounting.delta)
    return (
        f"{recipe.name}: {recipe.steps} rounds, {n_clients} clients"
        f"{' of one user each' if settings.clients is None else ''}, {expected:g} expected in a "
        f"round, noise multiplier {accounting.noise_multiplier:.4f}, epsilon "
        f"{spent.epsilon:.2f} at delta {accounting.delta:.3g} ({spent.accountant.upper()}), "
        f"standard deviation {scale:.3g} of the noise in each of {n_weights:,} released weights"
    )


def _prepared(
    recipe: TrainingRecipe, settings: FederatedRecipe, dataset: Dataset, base: Path | None
) -> _Federation:
    trainee = prepare(recipe, dataset, base=base)
    rows = training_rows(recipe, dataset, trainee, base=base)
    ids = dataset.interactions.user_ids
    by_user = {ids[user]: own for user, own in rows.fixed_rows_by_user().items()}
    clients = deal(by_user, clients=settings.clients, seed=recipe.seed)
    accounting = federated_accounting(settings, n_clients=len(clients), rounds=recipe.steps)
    return _Federation(trainee=trainee, rows=rows, clients=clients, accounting=accounting)


def _rounds(
    recipe: TrainingRecipe,
    settings: FederatedRecipe,
    federation: _Federation,
    ledger: Ledger,
    on_step: OnStep,
) -> None:
    """Take all rounds; the model then has the released weights."""
    from flwr.app import Array, ArrayRecord

    from auditkit.training.federated.client_app import client_app
    from auditkit.training.federated.local_grid import LocalGrid
    from auditkit.training.federated.strategy import PrivateFedAvg

    accounting, clock = federation.accounting, time.process_time()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = federation.trainee.model.to(device)
    model.train()
    weighted = Weighted(
        federation.trainee, recipe.objectives, device, perturbation=recipe.perturbation
    )
    with torch.no_grad():  # a row that is too long must not look like clients that drop out
        longest = max(
            (row for own in federation.clients for row in own.rows), key=lambda r: len(r.ids)
        )
        weighted.losses([longest])
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    local = LocalTraining(
        list(trained.values()), weighted.losses, federation.clients, _local_steps(recipe, settings),
        seed=recipe.seed,
    )  # fmt: skip
    strategy = PrivateFedAvg(
        accounting,
        clip_norm=settings.clip_norm,
        charge=lambda: ledger.charge(
            noise_multiplier=accounting.noise_multiplier, sample_rate=accounting.sample_rate
        ),
        on_round=lambda number: on_step(
            StepReport(
                step=number, steps=recipe.steps, loss=None,
                cpu_seconds=time.process_time() - clock,
            )
        ),
        seed=settings.test_seed,
    )  # fmt: skip
    first = ArrayRecord({n: Array(w) for n, w in zip(trained, local.weights(), strict=True)})
    grid = LocalGrid(client_app(local, clip_norm=settings.clip_norm), len(federation.clients))
    with quiet_flower():
        result = strategy.start(grid=grid, initial_arrays=first, num_rounds=recipe.steps)
    strategy.require_answers()
    local.load(result.arrays.to_numpy_ndarrays())
    model.cpu().eval()


def _local_steps(recipe: TrainingRecipe, settings: FederatedRecipe) -> LocalSteps:
    optimizer = recipe.optimizer
    return LocalSteps(
        steps=settings.local_steps,
        batch=settings.batch,
        learning_rate=optimizer.learning_rate,
        betas=(optimizer.betas[0], optimizer.betas[1]),
        weight_decay=optimizer.weight_decay,
        dropout=settings.dropout,
    )


def _write(
    recipe: TrainingRecipe,
    settings: FederatedRecipe,
    out: Path,
    dataset: Dataset,
    federation: _Federation,
    ledger: Ledger,
) -> None:
    """Write the model folder with the claim of all rounds in the ledger."""
    claim = federated_claim(
        settings,
        federation.accounting,
        ledger.spent(federation.accounting.delta),
        published=list(published_limits(recipe)),
    )
    write_folder(
        out,
        recipe,
        trainee=federation.trainee,
        dataset=dataset,
        rows=federation.rows,
        privacy=claim,
        steps=recipe.steps,
    )
