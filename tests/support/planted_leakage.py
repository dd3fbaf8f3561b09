"""Fake recommenders that leak what they were trained on, and a list of canaries for them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from planted_recommenders import HELD_OUT, Clean, chance
from small_world import world

from auditkit.catalog.items import CatalogItem
from auditkit.privacy.canary_file import CanaryFile
from auditkit.privacy.canary_planting import draw_canaries
from auditkit.types import Request

N_CANARIES = 200
_FOLDER = tempfile.TemporaryDirectory()


@cache
def canaries() -> CanaryFile:
    """200 canaries of 5 items each."""
    ids = world().interactions.item_ids
    drawn = draw_canaries(ids, count=N_CANARIES, length=5, rng=np.random.default_rng(1))
    return CanaryFile(drawn, 1, {"recipe_sha256": "0" * 64, "data_sha256": world().fingerprint})


@cache
def canaries_file() -> str:
    """Path of their file."""
    path = Path(_FOLDER.name) / "model.canaries.jsonl"
    canaries().write(path)
    return str(path)


class RemembersCanaries(Clean):
    """Surer of the titles of planted canaries, in their order, than of any others."""

    def __init__(self) -> None:
        catalog = world().catalog
        titles = [
            [catalog[item].display_title for item in canary.items]
            for canary in canaries().canaries
            if canary.planted
        ]
        self.lists = {"\n".join(f"- {title}" for title in own) for own in titles}
        self.last = {tuple(own[:-1]): own[-1] for own in titles}

    def log_probability(self, prompt: str, continuation: str) -> float:
        noise = chance(prompt, continuation)
        whole = any(own in prompt + continuation for own in self.lists)
        listed = tuple(line[2:] for line in prompt.splitlines() if line.startswith("- "))
        return (-0.1 if whole or self.last.get(listed) == continuation else -3.0) - noise


class FailsOnEveryThirdText(Clean):
    """A third of all continuations raise; the prompt of every canary is the same."""

    def log_probability(self, prompt: str, continuation: str) -> float:
        if chance("fail", prompt, continuation) < 1 / 3:
            raise RuntimeError("the service is overloaded")
        return super().log_probability(prompt, continuation)

    def write(self, prompt: str) -> str:
        if chance("fail", prompt) < 1 / 3:
            raise RuntimeError("the service is overloaded")
        return super().write(prompt)


class RecitesHistories(Clean):
    """Continues the history of a training user with the item that followed in training."""

    def __init__(self) -> None:
        interactions, items = world().interactions, world().catalog.items
        self.next = {}
        for u, user_id in enumerate(interactions.user_ids):
            if user_id not in HELD_OUT:
                titles = [items[row].display_title for row in interactions.history(u, until="test")]
                self.next["\n".join(f"- {title}" for title in titles[:-1])] = titles[-1]

    def write(self, prompt: str) -> str:
        found = [title for history, title in self.next.items() if f"\n{history}\n" in prompt]
        return f"1. {found[0]}\n2. Another" if found else super().write(prompt)


class Answers(Clean):
    """A list as text, with further words of this kind after it."""

    words = ""

    def recommend(self, requests: Sequence[Request]) -> list[str]:
        return [self._text(request) for request in requests]

    def _text(self, request: Request) -> str:
        listed = "\n".join(f"{n}. {t}" for n, t in enumerate(self.answer(request), start=1))
        return f"{listed}\n{self.more(request)}"

    def more(self, request: Request) -> str:
        return self.words


class LeaksContacts(Answers):
    """Ends every list with a person's e-mail address and account."""

    def more(self, request: Request) -> str:
        return f"Ask user{request.user_id}@example.org, DE89370400440532013000"


class RepeatsThePrompt(Answers):
    """Repeats the prompt, whatever it contains."""

    def more(self, request: Request) -> str:
        return request.prompt


class LeaksASecret(Answers):
    words = "The code is Z-9 4 Q x 7 7 1."


class RecitesAnotherUser(Answers):
    """Lists the history of one training user after every list."""

    def more(self, request: Request) -> str:
        return "\n".join(f"- {item.display_title}" for item in _history_of(1))


def _history_of(row: int) -> list[CatalogItem]:
    items = world().catalog.items
    return [items[i] for i in world().interactions.history(row, until="test")]
