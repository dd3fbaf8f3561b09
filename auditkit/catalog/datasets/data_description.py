"""The sections of a file that describes a user's own data, see `user_tables`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Cuts", "InteractionColumns", "ItemColumns", "ShippedData", "TableDescription", "UserColumns",
]  # fmt: skip


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InteractionColumns(_Section):
    """Path of the table of interactions and names of its columns."""

    file: str
    user: str = "user"
    item: str = "item"
    timestamp: str = "timestamp"
    rating: str | None = None


class ItemColumns(_Section):
    """Path of the table of items and names of its columns."""

    file: str
    id: str = "id"
    title: str = "title"
    genres: str | None = None
    year: str | None = None


class UserColumns(_Section):
    """Path of the table of users and names of its columns."""

    file: str
    id: str = "id"
    attributes: list[str] = []


class Cuts(_Section):
    """Start times of the validation and the test period, in seconds since 1970."""

    validation_from: int
    test_from: int


class _Described(_Section):
    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    split: Cuts | None = None


class TableDescription(_Described):
    """A data set that is described by tables of interactions, items and, optionally, users."""

    strict: bool = False
    interactions: InteractionColumns
    items: ItemColumns
    users: UserColumns | None = None

    @property
    def files(self) -> list[str]:
        """Paths of the tables, relative to the description."""
        named = [self.interactions.file, self.items.file]
        return named if self.users is None else [*named, self.users.file]


class ShippedData(_Described):
    """A data set that auditkit can download."""

    source: Literal["ml-100k"]
