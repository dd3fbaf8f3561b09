"""The file of a `pipeline:` target: which recommenders run one after the other.

    version: 1
    stages:
      - {name: retrieval, target: "baseline:item-knn", n: 50}
      - {name: ranking, target: "openai:http://127.0.0.1:8000/v1#shop-model", prompt: rerank.yaml}

Every stage but the last passes `n` candidates on; the last returns as many items as a request asks
for. The first stage may write a search query instead of a list (`writes: query`), which the second
one then reads as its prompt. The file is only parsed here, because the network guard has to know
the endpoint before any recommender is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.serialization.strict_yaml import Document, load_yaml
from auditkit.serialization.yaml_errors import located, validate

__all__ = ["MOST_CANDIDATES", "PipelineFile", "StageEntry", "read_pipeline"]

MOST_CANDIDATES = 1_000  # more do not fit into a prompt, and every record holds all of them


class StageEntry(BaseModel):
    """One stage of a pipeline file.

    Attributes:
        name: names the stage in findings and evidence.
        target: any TARGET of `auditkit audit` except another pipeline.
        n: number of candidates that are passed on, 1 to 1,000; None for the last stage and for a
            stage that writes a query.
        writes: `list` if the stage returns items, `query` if it writes the search query of the next
            stage.
        prompt: template file of the stage, relative to the pipeline file; None uses the templates
            of the recommender or, without any, the shipped templates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)
    target: str = Field(min_length=1)
    n: int | None = Field(default=None, ge=1, le=MOST_CANDIDATES)
    writes: Literal["list", "query"] = "list"
    prompt: str | None = Field(default=None, min_length=1)


class PipelineFile(BaseModel):
    """Content of a pipeline file, with the stages in the order in which they run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    stages: tuple[StageEntry, ...]


def read_pipeline(path: Path) -> PipelineFile:
    """Read a pipeline file.

    Raises:
        ConfigurationError: the file cannot be read or has errors, which are listed with their
            lines.
    """
    document = load_yaml(path)
    stages = document.data.get("stages") if isinstance(document.data, dict) else None
    found = list(_errors(document, stages)) if isinstance(stages, list) else []
    hint = "See docs, how-to: audit a pipeline."
    return validate(document, TypeAdapter(PipelineFile), others=found, hint=hint)


def _errors(document: Document, stages: list[Any]) -> Iterator[tuple[int, str]]:
    """What the schema cannot express: the number of stages, `n` by position, and repeated names."""
    if len(stages) < 2:
        yield located(
            document,
            ["stages"],
            f"a pipeline needs two or more stages, but this one has {len(stages)}. Audit a single "
            "recommender as a TARGET of its own",
        )
    entries = [(i, entry) for i, entry in enumerate(stages) if isinstance(entry, dict)]
    for i, entry in entries:
        last = i == len(stages) - 1
        if entry.get("writes") == "query":
            yield from _query_errors(document, i, entry, last=last)
        elif not last and entry.get("n") is None:
            yield located(
                document,
                ["stages", i],
                "n is missing. Every stage but the last states how many candidates it passes on",
            )
        elif last and len(stages) > 1 and entry.get("n") is not None:
            yield located(
                document,
                ["stages", i, "n"],
                "the last stage returns as many items as a request asks for. Remove n",
            )
    names = [(i, entry["name"]) for i, entry in entries if isinstance(entry.get("name"), str)]
    counts = Counter(name for _, name in names)
    for i, name in names:
        if counts[name] > 1:
            message = f"two stages are named {name!r}. Give every stage another name"
            yield located(document, ["stages", i, "name"], message)


def _query_errors(
    document: Document, place: int, entry: dict[str, Any], *, last: bool
) -> Iterator[tuple[int, str]]:
    """Errors of a stage that writes a query."""
    if place or last:
        yield located(
            document,
            ["stages", place, "writes"],
            "only the first of several stages can write a query, which the next stage reads. "
            "Remove the key, or move the stage",
        )
    if entry.get("n") is not None:
        yield located(
            document,
            ["stages", place, "n"],
            "a stage that writes a query passes on no candidates. Remove n",
        )
