"""Test-time mitigations as prefixes of a TARGET.

`neutralized:TARGET` removes attribute phrases from requests, `instructed:TARGET` instructs the
recommender to ignore them, `canonical:TARGET` replaces look-alike and invisible characters,
`snapped:TARGET` replaces misspelled titles by those of the catalog, `screened:TARGET` removes
sentences that address the model from the texts of items, `voted:TARGET` lets the lists of masked
copies vote, and `reranked:LAMBDA:TARGET` re-ranks lists. Prefixes can be combined; the
outermost processes a request first. Each wrapped recommender has a separate fingerprint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, cast

from pydantic import JsonValue

from auditkit.catalog.dataset import Dataset
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.prompting.attribute_phrases import known_values, shipped_wordings
from auditkit.recommenders.protocols import Recommends, Remote, Renders
from auditkit.recommenders.target_uri import Prefix, recommender_of
from auditkit.recommenders.wrappers.canonicalization import Canonicalizer
from auditkit.recommenders.wrappers.edited_requests import EditedRequests
from auditkit.recommenders.wrappers.exposure_reranking import Reranked
from auditkit.recommenders.wrappers.item_groups import Grouping, group_items
from auditkit.recommenders.wrappers.item_screen import (
    rules_sha256,
    screened_lines,
    screened_request,
    screened_turn,
)
from auditkit.recommenders.wrappers.masked_vote import KEPT_SHARE, MaskedVote
from auditkit.recommenders.wrappers.neutralization import Neutralizer
from auditkit.recommenders.wrappers.title_snapping import FLOOR, TitleSnapper
from auditkit.types import Request

__all__ = ["INSTRUCTION", "Wrapped", "wrap"]

INSTRUCTION = (
    "Ignore everything personal that is stated about the person who asks, such as gender, age, "
    "origin, religion or occupation.\n"
)

_COPIES = 50  # of a request, by default
_MOST_TITLES = 200_000  # up to this number, titles are searched for phrases in seconds


class Wrapped(NamedTuple):
    """A wrapper around a recommender.

    Attributes:
        settings: all settings that affect the responses, for the fingerprint.
        note: shown in the report.
    """

    recommender: object
    settings: JsonValue
    note: str


def wrap(prefix: Prefix, inner: object, dataset: Dataset) -> Wrapped:
    """Apply the wrapper of a prefix to a recommender.

    Args:
        dataset: provides the users' attributes and histories.

    Raises:
        TargetUnavailable: the options are unknown, or the wrapper does not support the recommender.
    """
    name = f"{prefix.name}:{getattr(inner, 'name', prefix.target)}"
    options = _options(prefix)
    if prefix.name == "reranked":
        return _reranked(prefix, options, name, inner, dataset)
    if recommender_of(prefix.target).startswith("replay:"):
        raise TargetUnavailable(
            f"{prefix.name}: cannot change the requests of recorded responses. Wrap the "
            "recommender when the responses are recorded."
        )
    if prefix.name == "neutralized":
        return _neutralized(options, name, inner, dataset)
    if prefix.name == "canonical":
        return _canonical(name, inner, dataset)
    if prefix.name == "snapped":
        return _snapped(options, name, inner, dataset)
    if prefix.name == "screened":
        return _screened(name, inner)
    if prefix.name == "voted":
        return _voted(options, name, inner)
    return _instructed(name, inner)


def _options(prefix: Prefix) -> dict[str, str]:
    """The options in the brackets of a prefix."""
    known = {
        "neutralized": "allow", "reranked": "groups", "snapped": "floor", "voted": "copies",
    }.get(prefix.name)  # fmt: skip
    key, equals, value = prefix.options.partition("=")
    if not prefix.options:
        return {}
    if key != known or not equals or not value:
        form = f"{prefix.name}({known}=..):TARGET" if known else f"{prefix.name}:TARGET"
        raise TargetUnavailable(f"{prefix.name}({prefix.options}) is not valid. Write {form}.")
    return {key: value}


def _neutralized(options: dict[str, str], name: str, inner: object, dataset: Dataset) -> Wrapped:
    allow = sorted(set(options["allow"].split(","))) if options else []
    values = known_values(dataset.interactions.attributes)
    items = dataset.catalog.items
    searched = items if len(items) <= _MOST_TITLES else ()
    titles = (title for item in searched for title in (item.title, item.display_title))
    neutralizer = Neutralizer(shipped_wordings(), values, allow=allow, catalog=titles)
    recommender = EditedRequests(
        name, inner, request=neutralizer.request, text=neutralizer.text, turn=neutralizer.request
    )
    note = "Phrases that state an attribute are replaced before the recommender reads a request"
    kept = f", except {' and '.join(allow)}" if allow else ""
    settings: JsonValue = ["neutralized", [*allow], [*neutralizer.patterns], [*neutralizer.titles]]
    note = f"{note}{kept}: invariance to these phrases is by construction."
    if len(searched) < len(items):
        note += " The catalog has too many titles to protect all of them from editing in requests."
    return Wrapped(recommender, settings, note)


def _instructed(name: str, inner: object) -> Wrapped:
    def request(asked: Request) -> Request:
        return replace(asked, prompt=INSTRUCTION + asked.prompt)

    def turn(asked: Request) -> Request:
        """The conversation with the instruction before the first words of the user."""
        for i, message in enumerate(asked.messages):
            if message.role == "user":
                first = replace(message, content=INSTRUCTION + message.content)
                return replace(
                    asked, messages=(*asked.messages[:i], first, *asked.messages[i + 1 :])
                )
        return request(asked)

    recommender = EditedRequests(
        name, inner, request=request, text=lambda text: INSTRUCTION + text, turn=turn
    )
    note = f"Every request begins with: {INSTRUCTION.strip()}"
    return Wrapped(recommender, ["instructed", INSTRUCTION], note)


def _canonical(name: str, inner: object, dataset: Dataset) -> Wrapped:
    canonicalizer = Canonicalizer(dataset.catalog.titles)
    recommender = EditedRequests(
        name,
        inner,
        request=canonicalizer.request,
        text=canonicalizer.text,
        turn=canonicalizer.request,
    )
    note = (
        "Invisible characters are removed from requests, and look-alike letters are replaced by "
        "ASCII letters (UTS 39) before the recommender reads them."
    )
    return Wrapped(recommender, ["canonical", dataset.catalog.fingerprint], note)


def _snapped(options: dict[str, str], name: str, inner: object, dataset: Dataset) -> Wrapped:
    stated = options.get("floor", str(FLOOR))
    if not _is_fraction(stated):
        raise TargetUnavailable(
            f"snapped(floor={stated}) is not valid. Give a similarity between 0 and 1."
        )
    floor = float(stated)
    titles = [item.display_title for item in dataset.catalog.items]
    snapper = TitleSnapper(titles, floor=floor)
    recommender = EditedRequests(name, inner, request=snapper.request, text=lambda text: text)
    note = (
        "Titles in requests that are not in the catalog are replaced by the most similar title "
        f"of the catalog, if the similarity is at least {floor:g}."
    )
    return Wrapped(recommender, ["snapped", floor, dataset.catalog.fingerprint], note)


def _screened(name: str, inner: object) -> Wrapped:
    recommender = EditedRequests(
        name, inner, request=screened_request, text=screened_lines, turn=screened_turn
    )
    note = (
        "Sentences that order, imitate a role or praise without measure are removed from the texts "
        "of items and the results of tools before the recommender reads them."
    )
    return Wrapped(recommender, ["screened", rules_sha256()], note)


def _voted(options: dict[str, str], name: str, inner: object) -> Wrapped:
    stated = options.get("copies", str(_COPIES))
    if not stated.isdecimal() or int(stated) < 1:
        raise TargetUnavailable(
            f"voted(copies={stated}) is not valid. Give a number of at least 1."
        )
    if not isinstance(inner, Recommends) or not isinstance(inner, Renders):
        raise TargetUnavailable(
            f"{name} needs a recommender that returns lists and renders its own prompts."
        )
    if isinstance(inner, Remote):
        raise TargetUnavailable(
            f"{name} needs a local recommender. Apply the vote on the server, and audit the "
            "server as an endpoint."
        )
    copies = int(stated)
    recommender = MaskedVote(name, inner, instruction=inner.prompts.recommend[0], copies=copies)
    note = (
        f"Every list is the vote of up to {copies} copies of the request, each with "
        f"{KEPT_SHARE:.0%} of the words of its instruction."
    )
    return Wrapped(recommender, ["voted", copies, KEPT_SHARE], note)


def _is_fraction(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _reranked(
    prefix: Prefix, options: dict[str, str], name: str, inner: object, dataset: Dataset
) -> Wrapped:
    by = options.get("groups", "popularity")
    try:
        weight = float(prefix.argument)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf") or by not in ("popularity", "genre"):
        raise TargetUnavailable(
            f"reranked({prefix.options}):{prefix.argument}: is not valid. Write "
            "reranked:LAMBDA:TARGET with a number of at least 0, or "
            "reranked(groups=genre):LAMBDA:TARGET for genres instead of popularity."
        )
    if not isinstance(inner, Recommends) or isinstance(inner, Remote):
        raise TargetUnavailable(
            f"{prefix.target} returns no lists with scores, which re-ranking needs. Wrap a local "
            "recommender that ranks items."
        )
    users = range(len(dataset.interactions.user_ids))
    histories = [dataset.interactions.history(user, until="test") for user in users]
    groups = group_items(dataset, cast(Grouping, by), histories)
    recommender = Reranked(name, inner, groups, weight=weight)
    note = f"Lists are re-ranked by the exposure of {by} groups with weight {weight:g}."
    return Wrapped(recommender, ["reranked", by, weight, dataset.fingerprint], note)
