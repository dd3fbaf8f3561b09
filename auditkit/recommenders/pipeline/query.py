"""Search queries between two stages of a pipeline: one writes the text, and the next reads it.

Every written query is compared with the plain query, which is the titles of the latest history
items. A language model that is not better than the plain query costs a call without any gain. See
docs/how-to/audit-a-pipeline.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.recommenders.prompting.reasoning import without_reasoning
from auditkit.types import Item

__all__ = ["history_query", "query_in"]

N_LATEST = 10  # items of the history in the plain query
MAX_LETTERS = 1_000
_QUOTES = "\"'`\u201c\u201d\u201e\u00ab\u00bb*"
_LABELS = ("search query:", "query:")


def query_in(text: str) -> str:
    """Extract the search query from the text of a model. Reasoning, label and quotes are removed;
    the result is one line of at most 1,000 characters, and may be empty.
    """
    line = " ".join(without_reasoning(text).text.split()).strip(_QUOTES + " ")
    for label in _LABELS:
        if line.lower().startswith(label):
            line = line[len(label) :].strip(_QUOTES + " ")
            break
    return line[:MAX_LETTERS]


def history_query(history: Sequence[Item]) -> str:
    """The titles of the latest ten history items as a search query, oldest first."""
    return " ".join(item.title for item in history[-N_LATEST:])
