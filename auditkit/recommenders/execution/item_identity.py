"""Ids by which the items of lists are compared: catalog ids or, for items without one, normalized
titles.
"""

from __future__ import annotations

import re
import unicodedata

from auditkit.types import Response

__all__ = ["identity", "item_ids"]

_YEAR = re.compile(r"\(\d{4}\)")


def item_ids(response: Response) -> list[str]:
    """Ids of the items of a list, best first: the catalog id of a linked item, otherwise its
    normalized title.
    """
    return [item.item_id or f"raw:{identity(item.raw)}" for item in response.items]


def identity(title: str) -> str:
    """Normalized title, used to compare items without a catalog id: NFKC, casefolded, with
    collapsed spaces and without a year in parentheses.
    """
    folded = unicodedata.normalize("NFKC", title).casefold()
    return " ".join(_YEAR.sub(" ", folded).split()) or " ".join(folded.split())
