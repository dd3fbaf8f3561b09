"""Reference models of an attack, which are loaded in this process and score the same prompts.

A reference model is a model folder that auditkit trained with the same kind of recipe on another
random part of the users, or the weights before fine-tuning. Scores of reference models are not
responses of the audited recommender, so the evidence does not contain them, and they are computed
again when a run is recomputed. The run's identity contains the fingerprints of the folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import ConfigurationError, TargetError
from auditkit.probes.base import Context
from auditkit.probes.privacy.records import Record
from auditkit.recommenders.protocols import Scores, TokenScores

__all__ = ["ReferenceModel", "load_reference", "mean_losses"]

_BATCH = 64


class ReferenceModel(NamedTuple):
    """A loaded model folder.

    Attributes:
        name: name of the folder.
        training: section `training` of recommender.yaml in the folder; empty if missing.
    """

    name: str
    recommender: Scores
    training: Mapping[str, Any]

    def trained_on(self, user_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Whether training could use each user, which is every user except the held-out users,
        [users].
        """
        held_out = set(self.training.get("holdout_users", []))
        return np.array([user not in held_out for user in user_ids], dtype=bool)


def load_reference(folder: str, context: Context, *, same_data: bool) -> ReferenceModel:
    """Load a model folder that scores texts.

    Args:
        folder: the model folder.
        context: context of the probe, with the audited data.
        same_data: whether the model must have been trained on the audited data.

    Raises:
        ConfigurationError: the folder does not contain such a model.
        TargetUnavailable: the weights cannot be loaded.
    """
    from auditkit.recommenders.adapters.language_model import LanguageModel
    from auditkit.recommenders.adapters.model_folder import load_folder

    loaded = load_folder(Path(folder), context.dataset)
    if not isinstance(loaded, LanguageModel):
        raise ConfigurationError(
            f"The reference model {folder} is an encoder, which has no log-probabilities. Give a "
            "language model."
        )
    record = loaded.manifest.training
    training = {} if record is None else record.model_dump(mode="json")
    if same_data and training.get("data_sha256") != context.dataset.fingerprint:
        raise ConfigurationError(
            f"The reference model {folder} does not declare that it was trained on the audited "
            "data. Train the reference model with the data and recipe of the audited model and "
            "another seed."
        )
    return ReferenceModel(Path(folder).name, loaded, training)


def mean_losses(model: ReferenceModel, records: Sequence[Record]) -> list[float | None]:
    """Compute the mean negative log-likelihood per token of every record, nats; None if scoring
    fails.
    """
    found: list[float | None] = []
    for begin in range(0, len(records), _BATCH):
        found += _losses(model.recommender, records[begin : begin + _BATCH])
    return found


def _losses(recommender: Scores, records: Sequence[Record]) -> list[float | None]:
    """Compute the losses of a batch; if the batch fails, score its records one by one."""
    try:
        scores = recommender.score(
            [record.request.prompt for record in records],
            [[record.continuation] for record in records],
        )
    except TargetError:
        if len(records) == 1:
            return [None]
        return [one for record in records for one in _losses(recommender, [record])]
    return [_loss(row[0]) for row in scores]


def _loss(scores: TokenScores) -> float | None:
    return -scores.mean if scores.tokens else None
