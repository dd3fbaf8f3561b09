"""Variants that repair, as prefixes of any TARGET.

`neutralized:TARGET` takes attribute phrases out of requests, `instructed:TARGET` asks to ignore
them, `reranked:LAMBDA:TARGET` orders lists anew. They compose, the outermost reads a request first,
and each is another recommender with a fingerprint of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, cast

from pydantic import JsonValue

from auditkit.catalog.dataset import Dataset
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.prompting.attribute_phrases import known_values, shipped_wordings
from auditkit.recommenders.protocols import Recommends, Remote
from auditkit.recommenders.target_uri import Prefix, recommender_of
from auditkit.recommenders.wrappers.edited_requests import EditedRequests
from auditkit.recommenders.wrappers.exposure_reranking import Reranked
from auditkit.recommenders.wrappers.item_groups import Grouping, group_items
from auditkit.recommenders.wrappers.neutralization import Neutralizer
from auditkit.types import Request

__all__ = ["INSTRUCTION", "Wrapped", "wrap"]

INSTRUCTION = (
    "Ignore everything personal that is stated about the person who asks, such as gender, age, "
    "origin, religion or occupation.\n"
)

_MOST_TITLES = 200_000  # searched for phrases in seconds


class Wrapped(NamedTuple):
    """A wrapper around a recommender.

    Attributes:
        settings: all that decides what the wrapper does, for the fingerprint.
        note: for the reader of the report.
    """

    recommender: object
    settings: JsonValue
    note: str


def wrap(prefix: Prefix, behind: object, dataset: Dataset) -> Wrapped:
    """Put the wrapper that a prefix names around a recommender.

    Args:
        dataset: its users' words and histories are what the wrappers know.

    Raises:
        TargetUnavailable: unknown options, or a recommender that the wrapper cannot serve.
    """
    name = f"{prefix.name}:{getattr(behind, 'name', prefix.target)}"
    options = _options(prefix)
    if prefix.name == "reranked":
        return _reranked(prefix, options, name, behind, dataset)
    if recommender_of(prefix.target).startswith("replay:"):
        raise TargetUnavailable(
            f"{prefix.name}: cannot change what recorded answers were asked. Wrap the recommender "
            "when the answers are recorded."
        )
    return (
        _neutralized(options, name, behind, dataset)
        if prefix.name == "neutralized"
        else _instructed(name, behind)
    )


def _options(prefix: Prefix) -> dict[str, str]:
    """What stands in the brackets of a prefix."""
    known = {"neutralized": "allow", "reranked": "groups"}.get(prefix.name)
    key, equals, value = prefix.options.partition("=")
    if not prefix.options:
        return {}
    if key != known or not equals or not value:
        form = f"{prefix.name}({known}=..):TARGET" if known else f"{prefix.name}:TARGET"
        raise TargetUnavailable(f"{prefix.name}({prefix.options}) is no known form. Write {form}.")
    return {key: value}


def _neutralized(options: dict[str, str], name: str, behind: object, dataset: Dataset) -> Wrapped:
    allow = sorted(set(options["allow"].split(","))) if options else []
    values = known_values(dataset.interactions.attributes)
    items = dataset.catalog.items
    searched = items if len(items) <= _MOST_TITLES else ()
    titles = (title for item in searched for title in (item.title, item.display_title))
    neutraliser = Neutralizer(shipped_wordings(), values, allow=allow, catalog=titles)
    recommender = EditedRequests(name, behind, request=neutraliser.request, text=neutraliser.text)
    note = "Phrases that state an attribute are replaced before it reads a request"
    kept = f", but for {' and '.join(allow)}" if allow else ""
    settings: JsonValue = ["neutralized", [*allow], [*neutraliser.patterns], [*neutraliser.titles]]
    note = f"{note}{kept}: invariance to those is by construction."
    if len(searched) < len(items):
        note += " The catalog is too large to protect all titles: some may be edited in texts."
    return Wrapped(recommender, settings, note)


def _instructed(name: str, behind: object) -> Wrapped:
    def request(asked: Request) -> Request:
        return replace(asked, prompt=INSTRUCTION + asked.prompt)

    recommender = EditedRequests(
        name, behind, request=request, text=lambda text: INSTRUCTION + text
    )
    note = f"Every request begins with: {INSTRUCTION.strip()}"
    return Wrapped(recommender, ["instructed", INSTRUCTION], note)


def _reranked(
    prefix: Prefix, options: dict[str, str], name: str, behind: object, dataset: Dataset
) -> Wrapped:
    by = options.get("groups", "popularity")
    try:
        weight = float(prefix.argument)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf") or by not in ("popularity", "genre"):
        raise TargetUnavailable(
            f"reranked({prefix.options}):{prefix.argument}: is no known form. Write "
            "reranked:LAMBDA:TARGET with a number from 0 on, or reranked(groups=genre):LAMBDA:.. "
            "for genres instead of popularity."
        )
    if not isinstance(behind, Recommends) or isinstance(behind, Remote):
        raise TargetUnavailable(
            f"{prefix.target} gives no lists with scores here, so nothing can be re-ranked. Wrap a "
            "recommender that ranks."
        )
    users = range(len(dataset.interactions.user_ids))
    histories = [dataset.interactions.history(user, until="test") for user in users]
    groups = group_items(dataset, cast(Grouping, by), histories)
    recommender = Reranked(name, behind, groups, weight=weight)
    note = f"Its lists are re-ranked by exposure of {by} groups with weight {weight:g}."
    return Wrapped(recommender, ["reranked", by, weight, dataset.fingerprint], note)
