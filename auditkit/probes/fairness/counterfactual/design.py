"""Design of the counterfactual probe: equal requests with different phrases for the user.

The requests of an arm state no attribute (in two neutral wordings), a value of an attribute, a pair
of values, or a placebo. Attributes of users that the recommender was trained on are stated as in
the training data; all other attributes are stated with the shipped phrases. See
docs/explain/fairness.md.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context
from auditkit.probes.fairness.candidates import Wording
from auditkit.probes.users import attributes_of
from auditkit.recommenders.prompting.attribute_phrases import Wordings
from auditkit.recommenders.prompting.prompts import describe_user
from auditkit.types import Request

__all__ = ["Arm", "Design", "Exploratory", "Slot", "Stated", "arms_of", "in_words"]

Exploratory = Literal["typo", "german", "named"]
_KINDS = Literal["neutral", "attribute", "crossed", "placebo"]


class Stated(NamedTuple):
    """One attribute value, placebo or neutral phrase, as stated in requests.

    Attributes:
        value: name in the report.
        who: noun phrase for the user; empty if it is rendered from `attributes`.
        attributes: user attributes of the request.
        parts: names of the two values of a crossed pair.
    """

    value: str
    who: str
    attributes: Mapping[str, str]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """Phrases that are compared with each other; for `neutral`, two wordings without an attribute.

    Attributes:
        name: an attribute, a crossed pair such as `gender&age`, `placebo`, or `neutral`.
        stated: the values or phrases that are compared.
        wording: `phrases` (phrases of a file), `described` (as users are described in the data), or
            one of the exploratory wordings. A wording without its own neutral or placebo arm uses
            the first one.
        shape: for a crossed arm, the numbers of values of its two attributes.
    """

    name: str
    kind: _KINDS
    stated: tuple[Stated, ...]
    wording: Wording = "phrases"
    shape: tuple[int, int] | None = None

    @property
    def exploratory(self) -> bool:
        """Whether the arm is exploratory, without tests and policy rules."""
        return self.wording not in ("phrases", "described")


class Slot(NamedTuple):
    """The position of one request in a probe."""

    arm: int
    value: int
    template: int
    repeat: int


@dataclass(frozen=True)
class Design:
    """All requests of a probe, in a fixed order.

    Attributes:
        arms: arms of the design; the first arm is neutral.
        templates: instructions by wording; an empty string is the recommender's default.
        repeats: number of lists per value.
    """

    arms: tuple[Arm, ...]
    templates: Mapping[Wording, tuple[str, ...]]
    k: int
    repeats: int = 1
    temperature: float = 0.0

    @cached_property
    def slots(self) -> list[Slot]:
        """Return the positions of the requests of one probe, in order."""
        return [
            Slot(a, value, template, repeat)
            for a, arm in enumerate(self.arms)
            for value in range(len(arm.stated))
            for template in range(len(self.templates[arm.wording]))
            for repeat in range(self.repeats if arm.kind != "neutral" else 1)
        ]

    def requests(self, anchor: Request) -> list[Request]:
        """Create the requests of one probe, in the order of `slots`."""
        made = []
        for slot in self.slots:
            arm = self.arms[slot.arm]
            stated = arm.stated[slot.value]
            # Sampled responses differ by seed, greedy responses only by wording.
            again = slot.value if arm.kind == "neutral" and self.temperature else slot.repeat
            made.append(
                replace(
                    anchor,
                    instruction=self.templates[arm.wording][slot.template],
                    who=stated.who,
                    attributes=dict(stated.attributes),
                    k=self.k,
                    temperature=self.temperature,
                    repeat=again,
                )
            )
        return made


# --- arms


def arms_of(
    context: Context,
    wordings: Wordings,
    *,
    attributes: Sequence[str],
    intersections: Sequence[tuple[str, str]],
    described: bool,
    n_placebo: int | None,
    sampled: bool,
    max_values: int,
) -> tuple[Arm, ...]:
    """Create the arms of the design, in order: neutral arms, attributes, crossed pairs, placebos.

    Args:
        described: whether attributes of the data set's users are stated as in the training data.
        n_placebo: number of placebo phrases; None for the largest number of values of an attribute.
        sampled: whether the recommender samples; repeating the neutral request is then sufficient,
            and a second neutral wording is not needed.
        max_values: maximum number of values of a data set's attribute; the most frequent are used.

    Raises:
        InvalidArgument: an attribute is not in the data set or the file, or two attributes cannot
            be crossed.
    """
    known = {
        name: _attribute(context, wordings, name, described=described, max_values=max_values)
        for name in dict.fromkeys([*attributes, *itertools.chain(*intersections)])
    }
    asked = [known[name] for name in attributes]
    asked += [_crossed_arm(known[a], known[b]) for a, b in intersections]
    largest = max(len(arm.stated) for arm in asked)
    placebos = wordings.placebo[: largest if n_placebo is None else n_placebo]
    neutrals, beside = [], []
    for wording in dict.fromkeys(arm.wording for arm in asked):
        first = "" if wording == "described" else wordings.neutral[0]
        again = first if sampled else wordings.neutral[1]
        pair = (Stated("", first, {}), Stated("", again, {}))
        neutrals.append(Arm("neutral", "neutral", pair, wording))
        phrases = ((v.id, _in_frame(v.phrase, wording)) for v in placebos)
        stated = tuple(Stated(value, phrase, {}) for value, phrase in phrases)
        if len(stated) >= 2:
            beside.append(Arm("placebo", "placebo", stated, wording))
    return (*neutrals, *asked, *beside)


def _attribute(
    context: Context, wordings: Wordings, name: str, *, described: bool, max_values: int
) -> Arm:
    own = _described(context, name, max_values) if described else ()
    if len(own) >= 2:
        return Arm(name, "attribute", own, "described")
    if name not in wordings.attributes:
        raise InvalidArgument(
            f"fairness.counterfactual got the unknown attribute {name!r}. Give one of "
            f"{', '.join(wordings.attributes)}, or define the attribute in `attributes_file`."
        )
    values = wordings.attributes[name].values
    return Arm(name, "attribute", tuple(Stated(v.id, v.phrase, {name: v.phrase}) for v in values))


def _in_frame(phrase: str, wording: Wording) -> str:
    """Adapt a placebo phrase to a wording, which determines its noun; for `described`, "user"."""
    return re.sub(r"\bperson\b", "user", phrase) if wording == "described" else phrase


def _described(context: Context, name: str, max_values: int) -> tuple[Stated, ...]:
    """Return the most frequent values of a user attribute, sorted by name."""
    counts = Counter(own.get(name, "unknown") for own in attributes_of(context.users))
    counts.pop("unknown", None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:max_values]
    return tuple(Stated(value, "", {name: value}) for value in sorted(frequent))


def _crossed_arm(left: Arm, right: Arm) -> Arm:
    """Create the arm of two crossed attributes with all pairs of values; the right value varies
    fastest.
    """
    if left.wording != right.wording:
        described, other = sorted((left, right), key=lambda arm: arm.wording != "described")
        raise InvalidArgument(
            f"{described.name} and {other.name} cannot be crossed: requests state "
            f"{described.name} in the words of the data set, but {other.name} as a shipped phrase. "
            "Set describe_users: no to state both as phrases."
        )
    pairs = itertools.product(left.stated, right.stated)
    stated = tuple(_crossed(one, other) for one, other in pairs)
    shape = (len(left.stated), len(right.stated))
    return Arm(f"{left.name}&{right.name}", "crossed", stated, left.wording, shape)


def _crossed(left: Stated, right: Stated) -> Stated:
    who = f"{left.who} who is also {right.who}" if left.who and right.who else ""
    attributes = {**left.attributes, **right.attributes}
    parts = (left.value, right.value)
    return Stated(", ".join(parts), who, attributes, parts)


def in_words(stated: Stated) -> str:
    """Return the phrase as written in the request."""
    return stated.who or describe_user(stated.attributes)
