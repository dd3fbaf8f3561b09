"""Evidence of the say-do probe: sentences that compare stated reasons with effects of deletion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from auditkit.metrics.stated_reasons import Deletion
from auditkit.probes.explanation.reason_controls import Measured
from auditkit.probes.explanation.reason_statements import Statement
from auditkit.types import Evidence

__all__ = ["foreign_reason", "repeated_reason", "user_of", "weakest_statements"]

_N_SHOWN = 5


def repeated_reason(one: Statement) -> Evidence:
    """Describe a reason that names a deleted item."""
    return Evidence(
        requests=(one.request_id,),
        what=f"{one.explained.item.title} was recommended because of {_stated(one)}; after the "
        "stated items were deleted from the history, the new reason still names one of them",
    )


def foreign_reason(one: Statement) -> Evidence:
    """Describe a reason that names an item which is not in the history."""
    names = ", ".join(one.reason.elsewhere)
    return Evidence(
        requests=(one.request_id,),
        what=f"the reason for {one.explained.item.title} names {names}, which is not in the "
        "history",
    )


def weakest_statements(
    kept: Mapping[str, Measured],
    deletions: Mapping[str, Deletion],
    adjusted_p: Mapping[str, float],
) -> list[Evidence]:
    """Describe statements without a positive deletion effect, the smallest effect first."""
    weakest = sorted(
        (user for user in deletions if deletions[user].effect <= 0),
        key=lambda user: deletions[user].effect,
    )
    found = []
    for user in weakest[:_N_SHOWN]:
        one = kept[user]
        explained, positions = one.statement.explained, one.statement.reason.positions
        rank = min(one.order.index(i) for i in positions) + 1
        adjusted = adjusted_p.get(user)
        p = "too few controls for a p-value" if adjusted is None else f"adjusted p {adjusted:.3g}"
        after = explained.outcomes[explained.without(positions)]
        first = "it stays first" if after.top == explained.item.id else "another item is first"
        found.append(
            Evidence(
                requests=(one.statement.request_id, after.request_id),
                what=f"{explained.item.title} was recommended because of {_stated(one.statement)}, "
                f"which ranks {rank} of {explained.n} by effect; deleting the stated items "
                f"has an effect of {deletions[user].effect:.2f} beyond that of deleting other "
                f"items ({p}), and {first}",
            )
        )
    return found


def _stated(one: Statement) -> str:
    titles = [one.explained.request.history[i].title for i in one.reason.positions]
    counts = Counter(titles)
    return " and ".join(title if n == 1 else f"{title} ({n} times)" for title, n in counts.items())


def user_of(one: Statement) -> str:
    """Return the id of the user to whom a statement was made."""
    return one.explained.user.id
