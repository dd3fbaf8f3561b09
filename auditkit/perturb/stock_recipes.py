"""Recipes of TextAttack as baselines: DeepWordBug, and TextBugger without embedding swaps.

Only parts that work offline are used, within the same limits as our own searches: protected spans,
stopwords, one edit per word, the largest number of words and the largest edit distance. Importance
is measured by deletion, because the recipe's "[UNK]" is four ordinary tokens to a byte-level
tokenizer. TextAttack runs one user at a time, and its own count of queries is not used.

Sources: Gao et al. 2018 (DeepWordBug), Li et al. 2019 (TextBugger), TextAttack 0.3.11. The released
TextBugger swaps words by GloVe embeddings and homoglyphs by a file that the package lacks; we leave
the former out and use the homoglyphs of `auditkit.perturb.noise`.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from auditkit.perturb.attempt import Attempt
from auditkit.perturb.noise import NOISE
from auditkit.perturb.search import load_textattack
from auditkit.perturb.threat_model import stopwords
from auditkit.recommenders.execution.target import Target

__all__ = ["STOCK_RECIPES", "run_stock_recipe"]

STOCK_RECIPES = ("deepwordbug", "textbugger")


def run_stock_recipe(name: str, target: Target, attempt: Attempt, rng: np.random.Generator) -> None:
    """Run a recipe with TextAttack's own loop; the attempt holds the result.

    Raises:
        MissingDependency: TextAttack is not installed.
    """
    parts = _parts()
    goal = parts.RankingGoal(target, attempt)
    constraints = [
        parts.pre.RepeatModification(),
        parts.pre.StopwordModification(stopwords=stopwords()),
        parts.ProtectSpans(attempt),
        parts.overlap.MaxWordsPerturbed(max_num_words=attempt.limit),
        parts.WithinLimits(attempt),
    ]
    search = parts.search.GreedyWordSwapWIR(wir_method="delete")
    running = parts.Attack(goal, constraints, _transformation(name, parts, rng), search)
    with _seeded(rng):
        result = running.attack(attempt.text.text, 0)
    if attempt.outcome(str(result.perturbed_text())).reached:
        attempt.settle([result.perturbed_text()])


def _transformation(name: str, parts: Any, rng: np.random.Generator) -> Any:
    swaps = parts.transformations
    if name == "deepwordbug":
        chosen = [
            swaps.WordSwapNeighboringCharacterSwap(),
            swaps.WordSwapRandomCharacterSubstitution(),
            swaps.WordSwapRandomCharacterDeletion(),
            swaps.WordSwapRandomCharacterInsertion(),
        ]
    else:
        inside = {"random_one": True, "skip_first_char": True, "skip_last_char": True}
        chosen = [
            swaps.WordSwapRandomCharacterInsertion(letters_to_insert=" ", **inside),
            swaps.WordSwapRandomCharacterDeletion(**inside),
            swaps.WordSwapNeighboringCharacterSwap(**inside),
            parts.Homoglyph(rng),
        ]
    return swaps.CompositeTransformation(chosen)


@contextmanager
def _seeded(rng: np.random.Generator) -> Iterator[None]:
    """Seed the global generators, which TextAttack uses, and restore them afterwards."""
    kept, kept_numpy = random.getstate(), np.random.get_state()
    random.seed(int(rng.integers(2**32)))
    np.random.seed(int(rng.integers(2**32)))
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)


@cache
def _parts() -> Any:
    """Modules of TextAttack, and subclasses of its classes for rankings and protected spans."""
    load_textattack()

    def module(name: str) -> Any:
        return importlib.import_module(f"textattack.{name}")

    results = module("goal_function_results")
    return SimpleNamespace(
        Attack=module("attack").Attack,
        transformations=module("transformations"),
        pre=module("constraints.pre_transformation"),
        overlap=module("constraints.overlap"),
        search=module("search_methods"),
        RankingGoal=_goal_class(module("goal_functions").GoalFunction, results),
        ProtectSpans=_protection_class(module("constraints").PreTransformationConstraint),
        WithinLimits=_limits_class(module("constraints").Constraint),
        Homoglyph=_homoglyph_class(module("transformations").WordSwap),
    )


def _goal_class(base: Any, results: Any) -> type:
    class Result(results.GoalFunctionResult):  # type: ignore[misc]
        """A result without colors."""

        def get_text_color_input(self) -> str:
            return "red"

        def get_text_color_perturbed(self) -> str:
            return "green"

        def get_colored_output(self, color_method: object = None) -> str:
            return str(self.output)

    class RankingGoal(base):  # type: ignore[misc]
        """A goal on the ranking; the attempt counts queries and remembers responses."""

        def __init__(self, target: Target, attempt: Attempt) -> None:
            # The base class would look up the model of a wrapper, warn, and print.
            self.model, self.maximizable, self.use_cache = None, False, False
            self.allow_skip, self.query_budget = True, float("inf")
            self._target, self._attempt = target, attempt

        def get_results(
            self, attacked_text_list: Sequence[Any], check_skip: bool = False
        ) -> tuple[list[Any], bool]:
            attempt = self._attempt
            texts = [one.text for one in attacked_text_list]
            fresh = attempt.wanted(texts)
            if fresh:
                asked = [attempt.request_for(text) for text in fresh]
                for text, response in zip(fresh, self._target.recommend(asked), strict=True):
                    attempt.note(text, response)
            found = []
            for one in attacked_text_list:
                outcome = attempt.outcome(one.text)
                attempt.near_tie |= outcome.near_tie
                status = results.GoalFunctionResultStatus
                goal = status.SUCCEEDED if outcome.reached else status.SEARCHING
                row = (one, None, "", goal, outcome.margin, attempt.queries, 0)
                found.append(Result(*row))
            return found, attempt.exhausted

        def _is_goal_complete(self, model_output: object, attacked_text: Any) -> bool:
            return self._attempt.outcome(attacked_text.text).reached

        def _get_score(self, model_output: object, attacked_text: Any) -> float:
            return self._attempt.outcome(attacked_text.text).margin

        def _goal_function_result_type(self) -> type:
            return Result

        def _process_model_outputs(self, inputs: object, outputs: object) -> object:
            return outputs

    return RankingGoal


def _protection_class(base: Any) -> type:
    class ProtectSpans(base):  # type: ignore[misc]
        """Words that overlap protected spans of the original text cannot be modified."""

        def __init__(self, attempt: Attempt) -> None:
            self._text = attempt.text
            self._indices: set[int] | None = None

        def _get_modifiable_indices(self, current_text: Any) -> set[int]:
            if self._indices is None:
                self._indices = set(self._modifiable(_origin(current_text)))
            return set(current_text.convert_from_original_idxs(self._indices))

        def _modifiable(self, original: Any) -> Iterator[int]:
            """Words that contain an editable word and touch no protected span."""
            at = 0
            for index, word in enumerate(original.words):
                begin = self._text.text.index(word, at)
                at = begin + len(word)
                inside = any(begin <= w.begin and w.end <= at for w in self._text.words)
                if inside and not any(s.begin < at and begin < s.end for s in self._text.protected):
                    yield index

    return ProtectSpans


def _origin(text: Any) -> Any:
    """The text that an attack began with."""
    while "previous_attacked_text" in text.attack_attrs:
        text = text.attack_attrs["previous_attacked_text"]
    return text


def _limits_class(base: Any) -> type:
    class WithinLimits(base):  # type: ignore[misc]
        """Protected spans and largest edit distance, checked on the whole text."""

        def __init__(self, attempt: Attempt) -> None:
            super().__init__(compare_against_original=True)
            self._allows: Callable[[str], bool] = attempt.allows

        def _check_constraint(self, transformed_text: Any, reference_text: Any) -> bool:
            return self._allows(transformed_text.text)

    return WithinLimits


def _homoglyph_class(base: Any) -> type:
    class Homoglyph(base):  # type: ignore[misc]
        """One random letter of the word is replaced by a look-alike."""

        deterministic = False

        def __init__(self, rng: np.random.Generator) -> None:
            super().__init__()
            self._rng = rng

        def _get_replacement_words(self, word: str) -> list[str]:
            changed = NOISE["homoglyph"].change(word, self._rng, 1)
            return [changed] if changed != word else []

    return Homoglyph
