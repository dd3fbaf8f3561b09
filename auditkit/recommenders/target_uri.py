"""Syntax of a TARGET: a recommender after any number of prefixes, each of which adds a wrapper.

A wrapper changes the requests or the order of the lists: `neutralized(allow=age):reranked:0.3:DIR`
is `neutralized` around `reranked` around the model folder DIR. This module only parses the text;
`recommenders.wrappers` implements the prefixes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from auditkit.recommenders.pipeline_file import read_pipeline
from auditkit.security.network_guard import Restriction

__all__ = [
    "PIPELINE", "WRAPPERS", "Prefix", "endpoints_of", "recommender_of", "restriction_for",
    "split_prefix",
]  # fmt: skip

PIPELINE = "pipeline"
# The argument between a prefix and its target, by prefix: none, or one number.
WRAPPERS: Mapping[str, str] = {
    "neutralized": "", "instructed": "", "canonical": "", "snapped": "",
    "screened": "", "voted": "", "reranked": "LAMBDA",
}  # fmt: skip
_PREFIX = re.compile(rf"({'|'.join(WRAPPERS)})(?:\(([^()]*)\))?:(.*)", re.DOTALL)
_NUMBER = re.compile(r"([-+.\de]+):(.*)", re.DOTALL)


class Prefix(NamedTuple):
    """One prefix of a TARGET.

    Attributes:
        name: a key of `WRAPPERS`. options: the text in its brackets, such as `allow=age`.
        argument: the number after the prefix, as written. target: everything that follows.
    """

    name: str
    options: str
    argument: str
    target: str


def split_prefix(target: str) -> Prefix | None:
    """The outermost prefix of a TARGET; None if it has none."""
    found = _PREFIX.fullmatch(target)
    if found is None:
        return None
    name, options, rest = found.groups()
    number = _NUMBER.fullmatch(rest) if WRAPPERS[name] else None
    argument, target = number.groups() if number else ("", rest)
    return Prefix(name, options or "", argument, target)


def recommender_of(target: str) -> str:
    """The recommender of a TARGET, without prefixes."""
    while (prefix := split_prefix(target)) is not None:
        target = prefix.target
    return target


def endpoints_of(target: str) -> list[str]:
    """The servers of a TARGET as `BASE_URL#MODEL`: one for `openai:`, those of all stages for
    `pipeline:`, and none for other targets.

    Raises:
        ConfigurationError: the pipeline file has errors.
    """
    kind, _, rest = recommender_of(target).partition(":")
    if kind == "openai":
        return [rest]
    if kind != PIPELINE:
        return []
    stages = [recommender_of(stage.target) for stage in read_pipeline(Path(rest)).stages]
    return [stage.partition(":")[2] for stage in stages if stage.startswith("openai:")]


def restriction_for(target: str, *, online: bool = False) -> Restriction | None:
    """The network access that an audit of TARGET needs: host and port of its endpoint, or no
    access. A pipeline with several endpoints cannot be loaded and gets no access.

    Raises:
        ConfigurationError: the pipeline file has errors.
    """
    if online:
        return None
    endpoints = endpoints_of(target)
    if len(endpoints) != 1:
        return Restriction()
    place = urlsplit(endpoints[0].partition("#")[0])
    return Restriction(place.hostname, place.port or (443 if place.scheme == "https" else 80))
