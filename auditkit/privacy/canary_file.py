"""The private file of the canaries of one training run, which records which were planted.

A canary is one synthetic user with a random history of catalog items. The file is written beside
the model folder, not into it, because it must not be published with the weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditkit.errors import ConfigurationError
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json
from auditkit.serialization.text_lines import read_lines

__all__ = ["Canary", "CanaryFile", "canary_path"]


class Canary(NamedTuple):
    """One canary.

    Attributes:
        id: id of the synthetic user.
        items: item ids, oldest first; the last item is the secret.
        planted: whether the canary was put into the training data, decided with probability 1/2.
    """

    id: str
    items: tuple[str, ...]
    planted: bool


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


L = TypeVar("L", bound=_Line)


class _Header(_Line):
    version: int = Field(ge=1, le=1)
    repeats: int = Field(ge=1)
    recipe_sha256: str
    data_sha256: str


class _Entry(_Line):
    id: str
    items: tuple[str, ...] = Field(min_length=2)
    planted: bool


class CanaryFile(NamedTuple):
    """All canaries of a training run, in the order of the file.

    Attributes:
        repeats: number of copies of each planted canary in the training data.
        identity: hashes of the training recipe and of the data.
    """

    canaries: tuple[Canary, ...]
    repeats: int
    identity: Mapping[str, str]

    def write(self, path: Path) -> None:
        """Write a header and one JSON line per canary, atomically; only the owner may read the
        file.
        """
        header = {"version": 1, "repeats": self.repeats, **self.identity}
        lines = [header, *(canary._asdict() for canary in self.canaries)]
        write_atomically(path, "".join(canonical_json(line) + "\n" for line in lines))

    @classmethod
    def read(cls, path: Path) -> CanaryFile:
        """Read a file of canaries.

        Raises:
            ConfigurationError: the file is missing, a line is invalid, or two canaries have one id.
        """
        lines = read_lines(
            path,
            what="a list of canaries",
            hint="Give the file that `auditkit train` wrote beside the model folder.",
        )
        if not lines:
            raise _invalid(path, 1, "the file is empty")
        header = _read_line(_Header, path, 1, lines[0])
        entries = [
            _read_line(_Entry, path, number, line) for number, line in enumerate(lines[1:], start=2)
        ]
        _require_distinct(path, [entry.id for entry in entries])
        canaries = tuple(Canary(entry.id, entry.items, entry.planted) for entry in entries)
        identity = {
            "recipe_sha256": header.recipe_sha256,
            "data_sha256": header.data_sha256,
        }
        return cls(canaries, header.repeats, identity)


def canary_path(model_folder: Path) -> Path:
    """Return the path of a model's canary file: `NAME.canaries.jsonl` beside the folder `NAME`."""
    return model_folder.with_name(f"{model_folder.name}.canaries.jsonl")


def _read_line(kind: type[L], path: Path, number: int, line: str) -> L:
    try:
        return kind.model_validate(read_json(line))
    except (ValueError, ValidationError) as error:
        raise _invalid(path, number, str(error).splitlines()[0]) from None


def _invalid(path: Path, number: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}:{number} is not a valid line of a canary file ({why}). Restore the file from a "
        "copy, or train again."
    )


def _require_distinct(path: Path, ids: Sequence[str]) -> None:
    twice = [one for one, n in Counter(ids).items() if n > 1][:3]
    if twice:
        raise ConfigurationError(
            f"{path} has several canaries with the id {', '.join(twice)}. Give every canary its "
            "own line and id."
        )
