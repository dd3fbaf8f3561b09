"""Model folder: the output of training, and the identity of the run that it belongs to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.privacy.canary_file import canary_path
from auditkit.recommenders.adapters.manifest import (
    MANIFEST,
    CanaryRecord,
    CatalogReference,
    Decoding,
    PrivacyClaim,
    RecommenderManifest,
    TrainingRecord,
)
from auditkit.serialization.atomic_files import set_aside, sha256_file, write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json, sha256_json
from auditkit.training.base_model import BASE, base_identity, link
from auditkit.training.model import Trainee
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.rows.training_rows import TrainingRows
from auditkit.training.training_users import draw_holdout

__all__ = [
    "TrainingLog",
    "canary_record",
    "identity_of",
    "is_trained",
    "require_same_model",
    "set_aside_other_model",
    "write_folder",
    "write_record",
]

ADAPTER = "adapter"
_RECORD, _LOG, _INDEX = "manifest.json", "log.jsonl", "item_index.json"


def identity_of(recipe: TrainingRecipe, dataset: Dataset) -> dict[str, str]:
    """Return the hashes of recipe and data, which identify a model."""
    fields = recipe.model_dump(mode="json", exclude={"checkpoint_every"})
    if recipe.canaries is None:
        del fields["canaries"]  # recipes without canaries keep the identity of earlier versions
    if recipe.federated is None:
        del fields["federated"]
    if recipe.data.synthetic is None:
        del fields["data"]["synthetic"]  # and so do those without synthetic histories
    if recipe.data.forgetting is None:
        del fields["data"]["forgetting"]
    else:
        fields["data"]["forgetting"]["users_file"] = sha256_file(
            Path(recipe.data.forgetting.users_file)
        )
    if (base := base_identity(recipe)) is not None:
        fields["model"]["base"] = base
    return {"recipe_sha256": sha256_json(fields), "data_sha256": dataset.fingerprint}


def _stored_identity(folder: Path) -> dict[str, Any] | None:
    """Read the identity of the finished model in a folder; None if there is no finished model."""
    record = folder / _RECORD
    if not (record.is_file() and (folder / MANIFEST).is_file()):
        return None
    stored: dict[str, Any] = read_json(record.read_text(encoding="utf-8"))
    return {name: stored.get(name) for name in ("recipe_sha256", "data_sha256")}


def is_trained(folder: Path, recipe: TrainingRecipe, dataset: Dataset) -> bool:
    """Whether the folder contains the finished model of exactly this recipe and data."""
    return _stored_identity(folder) == identity_of(recipe, dataset)


def require_same_model(folder: Path, identity: Mapping[str, str]) -> None:
    """Reject a folder with a finished model of another recipe or other data.

    Raises:
        ConfigurationError: the identity of the finished model in the folder differs.
    """
    stored = _stored_identity(folder)
    if stored is not None and stored != identity:
        changed = " and ".join(
            name.removesuffix("_sha256") for name in identity if stored[name] != identity[name]
        )
        raise ConfigurationError(
            f"{folder} contains a finished model of another training run (the hash of the "
            f"{changed} differs). Give another --out folder, or delete this folder."
        )


def set_aside_other_model(folder: Path, recipe: TrainingRecipe, dataset: Dataset) -> Path | None:
    """Rename a folder with a finished model of another recipe or data.

    Returns the new path; None if the folder has no such model.
    """
    stored = _stored_identity(folder)
    return None if stored in (None, identity_of(recipe, dataset)) else set_aside(folder)


class TrainingLog:
    """Log with one line per step in `log.jsonl`; lines after the resumed checkpoint are dropped.

    A private run writes no log, because its privacy claim does not cover losses and batch sizes.
    """

    def __init__(self, folder: Path, *, first_step: int, silent: bool) -> None:
        self._stream = None
        if not silent:
            path = folder / _LOG
            lines = (
                path.read_text(encoding="ascii").splitlines(keepends=True) if path.exists() else []
            )
            kept = [line for line in lines if line.endswith("\n")]
            lines = [line for line in kept if read_json(line)["step"] <= first_step]
            path.write_text("".join(lines), encoding="ascii")
            self._stream = path.open("a", encoding="ascii")

    def write(self, entry: Mapping[str, object]) -> None:
        """Append one step."""
        if self._stream:
            self._stream.write(canonical_json(entry) + "\n")

    def flush(self) -> None:
        """Flush to disk, so that the log contains every step of a checkpoint."""
        if self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()


def write_folder(
    out: Path,
    recipe: TrainingRecipe,
    *,
    trainee: Trainee,
    dataset: Dataset,
    rows: TrainingRows,
    privacy: PrivacyClaim | None = None,
    steps: int,
    base: Path | None = None,
    canaries: CanaryRecord | None = None,
) -> None:
    """Write a model folder that can be audited: weights or adapter, tokenizer and templates.

    Args:
        dataset: the data that audits read; `rows` may come from synthetic users instead.
        base: folder with the weights of the base, to be referenced in `out`; None if `out` already
            contains them.
        canaries: record of the planted canaries for the manifest; None without canaries.
    """
    model, users = trainee.model, dataset.interactions.user_ids
    adapted = recipe.adapter != "full"
    options = {}
    if adapted:
        options = {"save_embedding_layers": False}  # otherwise peft queries a model hub
        model.peft_config["default"].base_model_name_or_path = BASE  # not a path of this machine
        if base is not None:
            shutil.copytree(base, out / BASE, copy_function=link)
    where = out / ADAPTER if adapted else out
    model.save_pretrained(where, safe_serialization=True, **options)
    (where / "README.md").unlink(missing_ok=True)  # written by peft, with the path of the base
    trainee.tokenizer.save_pretrained(out)
    if trainee.index is not None:
        write_atomically(out / _INDEX, canonical_json(trainee.index))
    templates = yaml.safe_dump(trainee.prompts.as_mapping(), sort_keys=False, width=200)
    write_atomically(out / "prompts.yaml", templates)
    RecommenderManifest(
        version=1,
        name=recipe.name,
        kind=trainee.kind,
        style=trainee.style,
        weights=BASE if adapted else ".",
        adapter=ADAPTER if adapted else None,
        prompt="prompts.yaml",
        item_index=None if trainee.index is None else _INDEX,
        catalog=CatalogReference(name=dataset.catalog.name, sha256=dataset.catalog.fingerprint),
        decoding=Decoding(history_window=_history_window(recipe, trainee)),
        training=TrainingRecord(
            recipe=recipe.name,
            seed=recipe.seed,
            data_sha256=dataset.fingerprint,
            fit=recipe.data.fit,
            tie_seed=dataset.interactions.tie_seed,
            holdout_users=[users[i] for i in sorted(draw_holdout(recipe, n_users=len(users)))],
            objectives=dict(recipe.objectives),
            steps=steps,
            parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
            canaries=canaries,
        ),
        privacy=privacy,
    ).write(out)


def canary_record(recipe: TrainingRecipe, out: Path) -> CanaryRecord | None:
    """Return the public record of the canaries, which does not tell which canaries are planted."""
    if recipe.canaries is None:
        return None
    return CanaryRecord(
        count=recipe.canaries.count,
        repeats=recipe.canaries.repeats,
        length=recipe.canaries.length,
        unit="user",
        file_sha256=sha256_file(canary_path(out)),
    )


def _history_window(recipe: TrainingRecipe, trainee: Trainee) -> int:
    """Return the number of history items in a request.

    An encoder-decoder is trained on a random part of a history window, half of it on average, so
    its requests use half of the window. Measured HR@10 on test items is .121 with half of the
    window and .105 with the whole window; on validation items it is .151 and .145, a difference
    within noise.
    """
    return max(1, recipe.data.window // 2) if trainee.kind == "seq2seq" else recipe.data.window


def write_record(
    out: Path, recipe: TrainingRecipe, identity: Mapping[str, str], volatile: Mapping[str, object]
) -> None:
    """Write `manifest.json`: recipe, identity, library versions and resources used."""
    libraries = ("torch", "transformers", "tokenizers", "accelerate")
    fields = recipe.model_dump(mode="json")
    if recipe.model.base:
        fields["model"]["base"] = Path(recipe.model.base).name
    record = {
        **identity,
        "recipe": fields,
        "libraries": {name: version(name) for name in libraries},
        "volatile": dict(volatile),
    }
    write_atomically(out / _RECORD, canonical_json(record, indent=1) + "\n")
