"""Arms in exploratory wordings: with a typing error, in German, with first names.

Each wording has its own placebo; the German wording also has its own neutral phrases.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.probes.fairness.counterfactual.design import Arm, Exploratory, Stated
from auditkit.recommenders.prompting.attribute_phrases import AttributeValue, Wordings

__all__ = ["reworded_arms"]


def reworded_arms(
    wordings: Wordings, *, attributes: Sequence[str], wording: Exploratory
) -> tuple[Arm, ...]:
    """Create the arms of the attributes and of a placebo in another wording.

    Attributes with fewer than two values in that wording are omitted.
    """
    arms = []
    for name in attributes:
        listed = wordings.attributes[name].values if name in wordings.attributes else ()
        arms.append(Arm(name, "attribute", _reworded(listed, wording), wording))
    size = max((len(arm.stated) for arm in arms), default=0)
    arms = [arm for arm in arms if len(arm.stated) >= 2]
    if arms:
        others = _reworded(wordings.placebo, wording)[: max(size, 2)]
        arms.append(Arm("placebo", "placebo", others, wording))
    if arms and wording == "german" and len(wordings.neutral_german) >= 2:
        stated = tuple(Stated("", who, {}) for who in wordings.neutral_german[:2])
        arms.insert(0, Arm("neutral", "neutral", stated, wording))
    return tuple(arms)


def _reworded(values: Sequence[AttributeValue], wording: Exploratory) -> tuple[Stated, ...]:
    stated = []
    for value in values:
        phrases = {
            "typo": _misspelled(value.phrase),
            "german": value.german,
            "named": value.named,
        }
        stated.append(Stated(value.id, phrases[wording], {}))
    return tuple(one for one in stated if one.who)


def _misspelled(phrase: str) -> str:
    """Remove the middle letter of the longest word of a phrase."""
    words = phrase.split(" ")
    longest = max(range(len(words)), key=lambda i: len(words[i]))
    word = words[longest]
    middle = len(word) // 2
    return " ".join([*words[:longest], word[:middle] + word[middle + 1 :], *words[longest + 1 :]])
