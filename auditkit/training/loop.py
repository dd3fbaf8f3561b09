"""Training loop of every recipe.

Its steps are rows -> weighted objectives -> plain or private gradients -> AdamW -> checkpoint.
Every micro-step seeds its generators from (recipe seed, step, micro-step, rank), so a killed run
resumes bit-identically on CPU. Differentially private runs use OS entropy and are an exception.
Losses are divided by the global number of examples, so accumulation and several processes give the
same result. The finished folder contains a `recommender.yaml` and is audited like any other
recommender.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import Accelerator

from auditkit.catalog.dataset import Dataset
from auditkit.errors import AuditkitError
from auditkit.seeding import generator
from auditkit.training.attribute_adversary import adversary_of
from auditkit.training.base_model import place_base
from auditkit.training.batches import AnyRow, Row, n_tokens
from auditkit.training.checkpoint import BestWeights, load_checkpoint, save_checkpoint
from auditkit.training.early_stopping import Validation
from auditkit.training.history_sampling import draw_holdout
from auditkit.training.model import Trainee, prepare
from auditkit.training.model_folder import (
    TrainingLog,
    identity_of,
    is_trained,
    open_ledger,
    require_same_model,
    write_folder,
    write_record,
)
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.preflight import require_attributes, require_ratings, validate_batch_split
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.reweighting import target_weights
from auditkit.training.roundtrip_check import Verification
from auditkit.training.training_rows import TrainingRows
from auditkit.training.weighted_objectives import Weighted

if TYPE_CHECKING:
    from auditkit.training.private_training import PrivateRun

__all__ = ["StepReport", "train", "training_rows"]


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Report of one step; `loss` is the weighted mean in nats, or None in private training."""

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
    """Train a recommender, or resume an interrupted training.

    Args:
        out: model folder; checkpoints are in `out/checkpoints` until training ends.
        on_step: called after every step, for a progress bar.

    Returns:
        `out`, which `auditkit audit` takes as TARGET.

    Raises:
        AuditkitError: the folder belongs to another recipe, the loss is not finite, or a privacy
            self-test failed.
    """
    identity = identity_of(recipe, dataset)
    require_same_model(out, identity)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    started, cpu_started = time.time(), time.process_time()
    accelerator = _accelerator(recipe)
    validate_batch_split(recipe, out, accelerator.num_processes)
    with accelerator.main_process_first():
        base = place_base(
            recipe,
            out,
            dataset=dataset,
            train=lambda r, folder: _once(r, folder, dataset, on_step),
        )
    trainee = prepare(recipe, dataset, base=base)
    rows = training_rows(recipe, dataset, trainee, base=base)
    model = trainee.model.to(accelerator.device)
    model.train()
    if recipe.optimiser.checkpoint_activations:
        # Reentrant checkpointing gives no gradients if the embeddings are frozen.
        model.gradient_checkpointing_enable({"use_reentrant": False})
    adversary = adversary_of(recipe, trainee, rows)
    weighted = Weighted(trainee, recipe.objectives, accelerator.device, adversary)
    weighted.to(accelerator.device)
    trained = [parameter for parameter in weighted.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        trained,
        lr=recipe.optimiser.learning_rate,
        betas=(recipe.optimiser.betas[0], recipe.optimiser.betas[1]),
        weight_decay=recipe.optimiser.weight_decay,
    )
    checkpoints = out / "checkpoints"
    # The weights of an adversary are also trained and needed for a resume.
    state = (
        load_checkpoint(checkpoints, model=weighted, optimiser=optimiser, identity=identity) or {}
    )
    first_step, cpu_before = state.get("step", 0), state.get("cpu_seconds", 0.0)
    spent, tokens = _Clock(cpu_before), state.get("tokens", 0)
    run: PrivateRun | None = None
    if recipe.privacy:
        # Opacus is imported only for private recipes.
        from auditkit.training.private_training import PrivateRun

        open_ledger(out, identity, first_step=first_step)
        run = PrivateRun(
            recipe.privacy, steps=recipe.steps, folder=out, model=model, losses=weighted.losses,
            rows=rows,
        )  # fmt: skip
    module = accelerator.prepare_model(weighted) if accelerator.num_processes > 1 else weighted
    batches: Iterator[Sequence[AnyRow]] = (
        run.batches() if run else rows.batches(recipe.tasks, first_step=first_step)
    )
    settings, validation = recipe.validation, None
    if settings:
        validation = Validation(settings, recipe, dataset, trainee, rows, base)
    best = BestWeights(checkpoints / "best", state.get("best"))
    verification = Verification(model)
    done = first_step
    with TrainingLog(
        out, first_step=first_step, silent=run is not None or not accelerator.is_main_process
    ) as log:
        for step in range(first_step, recipe.steps):
            spent.start()
            chosen = next(batches)
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(recipe, step)
            optimiser.zero_grad(set_to_none=True)
            means: dict[str, float] = {}
            if run:
                torch.manual_seed(int(generator(recipe.seed, "step", step).integers(2**62)))
                run.step([row for row in chosen if isinstance(row, Row)])
            else:
                means = _backward(recipe, module, chosen, accelerator, step)
                torch.nn.utils.clip_grad_norm_(trained, recipe.optimiser.clip_norm)
            optimiser.step()
            done, tokens = step + 1, tokens + sum(map(n_tokens, chosen))
            loss = _total(recipe, means, step) if means else None
            parts = {"objectives": means} if len(recipe.objectives) > 1 and means else {}
            log.write({"step": done, "loss": loss, "examples": len(chosen), **parts})
            if settings and validation and done % settings.every == 0:
                best.offer(validation.measure(), done, model)
                log.write({"step": done, "ndcg@10": best.latest})
            spent.stop()
            report = StepReport(
                step=done, steps=recipe.steps, loss=loss, cpu_seconds=spent.cpu_seconds
            )
            on_step(report)
            if settings and best.misses >= settings.patience:
                break
            if _out_of_time(recipe, started, accelerator):
                break
            if done % recipe.checkpoint_every == 0 and done < recipe.steps:
                stored = {
                    **identity, "cpu_seconds": spent.cpu_seconds, "tokens": tokens,
                    "best": best.state,
                }  # fmt: skip
                if accelerator.is_main_process:
                    log.flush()
                    save_checkpoint(
                        checkpoints, step=done, model=weighted, optimiser=optimiser, state=stored
                    )
    best.restore(model)
    privacy = run.finish() if run else None
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        model.cpu().eval()
        kept = best.step or done
        write_folder(out, recipe, trainee=trainee, rows=rows, privacy=privacy, steps=kept)
        verification.check(out, trainee, dataset)
        write_record(
            out, recipe, identity,
            {
                "cpu_seconds": round(spent.cpu_seconds, 2),
                "cpu_seconds_with_setup": round(time.process_time() - cpu_started + cpu_before, 2),
                "seconds": round(time.time() - started, 2),
                **({} if run else _speed(tokens, spent.cpu_seconds)),
                "threads": recipe.threads,
                "processes": accelerator.num_processes,
            },
        )  # fmt: skip
        shutil.rmtree(checkpoints, ignore_errors=True)
    accelerator.wait_for_everyone()
    return out


def training_rows(
    recipe: TrainingRecipe, dataset: Dataset, trainee: Trainee, *, base: Path | None = None
) -> TrainingRows:
    """Training rows of a recipe; deterministic, so that a resume uses the same rows.

    Args:
        base: folder of the base model, for recipes with a base.

    Raises:
        ConfigurationError: the data lack ratings or attributes that a task needs.
    """
    require_ratings(recipe, dataset)
    require_attributes(recipe, dataset)
    holdout = draw_holdout(recipe, n_users=len(dataset.interactions.user_ids))
    return TrainingRows(
        dataset=dataset,
        prompts=trainee.prompts,
        tokenizer=trainee.tokenizer,
        tokens=trainee.tokens,
        encoder_decoder=trainee.kind == "seq2seq",
        holdout=holdout,
        fit=recipe.data.fit,
        window=recipe.data.window,
        seed=recipe.seed,
        twins="counterfactual_consistency" in recipe.objectives,
        attribute_masking=recipe.data.attribute_masking,
        labeled=recipe.adversary.attribute if recipe.adversary else "",
        item_weights=target_weights(recipe, dataset, base, holdout),
        bucketing=recipe.data.bucketing,
    )


def _once(
    recipe: TrainingRecipe,
    folder: Path,
    dataset: Dataset,
    on_step: Callable[[StepReport], None],
) -> Path:
    """Train a base unless it is already trained."""
    if is_trained(folder, recipe, dataset):
        return folder
    return train(recipe, folder, dataset=dataset, on_step=on_step)


def _speed(tokens: int, cpu_seconds: float) -> dict[str, float]:
    """Tokens and speed; omitted for private runs, whose claim does not cover sampled rows."""
    return {
        "tokens": tokens,
        "tokens_per_cpu_second": round(tokens / max(cpu_seconds, 1e-9), 1),
    }


def _accelerator(recipe: TrainingRecipe) -> Accelerator:
    """Device and processes; bf16 on a GPU, except in private training."""
    gpu = torch.cuda.is_available() and not recipe.privacy
    return Accelerator(cpu=not gpu, mixed_precision="bf16" if gpu else "no")


def _backward(
    recipe: TrainingRecipe,
    module: torch.nn.Module,
    rows: Sequence[AnyRow],
    accelerator: Accelerator,
    step: int,
) -> dict[str, float]:
    """Compute the gradients of a step's mean loss, and return the mean by objective.

    Every process computes its share of the rows in parts; each loss is divided by the number of
    rows in the whole step.
    """
    rank, world = accelerator.process_index, accelerator.num_processes
    parts = [rows[i :: recipe.optimiser.accumulation] for i in range(recipe.optimiser.accumulation)]
    sums: dict[str, torch.Tensor] = {}
    for number, part in enumerate(parts):
        place = () if number == rank == 0 else (number, rank)
        torch.manual_seed(int(generator(recipe.seed, "step", step, *place).integers(2**62)))
        with accelerator.autocast():
            losses = module(part[rank::world], step)
        total = torch.zeros((), device=accelerator.device)
        for name, values in losses.items():
            share = values.sum() / sum(isinstance(row, OBJECTIVES[name].kind) for row in rows)
            sums[name] = sums.get(name, torch.zeros_like(share)) + share.detach()
            total = total + recipe.objectives[name] * share
        # Gradients are averaged over processes, so multiply by their number to get the sum.
        torch.autograd.backward(total * world)
    if world > 1:
        names = list(recipe.objectives)
        stacked = torch.stack([sums.get(name, torch.zeros(())) for name in names])
        sums = dict(zip(names, accelerator.reduce(stacked, "sum"), strict=True))
    return {name: float(value) for name, value in sums.items()}


def _total(recipe: TrainingRecipe, means: Mapping[str, float], step: int) -> float:
    """Weighted loss of a step.

    Raises:
        AuditkitError: the loss is not finite.
    """
    loss = sum(recipe.objectives[name] * value for name, value in means.items())
    if not np.isfinite(loss):
        raise AuditkitError(
            f"The loss of step {step} is {loss}. Lower optimiser.learning_rate and train again."
        )
    return loss


def _learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """Learning rate with linear warm-up, then linear or cosine decay to 0 at the last step."""
    optimiser = recipe.optimiser
    warm = min(1.0, (step + 1) / max(1, optimiser.warmup_steps))
    past = max(0, step - optimiser.warmup_steps) / max(1, recipe.steps - optimiser.warmup_steps)
    decay = 1 - past if optimiser.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * past))
    return optimiser.learning_rate * warm * decay


def _out_of_time(recipe: TrainingRecipe, started: float, accelerator: Accelerator) -> bool:
    """Whether any process has passed `max_seconds`."""
    if recipe.max_seconds is None:
        return False
    late = torch.tensor(float(time.time() - started > recipe.max_seconds))
    return bool(accelerator.reduce(late.to(accelerator.device), "sum") > 0)


class _Clock:
    """CPU seconds of training steps, summed over all resumes."""

    def __init__(self, cpu_seconds: float) -> None:
        self.cpu_seconds, self._started = cpu_seconds, 0.0

    def start(self) -> None:
        self._started = time.process_time()

    def stop(self) -> None:
        self.cpu_seconds += time.process_time() - self._started
