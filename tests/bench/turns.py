"""Scoring 20 alternatives at each turn of ten-turn conversations, with SmolLM2.

    python tests/bench/turns.py [--conversations N]

Every turn's prompt begins with the turns before it, so a conversation is one path of the trie with
20 leaves at each of its ten turns. Prints the tokens forwarded against those of scoring every
alternative from scratch and of reading every turn's prompt once, and the CPU time of one thread
against that of lm-evaluation-harness in the same run (timed on a sample of the pairs and scaled by
their tokens).
"""

from __future__ import annotations

import argparse
import random

from engine import catalog_items, harness, timed

from auditkit.engine.inference import Engine
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.adapters.smollm2 import get_smollm2

N_TURNS, N_ALTERNATIVES, N_LISTED = 10, 20, 5
OPENING = "You recommend movies. Answer with a list of titles.\n"
FIRST = "User: I liked {liked}. What should I watch?\nAssistant:"
NEXT = "User: I have seen {seen}. Something else, please?\nAssistant:"


def conversation(recommender, draw, items):
    """Token pairs: each turn's prompt with each of its alternatives."""
    pairs, text, seen = [], OPENING, ""
    for turn in range(N_TURNS):
        listed = [item.title for item in draw.sample(items, N_LISTED)]
        text += NEXT.format(seen=seen) if turn else FIRST.format(liked=", ".join(listed))
        alternatives = [" " + item.title for item in draw.sample(items, N_ALTERNATIVES)]
        pairs += recommender._pairs([text], [alternatives])
        text += "".join(f"\n- {title}" for title in listed) + "\n"
        seen = listed[0]
    return pairs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=2)
    asked = parser.parse_args()
    recommender = load_folder(get_smollm2())
    engine, draw, items = Engine(recommender.model), random.Random(0), catalog_items()
    pairs = [p for _ in range(asked.conversations) for p in conversation(recommender, draw, items)]
    engine.score(pairs[:N_ALTERNATIVES])
    engine._executor(pairs)  # the self-probe at this length, counted apart
    before = engine.counters.tokens
    ours, seconds = timed(lambda: engine.score(pairs))
    forwarded = engine.counters.tokens - before
    lengths = [len(prompt) + len(title) - 1 for prompt, title in pairs]
    once_a_turn = sum(len(prompt) for prompt, _ in pairs[::N_ALTERNATIVES]) + sum(
        len(title) - 1 for _, title in pairs
    )
    sample = random.Random(1).sample(range(len(pairs)), 64)
    share = sum(lengths[i] for i in sample) / sum(lengths)
    scored, harnessed = harness(recommender, [pairs[i] for i in sample])
    worst = max(abs(sum(ours[i]) - s[0]) for i, s in zip(sample, scored, strict=True))
    print(
        f"{asked.conversations} conversations of {N_TURNS} turns, {N_ALTERNATIVES} alternatives "
        f"each, prompts of {len(pairs[0][0])} to {max(len(p) for p, _ in pairs)} tokens: "
        f"{sum(lengths):,} tokens from scratch, {once_a_turn:,} with every turn read once, "
        f"{forwarded:,} forwarded = {sum(lengths) / forwarded:.1f}x and "
        f"{once_a_turn / forwarded:.2f}x fewer; {seconds:.1f} s = "
        f"{harnessed / share / seconds:.1f}x less than lm-evaluation-harness; largest difference "
        f"{worst:.1e} nats a title"
    )


if __name__ == "__main__":
    main()
