"""Train the private recipes at several epsilons and units, evaluate them on all users, and write
the table of `docs/explain/private-recommenders.md`.

What `models/private/` holds with its evaluation is taken as it is, so a stopped run goes on.
`--finished` trains nothing and writes the models that are there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from writing import shown, write_between

from auditkit.cli.train import evaluate_folder, train_folder
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.shipped_recipes import find_recipe
from auditkit.training.recipe_checks import read_training_recipe
from auditkit.types import AuditResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain" / "private-recommenders.md"
FOLDER = Path("models/private")
EPSILONS = (8.0, 3.0, 1.0)
SYNTHETIC = {
    "target": "one interaction as a target, with the {lags} before it",
    "window": "{window} consecutive interactions",
    "user": "user",
}
DP_SGD = {"example": "one row: a window of {window} items", "user": "user"}


def variants():
    """Name, route, unit in words, and recipe of every model."""
    plain = read_training_recipe(find_recipe("p5-mini", kind="train"))
    yield "p5-mini", "without privacy", "", plain
    base = read_training_recipe(find_recipe("p5-mini-synthetic", kind="train"))
    for unit, words in SYNTHETIC.items():
        for epsilon in EPSILONS:
            settings = base.data.synthetic.model_copy(update={"unit": unit, "epsilon": epsilon})
            data = base.data.model_copy(update={"synthetic": settings})
            said = words.format(lags=settings.lags, window=settings.window)
            name = f"synthetic-{unit}-{epsilon:g}"
            yield name, "synthetic histories", said, base.model_copy(update={"data": data})
    for shipped, route in (
        ("p5-mini-dp", "DP-SGD from random weights"),
        ("p5-mini-public-dp", "DP-SGD from catalog-mini"),
    ):
        base = read_training_recipe(find_recipe(shipped, kind="train"))
        for unit, words in DP_SGD.items():
            for epsilon in EPSILONS:
                # A step expects as many users as it would rows, if there are so many.
                batch = base.privacy.expected_batch if unit == "example" else 64
                privacy = base.privacy.model_copy(
                    update={"unit": unit, "epsilon": epsilon, "expected_batch": batch}
                )
                said = words.format(window=base.data.window)
                name = f"{shipped}-{unit}-{epsilon:g}"
                yield name, route, said, base.model_copy(update={"privacy": privacy})


def evaluated(name, recipe):
    folder = FOLDER / name
    done = folder / "evaluation" / "result.json"
    if not done.is_file():
        train_folder(recipe.model_copy(update={"name": name}), folder, quiet=True)
        evaluate_folder(folder, quiet=True)
    result = AuditResult.from_json(done.read_text(encoding="utf-8"))
    return {(f.metric, f.group): f.estimate for f in result.findings}, folder


def main():
    lines = [
        "| route | unit | units | epsilon (PRV) | HR@10 | NDCG@10 |",
        "|---|---|---|---|---|---|",
    ]
    reference = None
    for name, route, unit, recipe in variants():
        if "--finished" in sys.argv and not (FOLDER / name / "evaluation/result.json").is_file():
            continue
        found, folder = evaluated(name, recipe)
        hr, ndcg = (found["utility.ranking." + m, "all"] for m in ("hr@10", "ndcg@10"))
        claim = RecommenderManifest.read(folder).privacy
        size, epsilon = (f"{claim.n_units:,}", f"{claim.epsilon:.2f}") if claim else ("", "none")
        lines.append(f"| {route} | {unit} | {size} | {epsilon} | {shown(hr)} | {shown(ndcg)} |")
        print(lines[-1], flush=True)
        reference = reference or found
    hr, ndcg = (
        reference["utility.ranking." + m, "baseline=popularity"] for m in ("hr@10", "ndcg@10")
    )
    lines.append(f"| popularity (counts) | | | none | {shown(hr)} | {shown(ndcg)} |")
    write_between(PAGE, "private routes", lines)


if __name__ == "__main__":
    main()
