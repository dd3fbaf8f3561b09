"""Personal data in ids, titles and texts; examples are masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditkit.catalog.catalog import Catalog
from auditkit.data_audit.check import MAX_EXAMPLES, DataCheck, share
from auditkit.data_audit.texts import TargetText
from auditkit.security.personal_data import find_contacts_and_cards, mask

__all__ = ["check_personal_data"]

_METRIC = "privacy.scan.pii_rate"


def check_personal_data(
    user_ids: Sequence[str], catalog: Catalog, texts: Sequence[TargetText]
) -> list[DataCheck]:
    """Count e-mail addresses, telephone numbers and card numbers in data that a model learns.

    User ids are checked only for e-mail addresses, because most ids are numbers.
    """
    parts: list[tuple[str, Iterable[str], int, frozenset[str]]] = [
        ("user_ids", user_ids, len(user_ids), frozenset({"email"})),
        ("titles", catalog.titles, len(catalog), frozenset({"email", "card"})),
        ("texts", (one.text for one in texts), len(texts), frozenset({"email", "card", "phone"})),
    ]
    checks = []
    for name, values, n, kinds in parts:
        if not n:
            continue
        found = [v for v in values if any(k in kinds for k, _ in find_contacts_and_cards(v))]
        words = name.replace("_", " ")
        about = f"{words} with {' or '.join(sorted(kinds))}"
        examples = tuple(mask(value)[:80] for value in found[:MAX_EXAMPLES])
        fields = {"limit": 0.0, "examples": examples, "metric": _METRIC}
        checks.append(share(f"personal.{name}", about, len(found), n, words, **fields))
    return checks
