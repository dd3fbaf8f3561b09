"""Scoring and generation with SmolLM2 against one-by-one, lm-evaluation-harness and the limit.

    python tests/bench/engine.py [--part scoring|generation|growth] [--device cpu|cuda]

CPU time of one thread, or wall time on a GPU, all in one run. One-by-one and the harness are timed
on a sample of the pairs and scaled by their tokens; everything else runs whole.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.engine.decoder import Counters
from auditkit.engine.generation import Decoding
from auditkit.engine.inference import Engine
from auditkit.engine.packed import plan_for, score_packed
from auditkit.engine.prefix import score_prefix
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.adapters.smollm2 import get_smollm2
from auditkit.types import Item, Request

torch.set_num_threads(1)
DEVICE = os.environ.setdefault("AUDITKIT_DEVICE", "cpu")
WORDS = ("female", "male", "young", "old", "French", "student", "religious", "rich")
LATE = "I have watched these movies:\n{history}\nRecommend {k} other movies for me. I am {who}."
EARLY = "I am {who}. I have watched these movies:\n{history}\nRecommend {k} other movies for me."


def use_device(name):
    """Run everything that follows on a device."""
    global DEVICE
    DEVICE = os.environ["AUDITKIT_DEVICE"] = name


def timed(run):
    """Result and seconds of a call: CPU time, or wall time on a GPU."""
    if DEVICE == "cpu":
        begin = time.process_time()
        return run(), time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    result = run()
    torch.cuda.synchronize()
    return result, time.perf_counter() - begin


def catalog_items():
    return [Item(i.id, i.display_title) for i in load_ml100k(get_dataset("ml-100k")).catalog.items]


def probes(recommender, template, *, users=8):
    """users x 8 counterfactual prompts of 20 liked titles, 20 candidates each, as token pairs."""
    draw, items = random.Random(0), catalog_items()
    pairs = []
    for _ in range(users):
        history, candidates = tuple(draw.sample(items, 20)), draw.sample(items, 20)
        for word in WORDS:
            request = Request(
                attributes={"gender": word}, history=history, instruction=template, k=10
            )
            prompt = recommender.render(request)
            pairs += recommender._pairs([prompt], [[item.title for item in candidates]])
    return pairs


def one_by_one(model, pairs):
    """What an ordinary script does: a forward per pair, log-softmax over every position."""
    with torch.inference_mode():
        for prompt, continuation in pairs:
            ids = torch.tensor([[*prompt, *continuation[:-1]]], device=DEVICE)
            logits = model(ids, use_cache=False).logits
            table = logits.log_softmax(dim=-1)[0, len(prompt) - 1 :]
            sum(float(table[i, token]) for i, token in enumerate(continuation))


def harness(recommender, pairs):
    """lm-evaluation-harness' own scoring of the same token pairs, batches of 16."""
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(
        pretrained=recommender.model,
        tokenizer=recommender.tokenizer,
        batch_size=16,
        max_length=2048,
        device=DEVICE,
    )
    requests = [((str(i), ""), list(p), list(c)) for i, (p, c) in enumerate(pairs)]
    return timed(lambda: lm._loglikelihood_tokens(requests, disable_tqdm=True))


def gemm_flops(width, inner):
    """Peak of a 512 x width x inner product, FLOP/s, median of 5."""
    left, right = torch.randn(512, width, device=DEVICE), torch.randn(width, inner, device=DEVICE)
    left @ right
    times = sorted(timed(lambda: left @ right)[1] for _ in range(5))
    return 2 * 512 * width * inner / times[2]


def limit_seconds(body, tree, flops):
    """Body of every unique token, attention over every visible key, head of every predicted row."""
    text = body.base.config
    attention = text.num_attention_heads * (text.hidden_size // text.num_attention_heads)
    work = (
        2 * body.body_parameters * tree.unique_tokens
        + 4 * text.num_hidden_layers * attention * tree.visible_keys
        + 2 * text.hidden_size * text.vocab_size * tree.predicted_rows
    )
    return work / flops


def scoring():
    recommender = load_folder(get_smollm2())
    model, engine = recommender.model, Engine(recommender.model)
    warm = probes(recommender, LATE, users=1)[:40]
    engine.score(warm)
    for name, template in (("late", LATE), ("early", EARLY)):
        pairs = probes(recommender, template)
        tree = plan_for(engine.body, pairs).tree
        engine._executor(pairs)  # the self-probe at this length, counted apart
        before = engine.counters.tokens
        flops = gemm_flops(576, 1536)
        ours, seconds = timed(lambda pairs=pairs: engine.score(pairs))
        forwarded = engine.counters.tokens - before
        sample = random.Random(1).sample(range(len(pairs)), 12)
        share = sum(len(pairs[i][0]) + len(pairs[i][1]) - 1 for i in sample) / tree.tokens_asked
        _, alone = timed(
            lambda pairs=pairs, sample=sample: one_by_one(model, [pairs[i] for i in sample])
        )
        batch = random.Random(2).sample(range(len(pairs)), 64)
        part = sum(len(pairs[i][0]) + len(pairs[i][1]) - 1 for i in batch) / tree.tokens_asked
        scored, harnessed = harness(recommender, [pairs[i] for i in batch])
        worst = max(abs(sum(ours[i]) - s[0]) for i, s in zip(batch, scored, strict=True))
        limit = limit_seconds(engine.body, tree, flops)
        print(
            f"scoring, word {name}: {len(pairs)} pairs, {tree.tokens_asked:,} tokens asked, "
            f"{tree.unique_tokens:,} unique, {forwarded:,} forwarded "
            f"({forwarded / tree.unique_tokens:.3f}x); {seconds:.1f} s = "
            f"{alone / share / seconds:.1f}x less than one-by-one, "
            f"{harnessed / part / seconds:.1f}x less than lm-evaluation-harness, "
            f"{seconds / limit:.2f}x the limit ({limit:.1f} s at {flops / 1e9:.0f} GFLOP/s); "
            f"largest difference to the harness {worst:.1e} nats a title",
            flush=True,
        )


def generation():
    recommender = load_folder(get_smollm2())
    engine, items, draw = recommender.engine, catalog_items(), random.Random(0)
    history = tuple(draw.sample(items, 20))
    twins = [
        recommender._encode(
            recommender.render(
                Request(attributes={"gender": word}, history=history, instruction=LATE, k=10)
            )
        )
        for word in WORDS
    ]
    unlike = [
        recommender._encode(
            recommender.render(Request(history=tuple(draw.sample(items, n)), instruction=LATE))
        )
        for n in [2, 3, 4, 5] * 4
    ]
    for name, prompts, new in (("8 twins", twins, 24), ("16 unlike prompts", unlike, 100)):
        decoding = Decoding(new)
        engine.generate(prompts[-2:], Decoding(2))  # the self-probe at this length, counted apart
        together, seconds = timed(lambda p=prompts, d=decoding: engine.generate(p, d))
        alone, single = timed(
            lambda p=prompts, n=new: [transformers_generate(recommender.model, one, n) for one in p]
        )
        same = sum(a.ids == b for a, b in zip(together, alone, strict=True))
        ties = sum((g.margin or 0) < 1e-3 for g in together)
        lengths = sorted(map(len, prompts))
        print(
            f"generation, {name} of {lengths[0]}-{lengths[-1]} tokens, {new} new: "
            f"{seconds:.1f} s, {single / seconds:.2f}x less than transformers one by one; "
            f"{same} of {len(prompts)} texts identical, {ties} near ties",
            flush=True,
        )


def transformers_generate(model, ids, new):
    """Greedy text of one prompt by transformers' own loop."""
    prompt = torch.tensor([ids], device=DEVICE)
    output = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=new,
        do_sample=False,
        pad_token_id=0,
    )[0, len(ids) :].tolist()
    ends = model.generation_config.eos_token_id
    return output[:-1] if output[-1] == ends else output


def growth(users):
    """CPU time and peak memory of one process; called once per size."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8000,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    engine, draw = Engine(LlamaForCausalLM(config).eval().to(DEVICE)), random.Random(0)
    tokens = lambda n: [draw.randrange(8000) for _ in range(n)]  # noqa: E731
    pairs = []
    for _ in range(users):
        history, candidates = tokens(300), [tokens(10) for _ in range(20)]
        pairs += [(history + tokens(5), c) for _ in WORDS for c in candidates]
    score_prefix(engine.body, pairs[:2], Counters())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counters = Counters()
    _, seconds = timed(lambda: score_packed(engine.body, pairs, counters))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"growth: {users * 8} probes, {len(pairs):,} pairs: {seconds:.1f} CPU s, "
        f"{1e6 * seconds / counters.tokens:.0f} us a token, {peak / 1024:.0f} MiB above the start",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("scoring", "generation", "growth"))
    parser.add_argument("--users", type=int)
    parser.add_argument("--device", default=DEVICE)
    chosen = parser.parse_args()
    use_device(chosen.device)
    if chosen.users:
        growth(chosen.users)
        return
    if chosen.part in (None, "scoring"):
        scoring()
    if chosen.part in (None, "generation"):
        generation()
    if chosen.part in (None, "growth"):
        for users in (8, 32, 128):
            command = [sys.executable, __file__, "--users", str(users)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
