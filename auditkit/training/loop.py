"""One loop for every recipe: rows -> weighted objectives -> plain or private gradients -> AdamW ->
checkpoint.

It reads top to bottom. Every step seeds its own generators from (recipe seed, step), so a killed
run resumes bit-identically on CPU; differentially private runs draw from OS entropy and are exempt.
The finished folder holds a `recommender.yaml` and is audited like any other recommender.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from auditkit.catalog.dataset import Dataset
from auditkit.errors import AuditkitError, InvalidArgument
from auditkit.recommenders.prompts import Prompts
from auditkit.seeding import generator
from auditkit.training.checkpoint import load_checkpoint, save_checkpoint
from auditkit.training.data import Row, TrainingRows, collate, corpus
from auditkit.training.folder import (
    TrainingLog,
    identity_of,
    open_ledger,
    refuse_other_model,
    write_folder,
)
from auditkit.training.model import attach_dropout, build_model
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from auditkit.training.private_run import PrivateRun

__all__ = ["StepReport", "train", "training_rows"]


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did; `loss` is the weighted mean over examples in nats per token, None where it
    stays private.
    """

    step: int
    steps: int
    loss: float | None
    cpu_seconds: float


def train(
    recipe: TrainingRecipe,
    out: Path,
    *,
    dataset: Dataset,
    on_step: Callable[[StepReport], None] = lambda _: None,
) -> Path:
    """Train a recommender, or resume it where a kill left it.

    Args:
        out: the model folder; checkpoints live in `out/checkpoints` until the end.
        on_step: called after every step, for a progress bar.

    Returns:
        `out`, which `auditkit audit` takes as TARGET.

    Raises:
        AuditkitError: the folder belongs to another recipe, the loss is not finite, or a privacy
            self-test failed.
    """
    identity = identity_of(recipe, dataset)
    refuse_other_model(out, identity)
    torch.set_num_threads(recipe.threads)
    rows = training_rows(recipe, dataset)
    tokenizer = rows.tokenizer
    model = build_model(recipe.model, tokenizer, seed=recipe.seed)
    attach_dropout(model, recipe.model.dropout)
    model.train()
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.optimiser.learning_rate,
        betas=(recipe.optimiser.betas[0], recipe.optimiser.betas[1]),
        weight_decay=recipe.optimiser.weight_decay,
    )

    def losses(chosen: Sequence[Row]) -> torch.Tensor:
        batch = collate(chosen, pad=tokenizer.pad_token_id)
        return sum(  # type: ignore[return-value]
            weight * OBJECTIVES[name].losses(model, batch)
            for name, weight in recipe.objectives.items()
        )

    checkpoints = out / "checkpoints"
    state = load_checkpoint(checkpoints, model=model, optimiser=optimiser, identity=identity)
    first_step, cpu_seconds = (state["step"], state["cpu_seconds"]) if state else (0, 0.0)
    out.mkdir(parents=True, exist_ok=True)
    run: PrivateRun | None = None
    if recipe.privacy:
        # Opacus loads only for private recipes.
        from auditkit.training.private_run import PrivateRun

        open_ledger(out, identity, first_step=first_step)
        run = PrivateRun(
            recipe.privacy, steps=recipe.steps, folder=out, model=model, losses=losses, rows=rows
        )
    batches = (
        run.batches()
        if run
        else rows.batches(
            histories=recipe.tasks.recommend,
            descriptions=recipe.tasks.describe,
            first_step=first_step,
        )
    )
    with TrainingLog(out, first_step=first_step, private=run is not None) as log:
        for step in range(first_step, recipe.steps):
            started = time.process_time()
            torch.manual_seed(int(generator(recipe.seed, "step", step).integers(2**62)))
            chosen = next(batches)
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(recipe, step)
            optimiser.zero_grad(set_to_none=True)
            if run:
                run.step(chosen)
                loss = None
            else:
                mean = losses(chosen).mean()
                torch.autograd.backward(mean)
                torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimiser.clip_norm)
                loss = float(mean.detach())
                if not np.isfinite(loss):
                    raise AuditkitError(
                        f"the loss of step {step} is {loss}. Lower optimiser.learning_rate and "
                        "train again."
                    )
            optimiser.step()
            cpu_seconds += time.process_time() - started
            report = StepReport(
                step=step + 1, steps=recipe.steps, loss=loss, cpu_seconds=cpu_seconds
            )
            log.write({"step": step + 1, "loss": loss, "examples": len(chosen)})
            on_step(report)
            if (step + 1) % recipe.checkpoint_every == 0 and step + 1 < recipe.steps:
                stored = {**identity, "cpu_seconds": cpu_seconds}
                save_checkpoint(
                    checkpoints, step=step + 1, model=model, optimiser=optimiser, state=stored
                )
    write_folder(
        out,
        recipe,
        model=model,
        rows=rows,
        identity=identity,
        privacy=run.finish() if run else None,
        cpu_seconds=cpu_seconds,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    return out


def training_rows(recipe: TrainingRecipe, dataset: Dataset) -> TrainingRows:
    """Tokenizer, templates and rows of a recipe; deterministic, so a resume rebuilds the same."""
    prompts = Prompts.shipped("item_tokens")
    tokenizer = build_tokenizer(
        [item.id for item in dataset.catalog.items],
        corpus(dataset, prompts),
        vocabulary=recipe.model.text_vocabulary,
    )
    return TrainingRows(
        dataset=dataset,
        prompts=prompts,
        tokenizer=tokenizer,
        holdout=_draw_holdout(recipe, n_users=len(dataset.interactions.user_ids)),
        fit=recipe.data.fit,
        window=recipe.data.window,
        seed=recipe.seed,
    )


def _learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """Linear warm-up, then linear decay to zero at the last step."""
    warm = min(1.0, (step + 1) / max(1, recipe.optimiser.warmup_steps))
    left = 1 - max(0, step - recipe.optimiser.warmup_steps) / max(
        1, recipe.steps - recipe.optimiser.warmup_steps
    )
    return recipe.optimiser.learning_rate * warm * left


def _draw_holdout(recipe: TrainingRecipe, *, n_users: int) -> frozenset[int]:
    """The seeded random users that stay out of training."""
    wanted = recipe.data.holdout_users
    if wanted >= n_users:
        raise InvalidArgument(
            f"data.holdout_users {wanted} leaves none of the {n_users} users. Choose fewer."
        )
    drawn = generator(recipe.seed, "holdout users").choice(n_users, size=wanted, replace=False)
    return frozenset(int(user) for user in drawn)
