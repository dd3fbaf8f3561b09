"""One check of training data: a share of rows, users, items or texts, and its limit."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

__all__ = ["MAX_EXAMPLES", "DataCheck", "share"]

MAX_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """Result of one check of the data.

    Attributes:
        id: id of the check, such as `split.repeated_pair`.
        about: noun phrase that describes the value or, for a share, the counted units.
        value: share of units in [0, 1], or another number that `about` describes; None if it could
            not be computed.
        count: number of units with the property; None if the value is not a share of units.
        n: number of units.
        unit: plural noun for the units.
        limit: the check is flagged if the value is above this; None if it is never flagged.
        low: lower end of the 95 % interval if the units are a sample; None if all units were
            counted.
        high: upper end of the interval, or None.
        examples: at most five units with the property.
        reason: why the value is None.
        metric: id of the audit metric that measures the related effect in a model's responses.
        group: group of that metric in an audit.
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
        """Whether the value or, for a sample, the lower end of its interval is above the limit."""
        if self.value is None or self.limit is None:
            return False
        return (self.value if self.low is None else self.low) > self.limit

    def as_json(self) -> dict[str, JsonValue]:
        """The check as a JSON object, as `--json` prints it."""
        return {
            "id": self.id, "about": self.about, "value": self.value, "count": self.count,
            "n": self.n, "unit": self.unit, "limit": self.limit, "low": self.low,
            "high": self.high, "flagged": self.flagged, "examples": list(self.examples),
            "reason": self.reason,
        }  # fmt: skip


def share(check: str, about: str, count: int, n: int, unit: str, **fields: object) -> DataCheck:
    """Build a check from a complete count of units with a property; with n = 0, the value is
    None.
    """
    reason = None if n else f"the data have no {unit}"
    return DataCheck(
        id=check, about=about, value=count / n if n else None, count=count, n=n, unit=unit,
        reason=reason, **fields,  # type: ignore[arg-type]
    )  # fmt: skip
