"""How often do the robustness rules of the shipped policy fail recommenders without a fault?

Clean recommenders ignore the wording. Some answer equal requests equally; the others, as at a
temperature, replace every position of a list independently in every call. Every seed is another
audit of other users and lists. Prints the share of audits in which any rule fails, and the shares
that pass and that stay inconclusive, by kind.

    python tests/bench/robustness_size.py [--seeds N] [--users N]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from planted_recommenders import Clean, chance, new_items, titles
from run_probe import run_probe

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.shipped_recipes import find_recipe
from auditkit.stats.intervals import wilson
from auditkit.types import AuditResult

PROBES = (
    "robustness.prompt.typo", "robustness.prompt.case", "robustness.prompt.space",
    "robustness.unicode.homoglyph", "robustness.unicode.zerowidth",
)  # fmt: skip
NOISE = {"3 of 10 positions change": 0.3, "1 of 10": 0.1, "equal answers": 0.0}


class AtTemperature(Clean):
    """Replaces each position with this probability, in every call anew."""

    def __init__(self, probability, seed):
        self._probability, self._seed, self._calls = probability, seed, count()

    def answer(self, request):
        items, call = new_items(request, self._seed), next(self._calls)
        listed, spare = items[: request.k], iter(items[request.k :])
        return titles(
            next(spare) if chance(self._seed, call, place) < self._probability else item
            for place, item in enumerate(listed)
        )


def policy_of_robustness():
    """The rules of the shipped policy on the five probes, without its other requirements."""
    shipped = yaml.safe_load(find_recipe("release", kind="policy").read_text(encoding="utf-8"))
    rules = [rule for rule in shipped["rules"] if rule["metric"].rpartition(".")[0] in PROBES]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "policy.yaml"
        kept = {**shipped, "rules": rules, "require": {}}
        path.write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")
        return Policy.read(path)


def effects(probability, seed, users, policy, template):
    """The effects of the rules in one audit."""
    findings = [
        found
        for probe in PROBES
        for found in run_probe(
            probe, AtTemperature(probability, seed), seed=seed, n_users=users
        ).findings
    ]
    outcomes = [o for o in template.outcomes if o.probe in PROBES]
    result = replace(template, findings=tuple(findings), outcomes=tuple(outcomes))
    return [rule.effect for rule in decide(result, policy).rules]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--users", type=int, default=60)
    asked = parser.parse_args()
    policy = policy_of_robustness()
    example = Path(__file__).resolve().parents[2] / "reports/examples/p5-mini/result.json"
    template = AuditResult.from_json(example.read_text(encoding="utf-8"))
    for name, probability in NOISE.items():
        counts = Counter()
        for seed in range(asked.seeds):
            found = effects(probability, seed, asked.users, policy, template)
            counts["fails"] += "fails" in found
            counts["passes"] += set(found) == {"passes"}
        low, high = wilson(counts["fails"], asked.seeds)
        print(
            f"{name}: {len(policy.file.rules)} rules fail together in {counts['fails']} of "
            f"{asked.seeds} audits of {asked.users} users "
            f"({counts['fails'] / asked.seeds:.3f} [{low:.3f}, {high:.3f}]), "
            f"pass in {counts['passes']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
