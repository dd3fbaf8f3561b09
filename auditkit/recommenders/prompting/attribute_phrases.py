"""Phrases that state an attribute of the person who asks, and what a neutral request says instead.

The fairness probes state them, and test-time neutralisation takes them out again, so both read one
file. `templates/attributes.yaml` ships eight attributes, neutral phrases and placebos; a file of
your own has the same form. Source: fairness recipe, 4.1; the dimensions are FaiRLLM's, its texts
are not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = [
    "Attribute",
    "AttributeValue",
    "Wordings",
    "known_values",
    "read_wordings",
    "shipped_wordings",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Phrase = Annotated[str, Field(min_length=1, pattern=r"\S")]


class AttributeValue(_Part):
    """One value, such as a woman.

    Attributes:
        id: name in the report. phrase: what is stated, a noun phrase for the slot `{who}`.
        alternatives: other wordings, never stated by a probe: they test mitigations.
        german: the phrase for the German template. named: a first name that suggests the value.
    """

    id: Phrase
    phrase: Phrase
    alternatives: tuple[str, ...] = ()
    german: str = ""
    named: str = ""


class Attribute(_Part):
    """Values that exclude each other.

    Attributes:
        legal_basis: why it is asked about. crossed_with: attributes it is crossed with.
        values: at least two, each with an id of its own.
    """

    legal_basis: str = ""
    crossed_with: tuple[str, ...] = ()
    values: tuple[AttributeValue, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _values_differ(self) -> Attribute:
        _refuse_equal(self.values)
        return self


class Wordings(_Part):
    """Everything that a fairness probe may say about a person.

    Attributes:
        neutral: phrases without an attribute; the first is the neutral request, the second re-asks.
        placebo: phrases that should not matter. attributes: by name, which holds no `&` or `=`.
    """

    version: Literal[1]
    neutral: tuple[Phrase, ...] = Field(min_length=2)
    neutral_german: tuple[str, ...] = ()
    placebo: tuple[AttributeValue, ...] = Field(min_length=2)
    attributes: Mapping[Annotated[str, Field(pattern=r"^[^&=]+$")], Attribute] = Field(min_length=1)

    @model_validator(mode="after")
    def _phrases_differ(self) -> Wordings:
        _refuse_equal(self.placebo)
        if len(set(self.neutral)) < len(self.neutral):
            raise ValueError("two neutral phrases are equal: asking again would ask the same")
        stated = {v.phrase for one in self.attributes.values() for v in one.values}
        if same := stated & set(self.neutral):
            raise ValueError(f"{sorted(same)[0]!r} is stated as a value and as neutral")
        return self


def known_values(described: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The known values of every attribute of a data set's users, sorted; attributes in the order of
    the data.
    """
    found: dict[str, set[str]] = {}
    for attributes in described:
        for name, value in attributes.items():
            if value and value != "unknown":
                found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in found.items()}


def _refuse_equal(values: tuple[AttributeValue, ...]) -> None:
    for name in ("id", "phrase"):
        seen = [getattr(value, name) for value in values]
        if len(set(seen)) < len(seen):
            raise ValueError(f"two values share one {name}")


def read_wordings(path: Path) -> Wordings:
    """Read a file of attributes.

    Raises:
        ConfigurationError: every fault at once, each with file and line.
    """
    return validate(load_yaml(path), TypeAdapter(Wordings))


@cache
def shipped_wordings() -> Wordings:
    """The eight shipped attributes."""
    return read_wordings(
        Path(str(files("auditkit.recommenders.prompting") / "templates/attributes.yaml"))
    )
