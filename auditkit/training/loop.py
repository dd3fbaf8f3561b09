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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.privacy.canary_file import Canary
from auditkit.privacy.canary_planting import place_canaries, with_canaries
from auditkit.seeding import generator
from auditkit.training.attribute_adversary import adversary_of
from auditkit.training.base_model import place_base
from auditkit.training.checkpoint import BestWeights, load_checkpoint, save_checkpoint
from auditkit.training.dp.ledger import open_ledger
from auditkit.training.early_stopping import Validation
from auditkit.training.model import Trainee, prepare
from auditkit.training.model_folder import (
    TrainingLog,
    canary_record,
    identity_of,
    is_trained,
    require_same_model,
    write_folder,
    write_record,
)
from auditkit.training.preflight import require_attributes, require_ratings, validate_batch_split
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.reweighting import target_weights
from auditkit.training.roundtrip_check import Verification
from auditkit.training.rows.batches import AnyRow, n_tokens
from auditkit.training.rows.training_rows import TrainingRows
from auditkit.training.synthetic_histories import open_synthetic
from auditkit.training.training_users import left_out, unlearned
from auditkit.training.weighted_objectives import Weighted, backward, total_loss

if TYPE_CHECKING:
    from auditkit.recommenders.adapters.manifest import PrivacyClaim
    from auditkit.training.private_training import PrivateRun

__all__ = ["StepReport", "compute_threads", "train", "train_once", "training_rows"]


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Progress after one step; `loss` is the weighted mean loss in nats, or None in private
    training.
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
    """Train a recommender, or resume an interrupted training.

    Args:
        recipe: the recipe to train.
        out: model folder; checkpoints are in `out/checkpoints` until training ends.
        dataset: interactions and catalog to train on.
        on_step: called after every step, for example by a progress bar.

    Returns:
        `out`, which can be the TARGET of `auditkit audit`.

    Raises:
        AuditkitError: the folder belongs to another recipe, the loss is not finite, or a privacy
            self-test fails.
        ConfigurationError: the recipe is federated; this loop would ignore its privacy.
    """
    if recipe.federated is not None:
        raise ConfigurationError(
            f"{recipe.name} has a section federated, which steps over all rows cannot follow. "
            "Train it by `auditkit train` and use its folder, for example as model.base."
        )
    identity = identity_of(recipe, dataset)
    require_same_model(out, identity)
    out.mkdir(parents=True, exist_ok=True)
    with compute_threads(recipe.threads):
        _train(recipe, out, identity, dataset, on_step)
    return out


@contextmanager
def compute_threads(n: int) -> Iterator[None]:
    """Context that computes with n threads, because rounding, and therefore weights, depend on
    n.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    recipe: TrainingRecipe,
    out: Path,
    identity: Mapping[str, Any],
    dataset: Dataset,
    on_step: Callable[[StepReport], None],
) -> None:
    """Take the remaining steps and write the model folder."""
    started, cpu_started = time.time(), time.process_time()
    accelerator = _accelerator(recipe)
    validate_batch_split(recipe, out, accelerator.num_processes)
    with accelerator.main_process_first():
        base = place_base(
            recipe,
            out,
            dataset=dataset,
            train=lambda r, folder: train_once(r, folder, dataset, on_step),
        )
        canaries = _canaries(recipe, out, dataset, identity)
    session = _prepare(recipe, out, identity, dataset, base, accelerator, canaries)
    cpu_before = session.clock.cpu_seconds
    private, first = session.private is not None, accelerator.is_main_process
    with TrainingLog(out, first_step=session.done, silent=private or not first) as log:
        for step in range(session.done, recipe.steps):
            loss = session.take_step(step, log)
            on_step(session.report(loss))
            if session.has_converged() or _out_of_time(recipe, started, accelerator):
                break
            session.save_if_due(log)
    record = {
        "cpu_seconds_with_setup": round(time.process_time() - cpu_started + cpu_before, 2),
        "seconds": round(time.time() - started, 2),
    }
    session.finish(dataset, record)


@dataclass(kw_only=True)
class _Session:
    """State of a training run between two steps.

    Attributes:
        done: number of steps taken, including steps before a resume.
        tokens: number of input tokens in these steps; 0 in private training, where the realized
            batches are private.
        module: `weighted`, wrapped for several processes.
        claim: privacy claim of synthetic histories, if the recipe trains on them.
        best: weights of the best validation, if the recipe validates.
    """

    recipe: TrainingRecipe
    out: Path
    identity: Mapping[str, Any]
    accelerator: Accelerator
    trainee: Trainee
    rows: TrainingRows
    weighted: Weighted
    module: torch.nn.Module
    trained: list[torch.nn.Parameter]
    optimizer: torch.optim.AdamW
    private: PrivateRun | None
    claim: PrivacyClaim | None
    batches: Iterator[Sequence[AnyRow]]
    validation: Validation | None
    best: BestWeights
    roundtrip: Verification
    clock: _Clock
    done: int
    tokens: int

    def take_step(self, step: int, log: TrainingLog) -> float | None:
        """Take and log one optimizer step, and validate if due.

        Returns the weighted mean loss in nats; None in private training.
        """
        recipe = self.recipe
        self.clock.start()
        rows: Sequence[AnyRow] = () if self.private else next(self.batches)
        for group in self.optimizer.param_groups:
            group["lr"] = _learning_rate(recipe, step)
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        if self.private:
            torch.manual_seed(int(generator(recipe.seed, "step", step).integers(2**62)))
            self.private.step()
        else:
            means = backward(recipe, self.module, rows, self.accelerator, step)
            torch.nn.utils.clip_grad_norm_(self.trained, recipe.optimizer.clip_norm)
        self.optimizer.step()
        self.done, self.tokens = step + 1, self.tokens + sum(map(n_tokens, rows))
        loss = total_loss(recipe, means, step) if means else None
        parts = {"objectives": means} if len(recipe.objectives) > 1 and means else {}
        log.write({"step": self.done, "loss": loss, "examples": len(rows), **parts})
        settings = recipe.validation
        if settings and self.validation and self.done % settings.every == 0:
            self.best.offer(self.validation.measure(), self.done, self.trainee.model)
            log.write({"step": self.done, "ndcg@10": self.best.latest})
        self.clock.stop()
        return loss

    def report(self, loss: float | None) -> StepReport:
        """Report the progress after a step."""
        return StepReport(
            step=self.done, steps=self.recipe.steps, loss=loss, cpu_seconds=self.clock.cpu_seconds
        )

    def has_converged(self) -> bool:
        """Whether validation has not improved for `validation.patience` validations."""
        settings = self.recipe.validation
        return settings is not None and self.best.misses >= settings.patience

    def save_if_due(self, log: TrainingLog) -> None:
        """Write a checkpoint every `checkpoint_every` steps, except after the last one."""
        due = self.done % self.recipe.checkpoint_every == 0 and self.done < self.recipe.steps
        if not due or not self.accelerator.is_main_process:
            return
        log.flush()
        state = {
            **self.identity, "cpu_seconds": self.clock.cpu_seconds, "tokens": self.tokens,
            "best": self.best.state,
        }  # fmt: skip
        save_checkpoint(
            self.out / "checkpoints",
            step=self.done,
            model=self.weighted,
            optimizer=self.optimizer,
            state=state,
        )

    def finish(self, dataset: Dataset, record: Mapping[str, float]) -> None:
        """Write the model folder, check that it loads as the same model, and remove the
        checkpoints.
        """
        model = self.trainee.model
        self.best.restore(model)
        privacy = self.private.finish() if self.private else self.claim
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            model.cpu().eval()
            write_folder(
                self.out,
                self.recipe,
                trainee=self.trainee,
                dataset=dataset,
                rows=self.rows,
                privacy=privacy,
                steps=self.best.step or self.done,
                canaries=canary_record(self.recipe, self.out),
            )
            self.roundtrip.check(self.out, self.trainee, dataset)
            write_record(
                self.out, self.recipe, self.identity,
                {
                    "cpu_seconds": round(self.clock.cpu_seconds, 2),
                    **record,
                    **({} if self.private else _speed(self.tokens, self.clock.cpu_seconds)),
                    "threads": self.recipe.threads,
                    "processes": self.accelerator.num_processes,
                },
            )  # fmt: skip
            shutil.rmtree(self.out / "checkpoints", ignore_errors=True)
        self.accelerator.wait_for_everyone()


def _prepare(
    recipe: TrainingRecipe,
    out: Path,
    identity: Mapping[str, Any],
    dataset: Dataset,
    base: Path | None,
    accelerator: Accelerator,
    canaries: Sequence[Canary],
) -> _Session:
    """Create model, rows, objectives and optimizer; restore the latest checkpoint if any."""
    with accelerator.main_process_first():
        synthetic = open_synthetic(recipe, dataset, out, identity, canaries=canaries)
    read = synthetic.dataset if synthetic else dataset
    planted = () if synthetic else canaries  # those of synthetic histories are in the release
    trainee = prepare(recipe, read, base=base)
    rows = training_rows(recipe, read, trainee, base=base, canaries=planted)
    model = trainee.model.to(accelerator.device)
    model.train()
    if recipe.optimizer.checkpoint_activations:
        # Reentrant checkpointing gives no gradients if the embeddings are frozen.
        model.gradient_checkpointing_enable({"use_reentrant": False})
    adversary = adversary_of(recipe, trainee, rows)
    weighted = Weighted(
        trainee, recipe.objectives, accelerator.device, adversary, recipe.perturbation
    )
    weighted.to(accelerator.device)
    trained = [parameter for parameter in weighted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained,
        lr=recipe.optimizer.learning_rate,
        betas=(recipe.optimizer.betas[0], recipe.optimizer.betas[1]),
        weight_decay=recipe.optimizer.weight_decay,
    )
    checkpoints = out / "checkpoints"
    # The weights of an adversary are also trained and needed for a resume.
    state = (
        load_checkpoint(checkpoints, model=weighted, optimizer=optimizer, identity=identity) or {}
    )
    done = state.get("step", 0)
    private: PrivateRun | None = None
    if recipe.privacy:
        # Opacus is imported only for private recipes.
        from auditkit.training.private_training import PrivateRun

        open_ledger(out, identity, first_step=done)
        private = PrivateRun(
            recipe, recipe.privacy, folder=out, model=model, losses=weighted.losses, rows=rows
        )
    several = accelerator.num_processes > 1
    settings = recipe.validation
    return _Session(
        recipe=recipe,
        out=out,
        identity=identity,
        accelerator=accelerator,
        trainee=trainee,
        rows=rows,
        weighted=weighted,
        module=accelerator.prepare_model(weighted) if several else weighted,
        trained=trained,
        optimizer=optimizer,
        private=private,
        claim=synthetic.claim if synthetic else None,
        batches=rows.batches(recipe.tasks, first_step=done),
        validation=(
            Validation(settings, recipe, dataset, trainee, rows, base) if settings else None
        ),
        best=BestWeights(checkpoints / "best", state.get("best")),
        roundtrip=Verification(model),
        clock=_Clock(state.get("cpu_seconds", 0.0)),
        done=done,
        tokens=state.get("tokens", 0),
    )


def training_rows(
    recipe: TrainingRecipe,
    dataset: Dataset,
    trainee: Trainee,
    *,
    base: Path | None = None,
    canaries: Sequence[Canary] = (),
) -> TrainingRows:
    """Build the training rows of a recipe, deterministically, so that a resume uses the same rows.

    Args:
        dataset: data with the users to train on, real or synthetic.
        base: folder of the base model, for recipes with a base.
        canaries: all canaries of the run; planted canaries become users.

    Raises:
        ConfigurationError: a task needs ratings or attributes that the data do not have.
    """
    require_ratings(recipe, dataset)
    require_attributes(recipe, dataset)
    holdout: frozenset[int] = frozenset()
    ascended: frozenset[int] = frozenset()
    if recipe.data.synthetic is None:  # real users have no part in synthetic histories
        holdout = left_out(recipe, dataset.interactions.user_ids)
        ascended = unlearned(recipe, dataset.interactions.user_ids)
    repeats = recipe.canaries.repeats if recipe.canaries else 1
    return TrainingRows(
        dataset=with_canaries(dataset, canaries, repeats=repeats, fit=recipe.data.fit),
        prompts=trainee.prompts,
        tokenizer=trainee.tokenizer,
        tokens=trainee.tokens,
        encoder_decoder=trainee.kind == "seq2seq",
        holdout=holdout,
        fit=recipe.data.fit,
        window=recipe.data.window,
        seed=recipe.seed,
        counterfactuals="counterfactual_consistency" in recipe.objectives,
        attribute_masking=recipe.data.attribute_masking,
        labeled=recipe.adversary.attribute if recipe.adversary else "",
        item_weights=target_weights(recipe, dataset, base, holdout),
        bucketing=recipe.data.bucketing,
        unlearned=ascended,
        ascent=recipe.data.forgetting.ascent if recipe.data.forgetting else 0.0,
    )


def _canaries(
    recipe: TrainingRecipe, out: Path, dataset: Dataset, identity: Mapping[str, str]
) -> tuple[Canary, ...]:
    """Return all canaries of the run, planted or not; empty if the recipe has no `canaries`."""
    wanted = recipe.canaries
    if wanted is None:
        return ()
    return place_canaries(
        out,
        dataset,
        identity,
        count=wanted.count,
        length=wanted.length,
        repeats=wanted.repeats,
    )


def train_once(
    recipe: TrainingRecipe,
    folder: Path,
    dataset: Dataset,
    on_step: Callable[[StepReport], None],
) -> Path:
    """Train the base `recipe` into `folder`, unless it is already trained there; return the
    folder.
    """
    if is_trained(folder, recipe, dataset):
        return folder
    return train(recipe, folder, dataset=dataset, on_step=on_step)


def _speed(tokens: int, cpu_seconds: float) -> dict[str, float]:
    """Return the number of tokens, in total and per CPU second; empty for a private run."""
    return {
        "tokens": tokens,
        "tokens_per_cpu_second": round(tokens / max(cpu_seconds, 1e-9), 1),
    }


def _accelerator(recipe: TrainingRecipe) -> Accelerator:
    """Create the Accelerator; on a GPU it uses bf16, except in private training."""
    gpu = torch.cuda.is_available() and not recipe.privacy
    return Accelerator(cpu=not gpu, mixed_precision="bf16" if gpu else "no")


def _learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """Return the learning rate: linear warm-up, then linear or cosine decay to 0 at the last
    step.
    """
    optimizer = recipe.optimizer
    warm = min(1.0, (step + 1) / max(1, optimizer.warmup_steps))
    past = max(0, step - optimizer.warmup_steps) / max(1, recipe.steps - optimizer.warmup_steps)
    decay = 1 - past if optimizer.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * past))
    return optimizer.learning_rate * warm * decay


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
