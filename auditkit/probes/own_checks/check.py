"""Schema of one entry of `checks:` in a recipe, which describes a violation and where to find it.

Every check describes a violation, so lower rates are better, and a policy limits them by `max`. A
check that could never find a violation is rejected when the recipe is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditkit.catalog.graph.schema import Operator
from auditkit.probes.own_checks.patterns import check_pattern

__all__ = ["OwnCheck"]

_CONDITIONS = {
    "items": ("attribute", "in_history"),
    "answer": ("fewer_than",),
    "text": ("contains", "lacks", "matches"),
}
Text = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class OwnCheck(BaseModel):
    """A violation to look for in the responses to neutral requests.

    Attributes:
        id: the metric is `check.<id>`.
        about: description of the check in the report.
        on: what is checked; `items` counts listed catalog items, `answer` and `text` count
            responses.
        attribute: predicate of the catalog's graph, such as `year`, which needs exactly one of
            `is`, `is_not`, `below` and `above`. Bounds are exclusive; dates are written as texts.
        in_history: violated by an item that is in the user's history.
        fewer_than: violated by an answer with fewer listed items.
        contains: violated by a text with any of these words, ignoring case.
        lacks: violated by a text with none of these words, ignoring case.
        matches: violated by a text in which this regular expression matches.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]
    about: Annotated[str, Field(min_length=1, max_length=300)]
    on: Literal["items", "answer", "text"]
    attribute: Text | None = None
    is_value: Annotated[Text | int | float | None, Field(alias="is")] = None
    is_not: Text | int | float | None = None
    below: Number | Text | None = None
    above: Number | Text | None = None
    in_history: Literal[True] | None = None
    fewer_than: Annotated[int, Field(ge=1)] | None = None
    contains: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    lacks: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    matches: Text | None = None

    @property
    def comparison(self) -> tuple[Operator, str]:
        """Operator and value of a check with `attribute`.

        An item that satisfies the comparison violates the check.
        """
        operator, value = next(self._comparisons())
        return operator, repr(value).removesuffix(".0") if isinstance(value, float) else value

    def _comparisons(self) -> Iterator[tuple[Operator, str | float]]:
        stated: tuple[tuple[Operator, str | int | float | None], ...] = (
            ("=", self.is_value), ("!=", self.is_not), ("<", self.below), (">", self.above),
        )  # fmt: skip
        for operator, value in stated:
            if value is not None:
                yield operator, str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _one_condition(self) -> OwnCheck:
        own = _CONDITIONS[self.on]
        every = [name for names in _CONDITIONS.values() for name in names]
        given = [name for name in every if getattr(self, name) is not None]
        if len(given) != 1 or given[0] not in own:
            stated = " and ".join(given) or "none"
            raise ValueError(
                f"a check with `on: {self.on}` needs exactly one of {', '.join(own)}, but has "
                f"{stated}"
            )
        if len(list(self._comparisons())) != (1 if self.attribute is not None else 0):
            raise ValueError("`attribute` needs exactly one of is, is_not, below and above")
        if self.matches is not None:
            check_pattern(self.matches)
        return self
