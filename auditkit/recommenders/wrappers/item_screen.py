"""Remove sentences from the texts of items that address the model instead of describing the item.

A seller can write an order to the model into a title or a description. Rules
(`injection_rules.yaml`) find orders about the ranking, overrides of the instructions, imitated
roles and delimiters, and self-superlatives. Each match is removed up to the end of its sentence.
Only the texts of items are screened: those of the history and the candidates, the lines of a prompt
that list something, and in a conversation the results of tools. The instruction, which gives orders
too, stays as it is.

Rules find what they know. An order in other words passes; docs/explain/robustness.md shows how
often.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files

import yaml

from auditkit.recommenders.wrappers.edited_titles import with_titles
from auditkit.security.redaction import map_text
from auditkit.types import Request

__all__ = [
    "REMOVED",
    "rules_sha256",
    "screened",
    "screened_lines",
    "screened_request",
    "screened_turn",
]

REMOVED = "[text removed]"  # in place of a text of which nothing is left
_LISTED = re.compile(r"^(\s*(?:[-*\u2022]|\d{1,3}[.)])\s+)(.*)$", re.MULTILINE)
_EDGES = " -\u2013\u2014:,;|\t"
_REMEMBERED = 100_000


def _written_rules() -> str:
    return (files(__package__) / "injection_rules.yaml").read_text(encoding="utf-8")


def rules_sha256() -> str:
    """SHA-256 of the rules, for the fingerprint of a screened recommender."""
    return sha256(_written_rules().encode()).hexdigest()


@cache
def _rules() -> re.Pattern[str]:
    """One expression for all rules, up to the end of the sentence."""
    rules = [rule for family in yaml.safe_load(_written_rules()).values() for rule in family]
    return re.compile(rf"(?:{'|'.join(rules)})[^.!?\n]*[.!?]*", re.IGNORECASE)


@lru_cache(maxsize=_REMEMBERED)
def screened(text: str) -> str:
    """The text without sentences that address the model; an unchanged text if there are none."""
    kept = _rules().sub(" ", text)
    if kept == text:
        return text
    return " ".join(kept.split()).strip(_EDGES) or REMOVED


def screened_lines(prompt: str) -> str:
    """The prompt with screened list entries; its other lines are kept."""
    return _LISTED.sub(lambda line: line[1] + screened(line[2]), prompt)


def screened_request(request: Request) -> Request:
    """The request with screened texts of items, in its items and its texts; ids are kept."""
    edited = with_titles(request, screened)
    return replace(
        edited,
        instruction=screened_lines(edited.instruction),
        messages=tuple(
            replace(turn, content=screened_lines(turn.content)) for turn in edited.messages
        ),
        prompt=screened_lines(edited.prompt),
    )


def screened_turn(request: Request) -> Request:
    """The conversation with screened results of tools; the other turns as in
    `screened_request`.
    """
    edited = screened_request(request)
    return replace(
        edited,
        messages=tuple(
            replace(turn, content=_screened_result(turn.content)) if turn.role == "tool" else turn
            for turn in edited.messages
        ),
    )


def _screened_result(content: str) -> str:
    """The result of a tool with every text in it screened; JSON stays JSON."""
    try:
        value = json.loads(content)
    except ValueError:
        return _screened_text(content)
    kept = map_text(value, _screened_text)
    return content if kept == value else json.dumps(kept, ensure_ascii=False)


def _screened_text(text: str) -> str:
    return "\n".join(map(screened, text.split("\n")))
