"""Phrases that state a sensitive attribute of the user in a request, and neutral phrases.

The fairness probes insert these phrases and test-time neutralization removes them, so both read the
same file. `templates/attributes.yaml` contains eight attributes, neutral phrases and placebos; a
user's file has the same format. Source: the attributes are those of FaiRLLM (Zhang et al. 2023),
with other phrases; see docs/explain/fairness.md.
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
    """One value of an attribute, such as "a woman".

    Attributes:
        id: name in the report. phrase: noun phrase for the slot `{who}`.
        alternatives: other wordings, used only to test mitigations and never by probes.
        german: the phrase for the German template. named: a phrase with a first name that suggests
            the value.
    """

    id: Phrase
    phrase: Phrase
    alternatives: tuple[str, ...] = ()
    german: str = ""
    named: str = ""


class Attribute(_Part):
    """A sensitive attribute with mutually exclusive values.

    Attributes:
        legal_basis: why the attribute is tested. crossed_with: attributes with which it is combined
            in intersectional tests.
        values: at least two, with distinct ids and phrases.
    """

    legal_basis: str = ""
    crossed_with: tuple[str, ...] = ()
    values: tuple[AttributeValue, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _values_differ(self) -> Attribute:
        _refuse_equal(self.values)
        return self


class Wordings(_Part):
    """All phrases that a fairness probe may use for a user.

    Attributes:
        neutral: phrases without an attribute: the first is the neutral request, the second is the
            repeated neutral request.
        placebo: phrases that should have no effect. attributes: attributes by name; names contain
            no `&` or `=`.
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
            raise ValueError(
                "two neutral phrases are equal, so the repeated neutral request would be the "
                "first one again"
            )
        stated = {v.phrase for one in self.attributes.values() for v in one.values}
        if same := stated & set(self.neutral):
            raise ValueError(
                f"{sorted(same)[0]!r} is both a neutral phrase and the phrase of an attribute "
                "value; the two must differ"
            )
        return self


def known_values(described: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Known attribute values of the users of a data set.

    Returns:
        Sorted values by attribute; attributes in the order of the data.
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
            raise ValueError(f"two values have the same {name}")


def read_wordings(path: Path) -> Wordings:
    """Read a file of attribute phrases.

    Raises:
        ConfigurationError: the file is invalid; all errors are listed, each with file and line.
    """
    return validate(load_yaml(path), TypeAdapter(Wordings))


@cache
def shipped_wordings() -> Wordings:
    """Return the eight shipped attributes with their phrases."""
    return read_wordings(
        Path(str(files("auditkit.recommenders.prompting") / "templates/attributes.yaml"))
    )
