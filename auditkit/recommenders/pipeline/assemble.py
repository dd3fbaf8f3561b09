"""Assemble a pipeline of loaded recommenders, and compute its fingerprint.

The fingerprint covers the order, names and numbers of the stages, the fingerprint of every
recommender, and the templates of prompt files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from auditkit.catalog.dataset import Dataset
from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError, TargetUnavailable
from auditkit.recommenders.pipeline.pipeline import Pipeline
from auditkit.recommenders.pipeline.stage import build_stage, writes_lists
from auditkit.recommenders.pipeline_file import StageEntry
from auditkit.recommenders.protocols import Generates, Recommends
from auditkit.serialization.canonical_json import sha256_json

__all__ = ["LoadedStage", "assemble", "resolve_prompt"]


class LoadedStage(NamedTuple):
    """A stage of a pipeline file with its recommender, the kind and fingerprint of this
    recommender, and the path of the stage's prompt file.
    """

    entry: StageEntry
    recommender: object
    kind: str
    fingerprint: str
    prompt: Path | None


def assemble(path: Path, loaded: Sequence[LoadedStage], dataset: Dataset) -> tuple[Pipeline, str]:
    """Build the pipeline; return it with its fingerprint.

    Args:
        path: the pipeline file.
        loaded: two or more stages, in order.
        dataset: provides the catalog, to which the titles that a stage writes are linked, and the
            domain of the prompts.

    Raises:
        ConfigurationError: a prompt file is invalid, or several stages are servers.
        TargetUnavailable: a stage cannot recommend.
    """
    steps, identity = [], []
    for place, one in enumerate(loaded):
        name = one.entry.name
        if one.entry.writes == "query":
            _require_writer(path, one)
        if not isinstance(one.recommender, Recommends):
            raise TargetUnavailable(
                f"{path}: stage {name!r} is a {one.kind}, which returns no lists. Name a "
                "recommender that returns lists."
            )
        stage = build_stage(
            name,
            one.recommender,
            n=one.entry.n,
            first=place == 0 or loaded[place - 1].entry.writes == "query",
            prompt=one.prompt,
            pack=domain_pack(dataset.catalog.domain),
            writes=one.entry.writes,
        )
        steps.append(stage)
        templates = None if one.prompt is None else stage.prompts.as_mapping()
        identity.append([name, one.entry.n, one.fingerprint, templates])
        if one.entry.writes == "query":
            identity[-1].append("query")
    if steps[0].writes == "query" and not steps[1].reads:
        raise TargetUnavailable(
            f"{path}: stage {steps[1].name!r} gets a search query but does not read text. Name a "
            "retriever that reads text, such as baseline:bm25 or the folder of a dual encoder."
        )
    pipeline = Pipeline(f"pipeline:{path.name}", steps, catalog=dataset.catalog)
    return pipeline, sha256_json(["pipeline", 1, identity])


def _require_writer(path: Path, stage: LoadedStage) -> None:
    """Raise TargetUnavailable if a stage that must write a query has a recommender that only scores
    items.
    """
    if not isinstance(stage.recommender, Generates) and not writes_lists(stage.recommender):
        raise TargetUnavailable(
            f"{path}: stage {stage.entry.name!r} is a {stage.kind}, which scores items and writes "
            "no query. Name a language model, an endpoint or a Python function."
        )


def resolve_prompt(path: Path, entry: StageEntry) -> Path | None:
    """Path of the prompt file of a stage, which is relative to the folder of the pipeline file.

    Raises:
        ConfigurationError: the file does not exist, or is outside that folder and must not be sent
            to a server.
    """
    if entry.prompt is None:
        return None
    root = path.parent.resolve()
    found = (root / entry.prompt).resolve()
    if not found.is_relative_to(root):
        raise ConfigurationError(
            f"{path}: stage {entry.name!r} names the prompt file {entry.prompt}, which is outside "
            "the folder of the pipeline file. Copy the file into that folder."
        )
    if not found.is_file():
        raise ConfigurationError(
            f"{path}: stage {entry.name!r} names the prompt file {entry.prompt}, which does not "
            "exist. Correct the entry."
        )
    return path.parent / entry.prompt
