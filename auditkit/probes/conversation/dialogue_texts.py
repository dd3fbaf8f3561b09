"""Texts of the conversations, from `dialogue_texts.yaml`, with the nouns of a domain."""

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
    """Return the texts of `dialogue_texts.yaml`, with the nouns of the domain in place of slots
    such as `[items]`.
    """
    words: dict[str, Any] = map_text(_shipped(), pack.filled)
    return words


def filled(template: str, **slots: str) -> str:
    """Fill the slots of a template; slots without a value remain in the text."""
    for name, text in slots.items():
        template = template.replace("{" + name + "}", text)
    return template


def titles_of(history: tuple[Item, ...]) -> str:
    """Join the latest titles of a history in one line."""
    return ", ".join(item.title for item in history[-_LATEST:]) or "nothing so far"


def opening_of(target: Target, scenario: Scenario, *, tools: bool = False) -> tuple[Message, ...]:
    """Return the turns before the first user turn.

    These are the recommender's own system text and then the system text of the scenario, or the
    shipped one, with the facts that the assistant may use.
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
