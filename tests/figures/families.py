"""Train every shipped recipe, evaluate it on all users and the full catalog, and write the tables
of `docs/explain/families.md` (`make figures`).

What `models/` holds with its evaluation is taken as it is, so a stopped run goes on; delete a
folder to make it anew. `--indexing` adds the comparison of item indexings, three seeds each.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
from pathlib import Path

from writing import shown, write_between
from zero_shot import untrained_base

from auditkit.cli.train import evaluate_folder, train_folder
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.training.recipe_checks import read_training_recipe
from auditkit.types import AuditResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain" / "families.md"
LISTS = (
    "p5-mini", "p5-clusters", "p5-t5-mini", "instruct-mini", "pretrain-mini", "prompt-tuning-mini",
    "titles-mini", "dual-encoder-mini", "p5-mini-dp",
)  # fmt: skip
BASELINES = ("popularity", "item-knn", "item-knn-recent", "ease", "transitions")
SEEDS = (0, 1, 2)


def evaluated(recipe, folder):
    """Findings by (metric, group), and what training took."""
    done = folder / "evaluation" / "result.json"
    if not done.is_file():
        train_folder(recipe, folder)
        evaluate_folder(folder)
    result = AuditResult.from_json(done.read_text(encoding="utf-8"))
    findings = {(f.metric, f.group): f.estimate for f in result.findings}
    return findings, json.loads((folder / "manifest.json").read_text())["volatile"], result


def parameters_of(folder):
    text = (folder / "recommender.yaml").read_text()
    return f"{int(re.search(r'parameters: ([0-9]+)', text)[1]):,}"


def lists():
    lines = [
        "| recipe | HR@10 | NDCG@10 | trained parameters | training CPU s |",
        "|---|---|---|---|---|",
    ]
    reference = None
    for name in LISTS:
        folder = Path("models") / name
        recipe = read_training_recipe(find_recipe(name, kind="train"))
        found, took, _ = evaluated(recipe, folder)
        hr, ndcg = (found["utility.ranking." + m, "all"] for m in ("hr@10", "ndcg@10"))
        base = folder / "base" / "manifest.json"
        seconds = f"{took['cpu_seconds']:.0f}"
        if base.is_file():
            seconds += (
                f" + {json.loads(base.read_text())['volatile']['cpu_seconds']:.0f} for the base"
            )
        lines.append(
            f"| `{name}` | {shown(hr)} | {shown(ndcg)} | {parameters_of(folder)} | {seconds} |"
        )
        reference = reference or found
    for name in BASELINES:
        hr, ndcg = (
            reference["utility.ranking." + m, f"baseline={name}"] for m in ("hr@10", "ndcg@10")
        )
        lines.append(f"| {name} (counts) | {shown(hr)} | {shown(ndcg)} | | |")
    return lines


def items():
    lines = [
        "| recipe | AUC of a yes, or error in stars | n | training CPU s |",
        "|---|---|---|---|",
    ]
    recipe = read_training_recipe(find_recipe("tallrec", kind="train"))
    found, took, _ = evaluated(recipe, Path("models/tallrec"))
    lines += [
        f"| {label} | AUC {shown(auc)} | {auc.n} users | {seconds} |"
        for label, auc, seconds in (
            ("`tallrec`", found["utility.likes.auc", "all"], f"{took['cpu_seconds']:.0f}"),
            ("its base `smollm2`, zero-shot", zero_shot(Path("models/tallrec")), "0"),
            ("item mean rating", found["utility.likes.auc", "baseline=item mean rating"], ""),
        )
    ]
    folder = Path("models/p5-t5-mini")
    found, took, _ = evaluated(
        read_training_recipe(find_recipe("p5-t5-mini", kind="train")), folder
    )
    for group in ("all", "baseline=item mean", "baseline=user mean"):
        rmse, mae = (found[f"utility.ratings.{m}", group] for m in ("rmse", "mae"))
        label = "`p5-t5-mini`" if group == "all" else group.removeprefix("baseline=")
        lines.append(f"| {label} | RMSE {shown(rmse)}, MAE {shown(mae)} | {rmse.n} users | |")
    return lines


def zero_shot(trained):
    """The AUC of a trained model's base on the same examples."""
    folder = trained.with_name(f"{trained.name}-base")
    done = folder / "evaluation" / "result.json"
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        recipe = AuditRecipe(version=1, name="evaluation", probes={"utility.likes": {}})
        run_audit(str(untrained_base(trained, folder)), recipe, folder / "evaluation")
    result = AuditResult.from_json(done.read_text(encoding="utf-8"))
    return next(f.estimate for f in result.findings if f.group == "all")


def indexings():
    lines = [
        "| indexing | HR@10 of three seeds | mean | NDCG@10, mean | training CPU s, mean |",
        "|---|---|---|---|---|",
    ]
    recipe = read_training_recipe(find_recipe("p5-clusters", kind="train"))
    for indexing in ("collaborative", "random", "item"):
        hits, gains, seconds = [], [], []
        for seed in SEEDS:
            model = recipe.model.model_copy(update={"indexing": indexing})
            own = recipe.model_copy(update={"model": model, "seed": seed})
            found, took, _ = evaluated(own, Path("models/indexing") / f"{indexing}-{seed}")
            hits.append(found["utility.ranking.hr@10", "all"].value)
            gains.append(found["utility.ranking.ndcg@10", "all"].value)
            seconds.append(took["cpu_seconds"])
        lines.append(
            f"| {indexing} | {', '.join(f'{x:.3f}' for x in hits)} | {statistics.mean(hits):.3f} | "
            f"{statistics.mean(gains):.3f} | {statistics.mean(seconds):.0f} |"
        )
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--indexing", action="store_true")
    if parser.parse_args().indexing:
        write_between(PAGE, "indexings", indexings())
    write_between(PAGE, "lists", lists())
    write_between(PAGE, "items", items())
