"""Public frameworks for which the measurements provide evidence (`standards.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.serialization.strict_yaml import parse_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["Reference", "Standards", "references", "standards"]

Checked = Literal["source", "secondary", "unverified"]


class Framework(BaseModel):
    """A framework with its version, the official names of its ids, and the ids for each subject.

    `checked` states whether the names were compared with the source, with a secondary text or not
    at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    version: str
    checked: Checked
    note: str = ""
    names: dict[str, str] = Field(default_factory=dict)
    subjects: dict[str, Annotated[list[str], Field(min_length=1)]]


class Standards(BaseModel):
    """All frameworks, and the subjects in the order of the report with their dimensions."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    subjects: dict[str, str]
    frameworks: list[Framework]


@dataclass(frozen=True)
class Reference:
    """One row of the table in the report: a subject and the ids of one framework."""

    subject: str
    framework: str
    ids: tuple[str, ...]
    checked: Checked
    note: str


@cache
def standards() -> Standards:
    """Read the shipped `standards.yaml`.

    Raises:
        ConfigurationError: the file is invalid.
    """
    text = (files("auditkit.reporting") / "standards.yaml").read_text(encoding="utf-8")
    return validate(parse_yaml(text, source="standards.yaml"), TypeAdapter(Standards))


def table(dimensions: frozenset[str]) -> list[Reference]:
    """Return the references for the given dimensions and for the subjects of all reports, by
    subject.
    """
    rows = []
    for subject, dimension in standards().subjects.items():
        if dimension not in dimensions and dimension != "report":
            continue
        for framework in standards().frameworks:
            if ids := framework.subjects.get(subject):
                named = tuple(f"{i} {framework.names.get(i, '')}".strip() for i in ids)
                name = f"{framework.name} {framework.version}".strip()
                rows.append(Reference(subject, name, named, framework.checked, framework.note))
    return rows


def references(dimension: str) -> list[str]:
    """Return the ids of one dimension as short texts, such as `OWASP LLM Top 10 2025: LLM09`."""
    found = []
    for subject, owner in standards().subjects.items():
        for framework in standards().frameworks if owner == dimension else ():
            name = f"{framework.name} {framework.version}".strip()
            found += [f"{name}: {i}" for i in framework.subjects.get(subject, ())]
    return list(dict.fromkeys(found))
