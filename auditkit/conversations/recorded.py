"""Read recorded dialogues from JSON lines, so that the user's turns can be repeated.

The recorded answers of the assistant are left out: the audited assistant gives its own. Four forms
are recognized by their keys: `turns` (auditkit's own), `messages` with roles (OpenAI), a list
`conversations` of `from` and `value` (ShareGPT), and ReDial with `senderWorkerId`.

Source: ReDial (Li et al. 2018), whose texts name items as `@ID` with titles in `movieMentions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from auditkit.catalog.catalog import Catalog
from auditkit.conversations.scenario import Scenario, Turn
from auditkit.errors import ConfigurationError
from auditkit.serialization.canonical_json import read_json
from auditkit.serialization.text_lines import read_lines

__all__ = ["RecordedDialogue", "read_recorded", "with_known_items"]

_USER = ("user", "human", "seeker")
_MENTION = re.compile(r"@(\d+)")
_FORMS = "`turns`, `messages`, or `conversations`; see docs/how-to/audit-a-conversation.md"


class _Said(NamedTuple):
    """One recorded turn."""

    is_user: bool
    text: str
    rejected: tuple[str, ...] = ()


class RecordedDialogue(NamedTuple):
    """The user's side of one recorded dialogue.

    Attributes:
        id: id of the dialogue or, if it has none, its number in the file.
        turns: for each turn of the user, its text and the rejected items (titles or ids).
    """

    id: str
    turns: tuple[tuple[str, tuple[str, ...]], ...]


def read_recorded(path: Path) -> tuple[RecordedDialogue, ...]:
    """Read the dialogues of a file with one JSON object per line.

    Raises:
        ConfigurationError: the file does not exist or has no dialogue, or a line has none of the
            known formats.
    """
    hint = "Give JSON lines with one dialogue each."
    lines = read_lines(path, what="a file of recorded dialogues", hint=hint)
    found = [_dialogue(path, n, line) for n, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ConfigurationError(f"{path} contains no dialogue. {hint}")
    return tuple(found)


def _dialogue(path: Path, number: int, line: str) -> RecordedDialogue:
    try:
        fields = read_json(line)
        said = list(_form_of(fields)(fields))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}:{number} is not a recorded dialogue ({error}). Write a JSON object with "
            f"{_FORMS}."
        ) from None
    turns = []
    for is_user, parts in groupby(said, key=lambda one: one.is_user):
        listed = list(parts)
        text = "\n".join(one.text for one in listed).strip()
        if is_user and text:
            turns.append((text, tuple(item for one in listed for item in one.rejected)))
    if not turns:
        raise ConfigurationError(
            f"{path}:{number} has no turn with the role `user`. Write `user` as the role of the "
            "user's turns, or remove the line."
        )
    name = fields.get("id", fields.get("conversationId"))
    return RecordedDialogue(f"line-{number}" if name is None else str(name), tuple(turns))


def _form_of(fields: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Iterator[_Said]]:
    if "turns" in fields:
        return lambda one: _by_role(one["turns"], "role", "content")
    if "conversations" in fields:
        return lambda one: _by_role(one["conversations"], "from", "value")
    if "initiatorWorkerId" in fields:
        return _redial
    if "messages" in fields:
        return lambda one: _by_role(one["messages"], "role", "content")
    raise ValueError(f"its keys are {', '.join(map(str, fields)) or 'none'}")


def _by_role(turns: Sequence[Mapping[str, Any]], role: str, text: str) -> Iterator[_Said]:
    for turn in turns:
        rejected = turn.get("rejected", ())
        if not isinstance(turn[text], str) or isinstance(rejected, str):
            raise TypeError(f"`{text}` must be a string and `rejected` a list")
        if turn[role] not in ("system", "tool"):
            yield _Said(turn[role] in _USER, turn[text], tuple(map(str, rejected)))


def _redial(fields: Mapping[str, Any]) -> Iterator[_Said]:
    """Read a ReDial dialogue. The user is the worker who started it; item references are replaced
    by titles.
    """
    mentions = fields.get("movieMentions") or {}
    for message in fields["messages"]:
        text = _MENTION.sub(lambda m: mentions.get(m[1]) or m[0], message["text"])
        yield _Said(message["senderWorkerId"] == fields["initiatorWorkerId"], text)


def with_known_items(
    dialogues: Sequence[RecordedDialogue], catalog: Catalog, *, k: int
) -> tuple[Scenario, ...]:
    """Build scenarios that repeat the user's turns of recorded dialogues.

    Args:
        catalog: links the rejected items; items that are not in the catalog are left out.
        k: largest number of items that are parsed from an answer.

    Raises:
        ConfigurationError: a text exceeds the maximum length of a turn.
    """
    found = []
    for number, one in enumerate(dialogues, 1):
        try:
            turns = [
                Turn(user=text, k=k, forbids=tuple(_ids(rejected, catalog)))
                for text, rejected in one.turns
            ]
            found.append(Scenario(id=f"recorded-{number}", turns=tuple(turns)))
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigurationError(
                f"the recorded dialogue {one.id!r} cannot be used: {first['msg']}. Shorten or "
                "remove the dialogue."
            ) from None
    return tuple(found)


def _ids(rejected: Sequence[str], catalog: Catalog) -> Iterator[str]:
    for text in rejected:
        item_id = text if text in catalog.index else catalog.link([text])[0].item_id
        if item_id is not None:
            yield item_id
