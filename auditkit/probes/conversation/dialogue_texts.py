"""Texts of the conversations, from `dialogue_texts.yaml`, in the words of a domain."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from auditkit.conversations.scenario import Scenario
from auditkit.domains.pack import DomainPack
from auditkit.recommenders.execution.target import Target
from auditkit.security.redaction import map_text
from auditkit.types import Item, Message

__all__ = ["dialogue_texts", "filled", "opening_of", "titles_of"]

_LATEST = 3


@cache
def _shipped() -> dict[str, Any]:
    text = (files("auditkit.probes.conversation") / "dialogue_texts.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def dialogue_texts(pack: DomainPack) -> dict[str, Any]:
    """All texts, with the nouns of the domain."""
    words: dict[str, Any] = map_text(_shipped(), pack.filled)
    return words


def filled(template: str, **slots: str) -> str:
    """The template with its slots; a slot that is not given stays as it is."""
    for name, text in slots.items():
        template = template.replace("{" + name + "}", text)
    return template


def titles_of(history: tuple[Item, ...]) -> str:
    """The latest titles of a history in one line."""
    return ", ".join(item.title for item in history[-_LATEST:]) or "nothing so far"


def opening_of(target: Target, scenario: Scenario, *, tools: bool = False) -> tuple[Message, ...]:
    """The turns before the first one of the user: the recommender's own system text, then that of
    the scenario or the shipped one, with the facts that the assistant may use.
    """
    texts = dialogue_texts(target.pack)
    own = target.prompts.opening()
    said = [turn.content for turn in own if turn.role == "system"]
    said.append(scenario.system or texts["system"])
    if tools:
        said.append(texts["tools"])
    said += scenario.facts
    system = Message("system", "\n".join(said))
    return (system, *(turn for turn in own if turn.role != "system"))
