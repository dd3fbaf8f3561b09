"""Own checks: how often do responses violate the conditions that the recipe states?

One neutral request per user serves all checks. Each check is a metric `check.<id>`: the mean over
users of the share of violations, so the items of one list do not count as independent. Items and
texts that cannot be judged are left out of the denominator and counted. See
docs/how-to/write-your-own-check.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from auditkit.errors import InvalidArgument
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    User,
    finding,
    neutral_request,
    split_by_status,
)
from auditkit.probes.own_checks.check import OwnCheck
from auditkit.probes.own_checks.violations import (
    MOST_CHARACTERS,
    Violations,
    not_assessable,
    violations_in,
)
from auditkit.probes.robustness.response_text import text_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Evidence, Finding, Response

__all__ = ["OwnChecksProbe"]

_SHOWN = 5
_UNITS = {"items": "fraction of items", "answer": "fraction of users", "text": "fraction of users"}


@dataclass(frozen=True, kw_only=True)
class OwnChecksProbe:
    """Rates of violations of the checks in a recipe.

    Attributes:
        checks: the checks; ids are unique.
        n_users: number of users, with one request each.
        k: requested number of items.
    """

    checks: tuple[OwnCheck, ...] = ()
    n_users: int = 100
    k: int = 10
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        ids = [check.id for check in self.checks]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise InvalidArgument(
                f"the check id {twice[0]!r} occurs twice. Give every check a different id."
            )
        if min(self.n_users, self.k) < 1:
            raise InvalidArgument(
                f"check got n_users={self.n_users}, k={self.k}. Give at least 1 for each."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request one list per user and yield one finding per check."""
        users = context.sample_users(self.n_users)
        responses = target.recommend([neutral_request(user, k=self.k) for user in users])
        for check in self.checks:
            yield self._finding(check, target, context, users, responses)

    def _finding(
        self,
        check: OwnCheck,
        target: Target,
        context: Context,
        users: Sequence[User],
        responses: Sequence[Response],
    ) -> Finding:
        kept, _ = split_by_status(responses, UTILITY_STATUSES)
        fault = not_assessable(check, target.catalog)
        found = {} if fault else {
            row: violations_in(
                check, responses[row], users[row], target.catalog, text_of(responses[row])
            )
            for row in kept
        }  # fmt: skip
        shares = {row: one.share for row, one in found.items() if one.share is not None}
        measured = bootstrap_mean(
            list(shares.values()),
            rng=context.rng(check.id),
            unit=_UNITS[check.on],
            direction="lower",
            n_missing=len(users) - len(shares),
            reason=f"not_assessable: {fault}" if fault else _nothing_judged(check),
            limits=(0, 1),
        )
        return finding(
            context,
            f"check.{check.id}",
            measured,
            parameters={
                "k": self.k,
                "n_users": self.n_users,
                "check": check.model_dump(mode="json", by_alias=True, exclude_none=True),
                "undecided": sum(one.undecided for one in found.values()),
            },
            units=[(users[row].id, value, 1.0) for row, value in shares.items()],
            evidence=_worst(check, users, responses, found),
            n_cases=sum(one.n > 0 for one in found.values()),
            notes=_notes(check, [text_of(responses[row]) for row in kept]),
        )


def _nothing_judged(check: OwnCheck) -> str:
    if check.on != "items":
        return "no request was answered"
    what = "history" if check.in_history else f"value of {check.attribute}"
    return f"no listed item is in the catalog and has a known {what}"


def _notes(check: OwnCheck, texts: Sequence[str]) -> list[str]:
    cut = sum(len(text) > MOST_CHARACTERS for text in texts) if check.on == "text" else 0
    shortened = f"only the first {MOST_CHARACTERS:,} characters of {cut} longer texts were checked"
    return [check.about, *([shortened] if cut else [])]


def _worst(
    check: OwnCheck,
    users: Sequence[User],
    responses: Sequence[Response],
    found: Mapping[int, Violations],
) -> list[Evidence]:
    """Cite up to five responses with the largest shares of violations."""
    wrong = [(row, one) for row, one in found.items() if one.n]
    wrong.sort(key=lambda pair: (-(pair[1].share or 0.0), pair[0]))
    return [
        Evidence(
            requests=(responses[row].request_id,),
            what=f"user {users[row].id}: {check.id}, "
            + (f"{one.n} of {one.of} items: " if check.on == "items" else "")
            + one.example,
        )
        for row, one in wrong[:_SHOWN]
    ]
