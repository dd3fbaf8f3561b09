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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from auditkit.errors import AuditkitError
from auditkit.perturb.attempt import Attempt
from auditkit.perturb.noise import NOISE
from auditkit.perturb.search import load_textattack
from auditkit.perturb.threat_model import EditableText, stopwords
from auditkit.recommenders.execution.target import Target

__all__ = ["STOCK_RECIPES", "run_stock_recipe"]

STOCK_RECIPES = ("deepwordbug", "textbugger")


def run_stock_recipe(name: str, target: Target, attempt: Attempt, rng: np.random.Generator) -> None:
    """Run a recipe with TextAttack's own loop; the result is stored in `attempt`.

    Raises:
        MissingDependency: TextAttack is not installed.
    """
    parts = _parts()
    goal = parts.RankingGoal()
    goal.target, goal.attempt = target, attempt
    protection, limits = parts.ProtectSpans(), parts.WithinLimits(compare_against_original=True)
    protection.text, limits.allows = attempt.text, attempt.allows
    constraints = [
        parts.pre.RepeatModification(),
        parts.pre.StopwordModification(stopwords=stopwords()),
        protection,
        parts.overlap.MaxWordsPerturbed(max_num_words=attempt.limit),
        limits,
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
        homoglyph = parts.Homoglyph()
        homoglyph.rng = rng
        inside = {"random_one": True, "skip_first_char": True, "skip_last_char": True}
        chosen = [
            swaps.WordSwapRandomCharacterInsertion(letters_to_insert=" ", **inside),
            swaps.WordSwapRandomCharacterDeletion(**inside),
            swaps.WordSwapNeighboringCharacterSwap(**inside),
            homoglyph,
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
    """Modules of TextAttack, and subclasses of its classes for rankings and protected spans.

    The subclasses are made with `type`, because their bases exist only after the import.
    """
    load_textattack()

    def module(name: str) -> Any:
        return importlib.import_module(f"textattack.{name}")

    results, goals = module("goal_function_results"), module("goal_functions")
    constraints, transformations = module("constraints"), module("transformations")
    # Abstract methods for colored output, which is never printed.
    colors = ("get_text_color_input", "get_text_color_perturbed", "get_colored_output")
    result = type("Result", (results.GoalFunctionResult,), dict.fromkeys(colors, _never_called))
    # `get_results` replaces the base class's queries, cache and count, and what they call.
    replaced = (
        "_is_goal_complete", "_get_score", "_goal_function_result_type", "_process_model_outputs",
    )  # fmt: skip
    goal = {
        **dict.fromkeys(replaced, _never_called),
        "__init__": lambda self: None,  # the base class would look up the model, warn, and print
        "use_cache": False,
        "model": None,
        "get_results": _goal_results(result, results.GoalFunctionResultStatus),
    }
    return SimpleNamespace(
        Attack=module("attack").Attack,
        transformations=transformations,
        pre=module("constraints.pre_transformation"),
        overlap=module("constraints.overlap"),
        search=module("search_methods"),
        RankingGoal=type("RankingGoal", (goals.GoalFunction,), goal),
        ProtectSpans=type(
            "ProtectSpans",
            (constraints.PreTransformationConstraint,),
            {"_get_modifiable_indices": _modifiable_indices},
        ),
        WithinLimits=type(
            "WithinLimits",
            (constraints.Constraint,),
            {"_check_constraint": lambda self, text, _: self.allows(text.text)},
        ),
        Homoglyph=type(
            "Homoglyph",
            (transformations.WordSwap,),
            {"deterministic": False, "_get_replacement_words": _look_alikes},
        ),
    )


def _never_called(*_: object, **__: object) -> None:
    raise AuditkitError(
        "TextAttack called a method that auditkit replaces, so this is not the release that its "
        "recipes were written for. Install textattack==0.3.11."
    )


def _goal_results(result: Any, status: Any) -> Any:
    def get_results(self: Any, texts: Sequence[Any], **_: object) -> tuple[list[Any], bool]:
        """Results of texts, and whether the budget is spent; the attempt counts the queries."""
        attempt: Attempt = self.attempt
        fresh = attempt.wanted(one.text for one in texts)
        if fresh:
            asked = [attempt.request_for(text) for text in fresh]
            for text, response in zip(fresh, self.target.recommend(asked), strict=True):
                attempt.note(text, response)
        found = []
        for one in texts:
            outcome = attempt.outcome(one.text)
            attempt.near_tie |= outcome.near_tie
            goal = status.SUCCEEDED if outcome.reached else status.SEARCHING
            found.append(result(one, None, "", goal, outcome.margin, attempt.queries, 0))
        return found, attempt.exhausted

    return get_results


def _modifiable_indices(self: Any, current: Any) -> set[int]:
    """Words that contain an editable word and touch no protected span of the original text."""
    if not hasattr(self, "indices"):
        self.indices = set(_editable_indices(self.text, _origin(current)))
    return set(current.convert_from_original_idxs(self.indices))


def _editable_indices(text: EditableText, original: Any) -> Iterator[int]:
    at = 0
    for index, word in enumerate(original.words):
        begin = text.text.index(word, at)
        at = begin + len(word)
        inside = any(begin <= span.begin and span.end <= at for span in text.words)
        if inside and not any(span.begin < at and begin < span.end for span in text.protected):
            yield index


def _origin(text: Any) -> Any:
    """The text that an attack began with."""
    while "previous_attacked_text" in text.attack_attrs:
        text = text.attack_attrs["previous_attacked_text"]
    return text


def _look_alikes(self: Any, word: str) -> list[str]:
    """The word with a look-alike for one random letter."""
    changed = NOISE["homoglyph"].change(word, self.rng, 1)
    return [changed] if changed != word else []
