"""One check of training data: a share of rows, users, items or texts, and its limit."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

__all__ = ["MAX_EXAMPLES", "DataCheck", "share"]

MAX_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """What was counted.

    Attributes:
        id: such as `split.repeated_pair`.
        about: what the value is, as a noun phrase.
        value: the share, or another number as `about` says; None if it could not be counted.
        count: number of faulty units; None if the value is not a share of units.
        n: number of units.
        unit: what is counted.
        limit: the value from which the check is flagged; None for a description without a limit.
        low: lower end of the 95 % interval, if the units are a sample; else the count is complete.
        high: upper end.
        examples: at most five cases.
        reason: why the value is None.
        metric: metric of an audit that shows the same in a model's answers.
        group: group of that metric.
    """

    id: str
    about: str
    value: float | None
    n: int
    unit: str
    count: int | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    examples: tuple[str, ...] = ()
    reason: str | None = None
    metric: str | None = None
    group: str = "all"

    @property
    def flagged(self) -> bool:
        """Whether the value is above its limit; of a sample, whether its interval is."""
        if self.value is None or self.limit is None:
            return False
        return (self.value if self.low is None else self.low) > self.limit

    def as_json(self) -> dict[str, JsonValue]:
        """The check as it is printed by `--json`."""
        return {
            "id": self.id, "about": self.about, "value": self.value, "count": self.count,
            "n": self.n, "unit": self.unit, "limit": self.limit, "low": self.low,
            "high": self.high, "flagged": self.flagged, "examples": list(self.examples),
            "reason": self.reason,
        }  # fmt: skip


def share(check: str, about: str, count: int, n: int, unit: str, **fields: object) -> DataCheck:
    """A complete count of units with a property; without units there is no value."""
    reason = None if n else f"the data have no {unit}"
    return DataCheck(
        id=check, about=about, value=count / n if n else None, count=count, n=n, unit=unit,
        reason=reason, **fields,  # type: ignore[arg-type]
    )  # fmt: skip
