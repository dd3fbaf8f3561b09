"""The training loop against a bare PyTorch loop on the same batches, and length buckets against
naive padding.

    python tests/bench/training.py

CPU time, median of interleaved rounds in one run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.shipped_recipes import find_recipe
from auditkit.training.loop import train, training_rows
from auditkit.training.model import prepare
from auditkit.training.recipe_checks import read_training_recipe
from auditkit.training.rows.batches import collate, n_tokens

ROUNDS, STEPS = 9, 40


def recipe_of(name):
    recipe = read_training_recipe(find_recipe(name, kind="train"))
    return recipe.model_copy(update={"steps": STEPS, "checkpoint_every": 10**6})


def ours(recipe, dataset):
    """CPU seconds of the steps alone, as `manifest.json` counts them."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            recipe, Path(folder), dataset=dataset, on_step=lambda r: seconds.append(r.cpu_seconds)
        )
    return seconds[-1]


def bare(recipe, dataset):
    """What a script would do: rows, padding, loss, backward, clip, AdamW."""
    torch.set_num_threads(recipe.threads)
    trainee = prepare(recipe, dataset, base=None)
    rows, model = training_rows(recipe, dataset, trainee), trainee.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.98), weight_decay=0.1)
    stream, pad = rows.batches(recipe.tasks, first_step=0), trainee.tokenizer.pad_token_id
    begin = time.process_time()
    for _ in range(STEPS):
        batch = collate(next(stream), pad=pad)
        predicted = batch.targets != -100
        hidden = model.model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False,
            position_ids=(batch.attention_mask.cumsum(1) - 1).clamp(min=0),
        ).last_hidden_state[:, -predicted.shape[1] - 1 : -1][predicted]  # fmt: skip
        losses = torch.nn.functional.cross_entropy(
            model.lm_head(hidden), batch.targets[predicted], reduction="none"
        )
        owner = predicted.nonzero()[:, 0]
        sums = torch.zeros(len(predicted)).index_add(0, owner, losses)
        loss = (sums / predicted.sum(dim=1)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return time.process_time() - begin


def overhead(dataset):
    recipe = recipe_of("p5-mini")
    ours(recipe, dataset), bare(recipe, dataset)  # warm
    times = [(ours(recipe, dataset), bare(recipe, dataset)) for _ in range(ROUNDS)]
    own, plain = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"loop: {own:.2f} CPU s for {STEPS} steps of p5-mini, bare PyTorch {plain:.2f}: "
        f"{own / plain - 1:+.1%} (median of {ROUNDS} interleaved rounds)"
    )


def padding(dataset):
    for name in ("p5-mini", "titles-mini"):
        recipe = recipe_of(name)
        plain = training_rows(recipe, dataset, prepare(recipe, dataset, base=None))
        for label, rows in (("naive", plain), ("buckets", replace(plain, bucketing=True))):
            stream, real, padded = rows.batches(recipe.tasks, first_step=0), 0, 0
            for _ in range(200):
                sizes = [n_tokens(row) for row in next(stream)]
                real, padded = real + sum(sizes), padded + max(sizes) * len(sizes)
            print(f"padding of {name}, {label}: {1 - real / padded:.1%} of {padded:,} positions")


if __name__ == "__main__":
    data = open_dataset("ml-100k")
    padding(data)
    overhead(data)
