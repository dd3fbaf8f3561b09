"""A card for a recommender without a `recommender.yaml`, such as a served model.

    version: 1
    trained_on: shop.yaml
    fit: all_but_test
    held_out_users: held_out.txt
    decoding: {history_window: 20}
    context_length: 8192
    price: {input: 0.15, output: 0.60, currency: USD}

It declares what a server does not tell: which data the model was trained on, which users were held
out, the privacy claim, and how it is used. Every probe that can run with these facts then runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.manifest import Decoding, PrivacyClaim
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.serialization.canonical_json import sha256_json
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["Price", "TargetCard", "with_card"]

_NOTE = "Facts about training, privacy and decoding are declared in the target card, not verified."


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Section):
    """Price of a million input tokens, and of a million output tokens, in `currency`."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")


class TargetCard(_Section):
    """Declared facts about a recommender.

    Attributes:
        trained_on: path of the description of the training data; None if not declared.
        fit: which interactions of each user were in the training data.
        held_out_users: ids of users that were never in the training data, or a file with one id per
            line.
        privacy: the claim of differential privacy, with the fields of a recommender.yaml.
        decoding: how lists are generated.
        context_length: number of tokens that the model reads; None if unknown.
        price: price of the tokens; None if calls cost nothing.
    """

    version: Literal[1]
    trained_on: str | None = None
    fit: Literal["all_but_test", "all_but_validation"] = "all_but_test"
    held_out_users: str | list[str] = []
    privacy: PrivacyClaim | None = None
    decoding: Decoding | None = None
    context_length: int | None = Field(default=None, ge=1)
    price: Price | None = None

    @classmethod
    def read(cls, path: Path) -> TargetCard:
        """Read a card; a file of held-out users is read too.

        Raises:
            ConfigurationError: keys or values are invalid (all are listed), or a file is missing.
        """
        card = validate(load_yaml(path), TypeAdapter(cls))
        if isinstance(card.held_out_users, list):
            return card
        named = path.parent / card.held_out_users
        try:
            ids = named.read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise ConfigurationError(
                f"{path}: held_out_users names {named}, which cannot be read ({error.strerror}). "
                "Give a text file with one user id per line, or a list."
            ) from None
        return card.model_copy(update={"held_out_users": [i.strip() for i in ids if i.strip()]})

    def manifest(
        self, path: Path, data: str, dataset: Dataset, *, allow_outside: bool
    ) -> dict[str, JsonValue]:
        """Convert the declared facts to the fields of a recommender.yaml.

        Args:
            path: path of the card; `trained_on` is relative to the folder of the card.
            data, dataset: name and content of the audited data, which are reused if `trained_on`
                names them.
            allow_outside: whether the description of the training data may name tables outside its
                folder.
        """
        found: dict[str, JsonValue] = {}
        if self.privacy is not None:
            found["privacy"] = self.privacy.model_dump(mode="json")
        if self.decoding is not None:
            found["decoding"] = self.decoding.model_dump(mode="json")
        if self.trained_on is None:
            if self.held_out_users:
                found["training"] = {"holdout_users": [*self.held_out_users]}
            return found
        named = self.trained_on if self.trained_on == "ml-100k" else path.parent / self.trained_on
        audited = str(named) == data or Path(named).resolve() == Path(data).resolve()
        trained = dataset if audited else open_dataset(str(named), allow_outside=allow_outside)
        found["training"] = {
            "data_sha256": trained.fingerprint,
            "fit": self.fit,
            "holdout_users": [*self.held_out_users],
        }
        return found


def with_card(
    loaded: LoadedRecommender,
    path: Path | None,
    *,
    data: str,
    dataset: Dataset,
    allow_outside: bool = False,
) -> LoadedRecommender:
    """Add the facts of a target card to a recommender and to its fingerprint.

    Args:
        path: path of the card; None returns the recommender unchanged.
        data, dataset: name and content of the audited data.
        allow_outside: as in `open_dataset`.

    Raises:
        ConfigurationError: the recommender has its own recommender.yaml.
    """
    if path is None:
        return loaded
    card = TargetCard.read(path)
    if loaded.manifest:
        raise ConfigurationError(
            "--target-card is for a target without a recommender.yaml, but this target has one. "
            "Correct the facts in that file, and remove the option."
        )
    # The price changes no response.
    declared = card.model_dump(mode="json", exclude={"price"}, exclude_none=True)
    return replace(
        loaded,
        manifest=card.manifest(path, data, dataset, allow_outside=allow_outside),
        fingerprint=sha256_json([loaded.fingerprint, declared]),
        notes=(*loaded.notes, _NOTE),
    )
