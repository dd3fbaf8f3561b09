"""Early stopping on NDCG@10 of the validation items, measured with the same requests as an audit.

After training, the probe `utility.validation` measures NDCG@10 for all users, with an interval.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.metrics.ranking import ndcg_of_list
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.execution.response_checks import check_response, link_items
from auditkit.recommenders.protocols import Recommends, Renders
from auditkit.seeding import generator
from auditkit.training.model import Trainee
from auditkit.training.model_folder import write_folder
from auditkit.training.recipe import TrainingRecipe, ValidationRecipe
from auditkit.training.rows.training_rows import TrainingRows
from auditkit.types import Request

__all__ = ["Validation"]

_CUTOFF, _BATCH = 10, 64


class Validation:
    """Measures NDCG@10 during training on the validation items of a seeded sample of users.

    Raises:
        ConfigurationError: no user has a validation item.
    """

    def __init__(
        self,
        settings: ValidationRecipe,
        recipe: TrainingRecipe,
        dataset: Dataset,
        trainee: Trainee,
        rows: TrainingRows,
        base: Path | None,
    ) -> None:
        self._base = base
        self._recipe, self._dataset, self._trainee, self._rows = recipe, dataset, trainee, rows
        interactions = dataset.interactions
        asked = interactions.split().validation
        if not len(asked):
            raise ConfigurationError(
                "validation: no user has a history followed by a validation item. Choose another "
                "split.validation_from, or remove validation."
            )
        order = generator(recipe.seed, "validation users").permutation(len(asked))
        self._users = [int(interactions.user_index[asked[i]]) for i in order[: settings.users]]

    def measure(self) -> float:
        """Mean NDCG@10 over the users; an item that is not listed counts 0.

        Raises:
            ConfigurationError: the model does not recommend lists.
        """
        model = self._trainee.model
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_folder(
                folder, self._recipe, trainee=self._trainee, dataset=self._dataset, rows=self._rows,
                steps=0, base=self._base,
            )  # fmt: skip
            recommender = load_folder(folder, self._dataset)
        model.train()
        if not isinstance(recommender, Recommends) or not isinstance(recommender, Renders):
            raise ConfigurationError(
                "validation: this model does not recommend lists, so NDCG@10 cannot be measured. "
                "Remove validation."
            )
        interactions, items = self._dataset.interactions, self._dataset.catalog.items
        gains = []
        for begin in range(0, len(self._users), _BATCH):
            users = self._users[begin : begin + _BATCH]
            requests = []
            for user in users:
                history = interactions.history(user, until="validation")
                request = Request(
                    id=str(user), history=tuple(self._rows.item(row) for row in history), k=_CUTOFF
                )
                requests.append(replace(request, prompt=recommender.render(request)))
            answers = recommender.recommend(requests)
            for user, request, answer in zip(users, requests, answers, strict=True):
                response = check_response(request, answer)
                linked = link_items(response, self._dataset.catalog) if response else None
                listed = [item.item_id or item.raw for item in linked.items] if linked else []
                targets = [items[row].id for row in interactions.held_out(user, role="validation")]
                gains.append(ndcg_of_list(listed, targets, k=_CUTOFF) or 0.0)
        return sum(gains) / len(gains)
