"""Parts of a rule in a policy file: limits, margins, groups, and conditions that must all hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditkit.policy.vocabulary import Count, Group, Limits, MetricId, Number

__all__ = ["BaselineMargin", "Condition", "GroupRule", "Limited", "Strict"]


class Strict(BaseModel):
    """A section of a policy; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limited(Strict):
    """A section with limits: `max`, `min`, or `range: [low, high]`."""

    max: Number | None = None
    min: Number | None = None
    range: tuple[Number, Number] | None = None

    def limits(self) -> Limits | None:
        """The limits that this section states; None without limits."""
        if self.range is not None:
            return Limits(*self.range)
        return None if self.max is None and self.min is None else Limits(self.min, self.max)

    @model_validator(mode="after")
    def _ordered(self) -> Limited:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)} must be [low, high] with low < high")
        return self


class BaselineMargin(Strict):
    """How much worse than the baseline a metric may be, in the unit of the metric."""

    non_inferior: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class GroupRule(Limited):
    """The condition of a rule, applied to every group of the attributes in `by`."""

    by: Annotated[tuple[Group, ...], Field(min_length=1)]
    min_n: Count | None = None
    decide: Literal["no_fail", "all_pass"] = "no_fail"

    @model_validator(mode="after")
    def _one_limit(self) -> GroupRule:
        if sum(limit is not None for limit in (self.max, self.min, self.range)) > 1:
            raise ValueError("`groups` takes at most one of max, min, range")
        return self


class Condition(Limited):
    """One of several limits on metrics that a rule with `all_of` requires together."""

    metric: MetricId
    group: Group = "all"
    at: Mapping[str, str | int | float | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_limit(self) -> Condition:
        if sum(limit is not None for limit in (self.max, self.min, self.range)) != 1:
            raise ValueError("a condition takes exactly one of max, min, range")
        return self
