"""What the canary audit finds in models with and without differential privacy, by seed.

    python tests/bench/canaries.py [--seeds 20]

Each seed trains tiny models through the training loop, with new coins and new noise, and audits
them with the probe privacy.canary. A bound above the claimed epsilon may occur in 5 % of seeds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from run_probe import run_probe
from small_world import world
from training_recipes import small_model, small_recipe

from auditkit.privacy.canary_file import canary_path
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.training.loop import train
from auditkit.training.recipe import CanaryRecipe, OptimizerRecipe, PrivacyRecipe

# name: (epsilon or None, copies of a planted canary, steps)
ARMS = {
    "no DP, 4 copies": (None, 4, 400),
    "epsilon 8": (8.0, 1, 100),
    "epsilon 3": (3.0, 1, 100),
    "epsilon 1": (1.0, 1, 100),
}


def audited(name: str, seed: int, folder: Path):
    epsilon, repeats, steps = ARMS[name]
    privacy = None
    if epsilon is not None:
        privacy = PrivacyRecipe(
            mechanism="dp_sgd", epsilon=epsilon, expected_batch=64, physical_batch=128
        )
    recipe = small_recipe(
        seed=seed,
        steps=steps,
        model=small_model(width=32, dropout=0.0),
        tasks={"recommend": 64},
        privacy=privacy,
        canaries=CanaryRecipe(count=200, repeats=repeats, length=5),
    )
    optimizer = OptimizerRecipe(learning_rate=8e-3, warmup_steps=10, weight_decay=0.0)
    recipe = recipe.model_copy(update={"optimizer": optimizer})
    out = train(recipe, folder / f"m{seed}", dataset=world())
    model = load_folder(out)
    declared = model.manifest.model_dump(mode="json", exclude_none=True)
    run = run_probe(
        "privacy.canary", model, manifest=declared, canaries_file=str(canary_path(out)),
        n_exposure=20,
    )  # fmt: skip
    lower = run.one("privacy.canary.epsilon_lower")
    return (
        lower.estimate.value,
        lower.baseline.value,
        run.one("privacy.canary.auc").estimate.value,
        lower.parameters.get("claimed_epsilon"),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{'model':<18} {'bound: median':>13} {'min':>6} {'max':>6} {'ceiling':>8} {'AUC':>6} "
          f"{'above claim':>12} {'s per seed':>11}")  # fmt: skip
    for name in ARMS:
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            rows = [audited(name, seed, Path(folder)) for seed in range(seeds)]
        bounds, ceilings, aucs, claims = zip(*rows, strict=True)
        above = "-"
        if claims[0] is not None:
            above = f"{sum(b > c for b, c in zip(bounds, claims, strict=True))} of {seeds}"
        spent = (time.process_time() - started) / seeds
        print(f"{name:<18} {np.median(bounds):>13.2f} {min(bounds):>6.2f} {max(bounds):>6.2f} "
              f"{np.median(ceilings):>8.2f} {np.median(aucs):>6.3f} {above:>12} {spent:>11.1f}",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
