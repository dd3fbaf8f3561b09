"""All checks of one data set, in the order in which they are printed."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Sequence

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.linking.normalize import full_key
from auditkit.data_audit.balance import check_balance
from auditkit.data_audit.check import MAX_EXAMPLES, DataCheck, share
from auditkit.data_audit.events import check_ratings, check_rows, check_times
from auditkit.data_audit.personal import check_personal_data
from auditkit.data_audit.split_leakage import check_split
from auditkit.data_audit.texts import TargetText, check_facts, check_repeats

__all__ = ["audit_data"]


def audit_data(
    dataset: Dataset,
    *,
    texts: Sequence[TargetText] = (),
    seed: int = 0,
    as_of: datetime.datetime | None = None,
    progress: Callable[[str, int], None] = lambda what, n: None,
) -> list[DataCheck]:
    """Check interactions, users, items and target texts.

    Args:
        dataset: items and interactions, with the split that training uses.
        texts: texts that the recommender learns to write, such as explanations.
        seed: seed of the sample of texts and of the hashes that find near copies.
        as_of: times after this are reported as impossible; by default the current time.
        progress: called with the name of the current step and the number of units since the last
            call.
    """
    rows, catalog = dataset.interactions, dataset.catalog
    today = as_of or datetime.datetime.now(datetime.UTC)
    progress("comparing training with the held-out items", len(rows))
    checks = check_split(rows, seed=seed)
    progress("checking interactions", len(rows))
    checks += [*check_rows(rows), *check_times(rows, catalog.years, as_of=today)]
    checks += [*check_ratings(rows), *check_balance(rows)]
    progress("checking titles and ids", len(catalog))
    checks += [_same_titles(catalog), *check_personal_data(rows.user_ids, catalog, texts)]
    if texts:
        checks += check_facts(texts, catalog, seed=seed, progress=progress)
        progress("comparing texts", len(texts))
        checks += check_repeats(texts, seed=seed)
    return checks


def _same_titles(catalog: Catalog) -> DataCheck:
    """Items with the same title and year as another item, which a model cannot distinguish."""
    keys = [
        (full_key(title), year) for title, year in zip(catalog.titles, catalog.years, strict=True)
    ]
    shared = {key for key, n in Counter(keys).items() if n > 1}
    rows = [row for row, key in enumerate(keys) if key in shared]
    return share(
        "catalog.same_title", "items that share title and year with another item", len(rows),
        len(catalog), "items", limit=0.05,
        examples=tuple(catalog.titles[row] for row in rows[:MAX_EXAMPLES]),
    )  # fmt: skip
