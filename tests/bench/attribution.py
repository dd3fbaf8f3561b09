"""Attributions of SmolLM2 against Captum: tokens, CPU time, and agreement with exact values.

    python tests/bench/attribution.py [--part cost|quality|explain] [--users 20]

`cost` explains one prompt of ten films; CPU time of one thread, all in one run. `quality` compares
estimators at 32 evaluations with exact Shapley values of eight films. `explain` prints the wall
time of loading p5-mini and of one list, with and without the explanation, in fresh processes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from captum.attr import FeatureAblation, LLMAttribution, ShapleyValueSampling
from captum.attr._utils.interpretable_input import TextTemplateInput

from auditkit.attribution.captum_methods import record, replay
from auditkit.attribution.estimators import estimate, plan
from auditkit.attribution.explanation import known_values
from auditkit.attribution.faithfulness import lds_of, pearson
from auditkit.attribution.masks import every_mask
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import masked, spans_of
from auditkit.attribution.values import Game, measure
from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.evidence.run_log import RunLog
from auditkit.probes.base import load_users
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.adapters.smollm2 import get_smollm2
from auditkit.recommenders.execution.target import Target
from auditkit.types import Item, Request

torch.set_num_threads(1)
ALONE = """
from auditkit.run.explain import *
from auditkit.run.recipe import read_recipe
from auditkit.shipped_recipes import find_recipe
from auditkit.run.data import load_data
from auditkit.recommenders.loading.load import load_recommender
from auditkit.probes.base import load_users, neutral_request
data, _ = load_data(read_recipe(find_recipe("quick", kind="audit")))
recommender = load_recommender({target!r}, dataset=data).recommender
recommender.recommend([neutral_request(load_users(data)[41], k=10)])
"""


class Prompt(TextTemplateInput):
    """Captum's input, with the token ids that auditkit scores."""

    def __init__(self, recommender, game):
        names = [span.text for span in game.spans]
        super().__init__(template=lambda *kept: "", values=names)
        self.recommender, self.game = recommender, game
        self.text = recommender.reference(game.candidates[game.item])

    def ids(self, mask):
        prompt = self.recommender.render(masked(self.game.request, self.game.spans, mask))
        return self.recommender.token_ids(prompt, self.text)

    def to_model_input(self, perturbed_tensor=None):
        kept = [1] * self.game.n if perturbed_tensor is None else perturbed_tensor[0].tolist()
        return torch.tensor([self.ids(sum(1 << i for i, bit in enumerate(kept) if bit))[0]])


def captum(recommender, game, method, **options):
    """Attribution, tokens and CPU seconds of Captum alone."""
    inp, seen = Prompt(recommender, game), [0]

    def counted(**keywords):
        seen[0] += keywords["input_ids"].numel()
        return original(**keywords)

    original = recommender.model.forward
    recommender.model.forward = counted  # Captum calls `forward` itself, which runs no hooks
    torch.manual_seed(0)
    explainer = LLMAttribution(method(recommender.model), recommender.tokenizer)
    target = torch.tensor(inp.ids(game.everything)[1])
    begin = time.process_time()
    with torch.inference_mode():
        found = explainer.attribute(inp, target=target, **options)
    seconds = time.process_time() - begin
    recommender.model.forward = original
    return found.seq_attr.numpy(), seen[0], seconds


def ours(recommender, target, game, method, **options):
    """The same through record, batch and replay."""
    tokens, begin = recommender.work()["tokens_forwarded"], time.process_time()
    made = record(method, game.n, **options)
    measure(target, [(game, made.masks)])
    found = replay(made, known_values(game, made.masks))
    seconds = time.process_time() - begin
    return found, recommender.work()["tokens_forwarded"] - tokens, seconds


def requests(n_users, n_items):
    dataset = load_ml100k(get_dataset("ml-100k"))
    users = [user for user in load_users(dataset) if len(user.history) >= n_items]
    chosen = [users[int(i)] for i in np.random.default_rng(0).permutation(len(users))[:n_users]]
    catalog = [Item(i.id, i.display_title) for i in dataset.catalog.items]
    return dataset, catalog, [
        (Request(user_id=u.id, history=u.history[-n_items:], k=10), u.test_items[0])
        for u in chosen
    ]  # fmt: skip


def opened(recommender, dataset, folder):
    return Target(
        recommender, catalog=dataset.catalog, log=RunLog(Path(folder), "0" * 64), seed=0,
        fingerprint="bench",
    )  # fmt: skip


def cost(recommender):
    dataset, catalog, ((request, top),) = requests(1, 10)
    spans = spans_of(request)
    print(
        "| method, 10 items | Captum, tokens / CPU s | ours | tokens | time | largest difference |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        target = opened(recommender, dataset, folder)
        # The executor check of the engine belongs to loading.
        measure(target, [(Game(request, spans, (top,)), [0, 1023])])
        exact = None
        for name, method, samples in (
            ("FeatureAblation", FeatureAblation, {}),
            ("ShapleyValueSampling", ShapleyValueSampling, {"n_samples": 25}),
        ):
            found, tokens, seconds = ours(
                recommender, target, Game(request, spans, (top,)), name, seed=0, **samples
            )
            for label, how in (
                ("default (cached)", {}),
                ("uncached", {"use_cached_outputs": False}),
                ("one forward a mask", {"forward_in_tokens": False}),
            ):
                if samples and how.get("forward_in_tokens", True):
                    continue  # half an hour
                there, theirs, took = captum(
                    recommender, Game(request, spans, (top,)), method, **samples, **how
                )
                print(
                    f"| {name}, {label} | {theirs:,} / {took:.1f} | {tokens:,} / {seconds:.2f} | "
                    f"{theirs / tokens:.1f}x | {took / seconds:.1f}x | "
                    f"{np.abs(there - found).max():.1e} nats |",
                    flush=True,
                )
                exact = theirs if name == "FeatureAblation" and "mask" in label else exact
        draw = np.random.default_rng(1)
        candidates = tuple(catalog[int(i)] for i in draw.choice(len(catalog), 20, replace=False))
        game, loo = Game(request, spans, candidates), plan("loo", 10, draw)
        before, begin = recommender.work()["tokens_forwarded"], time.process_time()
        measure(target, [(game, loo.needed)])
        used = recommender.work()["tokens_forwarded"] - before
        one_by_one = sum(
            len(p) + len(c)
            for mask in loo.masks
            for item in candidates
            for p, c in [recommender.token_ids(
                recommender.render(masked(request, spans, mask)), recommender.reference(item))]
        )  # fmt: skip
        print(
            f"leave-one-out x 20 candidates: {one_by_one:,} tokens one by one, {used:,} ours, "
            f"{one_by_one / used:.1f}x, {time.process_time() - begin:.1f} CPU s"
        )


def quality(recommender, n_users):
    dataset, _, asked = requests(n_users, 8)
    rows: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        target = opened(recommender, dataset, folder)
        for number, (request, top) in enumerate(asked):
            game = Game(request, spans_of(request), (top,))
            measure(target, [(game, every_mask(8))])
            known = known_values(game, every_mask(8))
            n_tokens = len(game.rows[255].tokens[0])
            exact = estimate(plan("exact", 8, np.random.default_rng(0)), known,
                             np.random.default_rng(0)).values  # fmt: skip
            for name, values in attributions(known, number, n_tokens):
                r, score = pearson(values, exact), lds_of(known, every_mask(8), values)
                if not isinstance(r, Missing) and not isinstance(score, Missing):
                    rows.setdefault(name, []).append((r, score))
    best = np.mean([score for _, score in rows["exact Banzhaf (256)"]])
    print(f"| {n_users} users, 8 films (evaluations) | r with Shapley | p10 | LDS | of ceiling |")
    print("|---|---|---|---|---|")
    for name, found in rows.items():
        r, score = np.array(found).T
        print(
            f"| {name} | {r.mean():.3f} | {np.quantile(r, 0.1):.2f} | {score.mean():.3f} | "
            f"{score.mean() / best:.3f} |"
        )


def attributions(known, seed, n_tokens):
    """Attributions by name, each with five seeds of masks."""
    for draw in range(5):
        for label, name, budget in (
            ("linear (32)", "linear", 32), ("linear (64)", "linear", 64),
            ("ContextCite lasso (32)", "lasso", 32), ("paired KernelSHAP (32)", "kernelshap", 32),
            ("antithetic Shapley (30)", "shapley", 30), ("leave-one-out (9)", "loo", None),
            ("exact Banzhaf (256)", "banzhaf", None), ("exact Shapley (256)", "exact", None),
        ):  # fmt: skip
            rng = np.random.default_rng([seed, draw])
            made = plan(name, 8, rng, budget=budget)
            yield label, estimate(made, known, rng, n_tokens=n_tokens).values
        for label, name, samples in (
            ("Captum KernelShap (32)", "KernelShap", 32),
            ("Captum Shapley (33)", "ShapleyValueSampling", 4),
        ):
            yield label, replay(record(name, 8, seed=1000 * seed + draw, n_samples=samples), known)


def explained(target):
    """Wall time of fresh processes: load and one list, and the whole command."""
    program = str(Path(sys.executable).with_name("auditkit"))
    commands = {
        "load and one list": [sys.executable, "-c", ALONE.format(target=target)],
        "auditkit explain": [program, "explain", target, "--user", "42", "--timing"],
    }
    for round_ in range(3):
        seconds = {}
        for name, command in commands.items():
            begin = time.perf_counter()
            shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds[name] = time.perf_counter() - begin
        ratio = seconds["auditkit explain"] / seconds["load and one list"]
        said = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
        print(f"run {round_ + 1}: {said}; {ratio:.2f}x; {shown.strip().splitlines()[-1]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("cost", "quality", "explain"))
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--target", default="models/p5-mini", help="model folder of `explain`")
    chosen = parser.parse_args()
    if chosen.part != "explain":
        model = load_folder(get_smollm2())
        if chosen.part != "quality":
            cost(model)
        if chosen.part != "cost":
            quality(model, chosen.users)
    if chosen.part in (None, "explain") and Path(chosen.target).is_dir():
        explained(chosen.target)
