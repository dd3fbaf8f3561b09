"""Fake recommenders that leak what they were trained on, and a list of canaries for them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from planted_recommenders import Clean, chance
from small_world import world

from auditkit.privacy.canary_file import CanaryFile
from auditkit.training.canaries import draw_canaries
from auditkit.training.recipe import CanaryRecipe

N_CANARIES = 200
_FOLDER = tempfile.TemporaryDirectory()


@cache
def canaries() -> CanaryFile:
    """200 canaries of 5 items each."""
    ids = world().interactions.item_ids
    drawn = draw_canaries(CanaryRecipe(count=N_CANARIES, length=5), ids, np.random.default_rng(1))
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
