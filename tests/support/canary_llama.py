"""A tiny random Llama that is trained on users and canaries in seconds, without the training loop.

Prompt and targets are those of the audit, so what is tested is the audit and not the recipe.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from run_probe import target_for
from small_folder import save
from small_world import world

from auditkit.privacy.canary_file import CanaryFile
from auditkit.privacy.canary_planting import draw_canaries
from auditkit.probes.base import Context, load_users
from auditkit.probes.privacy.records import canary_record, training_record
from auditkit.recommenders.adapters.list_recommender import LanguageModelRecommender
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.types import Item

IDS = tuple(world().interactions.item_ids)
N_USERS = len(world().interactions.user_ids)
# Short, because a step takes as long as its tokens.
PROMPTS = """history: item_tokens
recommend: ["For {who}: {history}"]
describe: ["Describe {item}."]
description: " {genres} {year}"
"""
_FOLDER = tempfile.TemporaryDirectory()


def coins(seed: int, *, count: int = 200, repeats: int = 4) -> tuple[CanaryFile, str]:
    """Canaries of 5 items with the coins of a seed, and the path of their file."""
    drawn = draw_canaries(IDS, count=count, length=5, rng=np.random.default_rng(seed))
    listed = CanaryFile(drawn, repeats, {"recipe_sha256": "0" * 64, "data_sha256": "0" * 64})
    path = Path(_FOLDER.name) / f"{seed}-{count}.canaries.jsonl"
    listed.write(path)
    return listed, str(path)


def manifest(held_out: tuple[str, ...] = ()) -> dict[str, object]:
    return {"training": {"fit": "all_but_test", "holdout_users": list(held_out)},
            "decoding": {"history_window": 8}}  # fmt: skip


def fresh(seed: int) -> LanguageModelRecommender:
    """A model with random weights of this seed."""
    folder = Path(_FOLDER.name) / "random"
    if not folder.exists():
        folder.mkdir()
        (folder / "prompts.yaml").write_text(PROMPTS)
        save(folder, window=8, prompt="prompts.yaml")
    model = load_folder(folder, world())
    assert isinstance(model, LanguageModelRecommender)
    torch.manual_seed(seed)
    model.model.apply(_reset)
    return model


def trained(
    seed: int,
    *,
    canaries: CanaryFile | None = None,
    held_out: tuple[str, ...] = (),
    steps: int = 150,
    learning_rate: float = 1e-2,
) -> LanguageModelRecommender:
    """A model that saw the users that are not held out, and the planted canaries."""
    model = fresh(seed)
    with tempfile.TemporaryDirectory() as folder:
        target = target_for(model, Path(folder))
        context = Context(world(), 0, "none", manifest(held_out), load_users(world()))
        records = [
            training_record(user, target, context)
            for user in context.users
            if user.id not in held_out
        ]
        for canary in canaries.canaries if canaries else ():
            items = [Item(item, world().catalog[item].display_title) for item in canary.items]
            if canary.planted:
                records += [canary_record(canary.id, items, target)] * canaries.repeats
    pairs = model._pairs([r.request.prompt for r in records], [[r.continuation] for r in records])
    _fit(model.model, pairs, seed=seed, steps=steps, learning_rate=learning_rate)
    return model


def _fit(model, pairs, *, seed, steps, learning_rate):
    longest = max(len(prompt) + len(text) for prompt, text in pairs)
    ids = torch.zeros((len(pairs), longest), dtype=torch.long)
    labels = torch.full((len(pairs), longest), -100)
    for row, (prompt, text) in enumerate(pairs):
        ids[row, : len(prompt) + len(text)] = torch.tensor([*prompt, *text])
        labels[row, len(prompt) : len(prompt) + len(text)] = torch.tensor(text)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, steps)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(steps):
        chosen = torch.rand(len(pairs), generator=generator) < 0.25
        optimizer.zero_grad()
        model(input_ids=ids[chosen], labels=labels[chosen]).loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


def _reset(module: torch.nn.Module) -> None:
    if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
        torch.nn.init.normal_(module.weight, std=0.05)
