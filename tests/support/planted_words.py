"""Fake recommenders that explain the same list with other words, by chance or by gender."""

from __future__ import annotations

from planted_recommenders import Clean, chance
from small_world import world

WARM = (
    "A wonderful story that you might enjoy.",
    "It is a great film with charming scenes.",
    "Please give it a try, the ending is superb.",
)
COOL = (
    "The plot is dull.",
    "It is a mediocre film, perhaps.",
    "A forgettable story with weak scenes.",
)
PLAIN = ("It is about a long journey.", "You watched others like it.", "Two families meet there.")


class Explains(Clean):
    """Writes sentences by chance, with a false year in some; no attribute makes a difference.

    Args:
        seed: another seed writes other texts.
        lean: probability that a sentence for a woman is replaced by a cool one.
        cut: probability that a sentence for a woman is left out.
        wrong: added probability of a false year in texts for a woman.
    """

    def __init__(self, seed: int = 0, *, lean=0.0, cut=0.0, wrong=0.0) -> None:
        self.seed, self.lean, self.cut, self.wrong = seed, lean, cut, wrong

    def write(self, prompt: str) -> str:
        items = sorted(world().catalog.items, key=lambda i: chance(self.seed, prompt[-200:], i.id))
        return "\n".join(
            f"{place}. {item.display_title}: {self.reason(prompt, item)}"
            for place, item in enumerate(items[:3], start=1)
        )

    def reason(self, prompt: str, item) -> str:
        """Up to four sentences; the first states the year."""
        woman = "I am a woman" in prompt

        def drawn(*words) -> float:
            return chance(self.seed, prompt, item.id, *words)

        false = drawn("year") < 0.2 + (self.wrong if woman else 0)
        told = [f"{item.title} was released in {item.year + (7 if false else 0)}."]
        for place in range(3):
            kinds = (WARM, COOL, PLAIN)
            kind = COOL if woman and drawn("lean", place) < self.lean else (
                kinds[int(3 * drawn("kind", place))]
            )  # fmt: skip
            left_out = woman and drawn("cut", place) < self.cut
            if drawn("shown", place) < 0.7 and not left_out:
                told.append(kind[int(3 * drawn("which", place))])
        return " ".join(told)
