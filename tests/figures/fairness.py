"""Train a p5-mini on data with a planted association, repair it in every way, audit all with the
same requests and seeds, and write the tables of `docs/explain/fairness-repairs.md`.

python tests/figures/fairness.py

What `models/fairness/` holds is taken as it is, so a stopped run goes on; delete it to begin anew.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from planted_data import declared_for, plant
from writing import short, shown, write_between

from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.metrics.attribute_leakage import attack_auc
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.prompting.attribute_phrases import known_values, shipped_wordings
from auditkit.recommenders.wrappers import wrap as wrapping
from auditkit.recommenders.wrappers.neutralization import Neutralizer
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.stats.bootstrap import bootstrap_ratio
from auditkit.stats.placebo import placebo_contrast
from auditkit.training.attribute_adversary import mean_states
from auditkit.training.loop import train
from auditkit.training.model_folder import is_trained
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.recipe_checks import read_training_recipe
from auditkit.training.rows.batches import Row, collate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain" / "fairness-repairs.md"
MODELS = Path("models/fairness")
BEFORE = "p5-mini"
N_PROBES, SEED = 300, 0
AUDIT = {
    "fairness.counterfactual": {"n_probes": N_PROBES, "attributes": ["gender", "age"]},
    "fairness.exposure": {},
    "utility.ranking": {},
}
GENDER, AGE = (("fairness.counterfactual.snsr", name) for name in ("gender", "age"))
# As long as the shipped sentence, and about nothing that matters.
PLACEBO = (
    "Please note everything technical that is known about the page that shows it, such as width, "
    "color, language, zoom or font.\n"
)
NDCG, HITS = ("utility.ranking.ndcg@10", "all"), ("utility.ranking.hr@10", "all")


@dataclass(frozen=True)
class Variant:
    """One row of the tables.

    Attributes:
        model: shipped recipe of its weights. changes: of that recipe. prefix: of the target.
        sentence: in place of the shipped one of `instructed:`.
    """

    label: str
    model: str = BEFORE
    prefix: str = ""
    changes: tuple[tuple[str, object], ...] = ()
    sentence: str = ""

    @property
    def folder(self) -> Path:
        changed = "-".join(str(name) for name, _ in self.changes)
        return MODELS / "-".join(filter(None, (self.model, changed)))


def without(objective):
    """The control of a repair: the same steps without the term."""
    return (f"without-{objective}", objective)


VARIANTS = (
    Variant("before"),
    Variant("`instructed:`", prefix="instructed:"),
    Variant("`instructed:` with an irrelevant sentence", prefix="instructed:", sentence=PLACEBO),
    Variant("`neutralized:`", prefix="neutralized:"),
    Variant("`p5-mini-masked`", "p5-mini-masked"),
    Variant("`p5-mini-consistent`", "p5-mini-consistent"),
    Variant(
        "same steps without the term",
        "p5-mini-consistent",
        changes=(without("counterfactual_consistency"),),
    ),
    Variant("`p5-mini-adversarial-prompt`", "p5-mini-adversarial-prompt"),
    Variant(
        "a soft prompt without the adversary",
        "p5-mini-adversarial-prompt",
        changes=(without("adversarial_prompt"),),
    ),
    Variant("`p5-mini-reweighted`", "p5-mini-reweighted"),
    Variant("`reranked:0.3:`", prefix="reranked:0.3:"),
    Variant("`reranked:1:`", prefix="reranked:1:"),
)


def recipe_of(variant):
    """The variant's recipe; a base is the planted model itself."""
    recipe = read_training_recipe(find_recipe(variant.model, kind="train"))
    if recipe.model.base is not None:
        model = recipe.model.model_copy(update={"base": str(MODELS / BEFORE)})
        recipe = recipe.model_copy(update={"model": model})
    fields = recipe.model_dump(exclude_unset=True)
    for _, objective in variant.changes:
        del fields["objectives"][objective]
        if fields.pop("adversary", None):  # only its sixth steps trained the prompt
            fields["steps"] //= recipe.adversary.turns + 1
    return TrainingRecipe.model_validate(fields)


def trained(variant, planted):
    recipe = recipe_of(variant)
    if not is_trained(variant.folder, recipe, planted):
        print(f"training {variant.folder}", flush=True)
        train(recipe, variant.folder, dataset=planted)
    return variant.folder


def audited(variant, clean, planted):
    """Findings by (metric, group) on the clean data."""
    folder = declared_for(
        clean, trained(variant, planted), MODELS / "audited" / variant.folder.name
    )
    recipe = AuditRecipe(version=1, name="repairs", seed=SEED, probes=AUDIT)
    name = variant.prefix.strip(":").replace(":", "-") + ("-placebo" if variant.sentence else "")
    out = MODELS / "runs" / "-".join(filter(None, (name, variant.folder.name)))
    other = patch.object(wrapping, "INSTRUCTION", variant.sentence)
    with other if variant.sentence else nullcontext():
        result = run_audit(variant.prefix + str(folder), recipe, out)
    return {(found.metric, found.group): found for found in result.findings}


def cpu_seconds(variant):
    """Of training behind the model that is there before; empty where nothing is trained."""
    if variant.model == BEFORE:
        return ""
    record = json.loads((variant.folder / "manifest.json").read_text())
    return f"{record['volatile']['cpu_seconds']:.0f}"


# --- tables


def cost(before, after):
    """Relative loss of NDCG@10, paired by user, with a 95 % interval over users."""
    left, right = ({unit: value for unit, value, _ in f.units} for f in (before, after))
    users = sorted(left)
    lost = np.array([left[user] - right[user] for user in users])
    whole = np.array([left[user] for user in users])
    measured, _ = bootstrap_ratio(
        lost, whole, rng=np.random.default_rng(SEED), unit="fraction", direction="lower"
    )
    return measured


def percent(estimate):
    return f"{estimate.value:+.1%} [{estimate.low:+.1%}, {estimate.high:+.1%}]"


def lowered(before, after):
    """One-sided p-value of a lower SNSR: before and after change places inside each probe."""
    tables = [np.array(found.parameters["similarity"]) for found in (before, after)]
    contrast = placebo_contrast(*tables, rng=np.random.default_rng(SEED), draws=9_999)
    return f"{contrast.snsr.p:.4f}"


def repairs(measured):
    lines = [
        "| variant | SNSR of gender | apart, p | SNSR of age | NDCG@10 | NDCG@10 lost | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    before = measured[VARIANTS[0]]
    for variant, found in measured.items():
        own, first = found[GENDER].estimate, before[GENDER].estimate
        apart = "yes" if own.high < first.low else "no"
        lost = percent(cost(before[NDCG], found[NDCG]))
        p = f"{apart}, {lowered(before[GENDER], found[GENDER])}"
        compared = ["", ""] if variant is VARIANTS[0] else [p, lost]
        lines.append(
            f"| {variant.label} | {shown(own)} | {compared[0]} | {shown(found[AGE].estimate)} | "
            f"{shown(found[NDCG].estimate)} | {compared[1]} | {cpu_seconds(variant)} |"
        )
    return lines


def exposures(measured):
    lines = [
        "| variant | MGU, popularity | DGU, popularity | Gini | HR@10 |",
        "|---|---|---|---|---|",
    ]
    for variant, found in measured.items():
        cells = [
            shown(found[f"fairness.exposure.{metric}", group].estimate)
            for metric, group in (
                ("mgu", "by=popularity"),
                ("dgu", "by=popularity"),
                ("gini", "all"),
            )
        ]
        hits = shown(found[HITS].estimate)
        lines.append(f"| {variant.label} | {' | '.join(cells)} | {hits} |")
    return lines


def states_of(folder, dataset):
    """Mean last-layer states [users, width] of every user's request, which states no attribute."""
    recommender = load_folder(folder, dataset)
    users = load_users(dataset)
    prompts = [recommender.render(neutral_request(user, k=10)) for user in users]
    rows = [Row(ids := tuple(recommender._encode(prompt)), len(ids) - 1) for prompt in prompts]
    pad, found = recommender.tokenizer.pad_token_id, []
    with torch.inference_mode():
        for begin in range(0, len(rows), 64):
            batch = collate(rows[begin : begin + 64], pad=pad)
            found.append(mean_states(recommender.model, batch).numpy())
    return np.concatenate(found)


def leaks(clean, planted):
    """AUC of fresh attackers on gender, with a 95 % interval over users."""
    lines = ["| variant | AUC, clean histories | AUC, planted histories |", "|---|---|---|"]
    for variant in VARIANTS:
        if variant.model not in (BEFORE, "p5-mini-adversarial-prompt") or variant.prefix:
            continue
        cells = []
        for dataset in (clean, planted):
            labels = [own["gender"] for own in dataset.interactions.attributes]
            rng = np.random.default_rng(SEED)
            attack = attack_auc(states_of(variant.folder, dataset), labels, rng=rng)
            # The larger of two AUCs: each end is the larger of two, each at half the error.
            ends = np.array([np.quantile(own, [0.0125, 0.9875]) for own in attack.draws.values()])
            low, high = ends.max(axis=0)
            cells.append(f"{short(attack.auc)} [{short(low)}, {short(high)}]")
        lines.append(f"| {variant.label} | {' | '.join(cells)} |")
    return lines


def recall(clean):
    """Which phrases the lexicon finds: its own, and other wordings that it does not hold."""
    neutralizer = Neutralizer(shipped_wordings(), known_values(clean.interactions.attributes))
    lines = [
        "| attribute | listed phrases found | other wordings found | found among them |",
        "|---|---|---|---|",
    ]
    for name, attribute in shipped_wordings().attributes.items():
        phrases = [value.phrase for value in attribute.values]
        others = [phrase for value in attribute.values for phrase in value.alternatives]
        listed, heard = (
            [p for p in some if neutralizer.text(p) != p] for some in (phrases, others)
        )
        lines.append(
            f"| {name} | {len(listed)} of {len(phrases)} | {len(heard)} of {len(others)} | "
            f"{', '.join(heard)} |"
        )
    return lines


def main():
    torch.set_num_threads(1)
    clean = open_dataset("ml-100k")
    planted = plant(clean)
    measured = {variant: audited(variant, clean, planted) for variant in VARIANTS}
    write_between(PAGE, "repairs", repairs(measured))
    write_between(PAGE, "exposure", exposures(measured))
    write_between(PAGE, "leak", leaks(clean, planted))
    write_between(PAGE, "recall", recall(clean))


if __name__ == "__main__":
    main()
