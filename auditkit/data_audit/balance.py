"""Checks of balance: groups of users, unknown attributes, and popularity."""

from __future__ import annotations

from collections import Counter

import numpy as np

from auditkit.catalog.interactions import Interactions
from auditkit.data_audit.check import DataCheck, share
from auditkit.metrics.exposure import gini

__all__ = ["check_balance"]

_UNKNOWN = "unknown"
_MOST_VALUES = 20  # an attribute of more values, such as an id, is not a grouping


def check_balance(rows: Interactions) -> list[DataCheck]:
    """Measure the inequality of item popularity (Gini coefficient; interaction share of the least
    popular four fifths of items) and, for each user attribute, the shares of users with its most
    common value and with no known value.
    """
    counts = np.bincount(rows.item_index, minlength=len(rows.item_ids))
    top = np.sort(counts)[::-1][: max(1, len(counts) // 5)]
    names = sorted({name for own in rows.attributes for name in own})
    checks = [
        DataCheck(
            id="balance.popularity_gini", about="inequality of interactions over items (Gini)",
            value=gini(counts.astype(float)), n=len(counts), unit="items",
            metric="fairness.exposure.gini",
        ),
        DataCheck(
            id="balance.tail_share",
            about="share of interactions with items outside the most popular fifth",
            value=1 - float(top.sum() / counts.sum()) if counts.sum() else None,
            n=len(rows), unit="rows", metric="fairness.exposure.tail_share",
            reason=None if counts.sum() else "the data have no rows",
        ),
    ]  # fmt: skip
    for name in names:
        checks += _check_attribute(rows, name)
    return checks


def _check_attribute(rows: Interactions, name: str) -> list[DataCheck]:
    values = Counter(own.get(name, _UNKNOWN) for own in rows.attributes)
    unknown = values.pop(_UNKNOWN, 0)
    known = sum(values.values())
    checks = [
        share(
            f"balance.unknown[{name}]", f"users whose {name} is not known", unknown,
            len(rows.attributes), "users", limit=0.2,
        )
    ]  # fmt: skip
    if not 2 <= len(values) <= _MOST_VALUES:
        return checks
    shares = ", ".join(f"{value} {n / known:.1%}" for value, n in values.most_common())
    largest, n_largest = values.most_common(1)[0]
    return [
        share(
            f"balance.largest_group[{name}]", f"users of the most frequent {name}, {largest}",
            n_largest, known, f"users with a known {name}", limit=0.8, examples=(shares,),
            metric="fairness.group_utility.ndcg_gap", group=name,
        ),
        *checks,
    ]  # fmt: skip
