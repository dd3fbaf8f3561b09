"""The training tasks by their names in recipes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditkit.training.rows import graph_tasks, item_tasks, user_tasks
from auditkit.training.rows.batches import Masked, Pair, Row
from auditkit.training.rows.task import Task

__all__ = ["TASKS"]

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "recommend": Task("stretch", Row, user_tasks.recommend, worded=False),
        "describe": Task("item", Row, item_tasks.describe, worded=False),
        "fact": Task("item", Row, graph_tasks.fact),
        "relation_path": Task("event", Row, graph_tasks.relation_path),
        "direct": Task("event", Row, user_tasks.direct),
        "rating": Task("event", Row, user_tasks.rating),
        "title": Task("item", Row, item_tasks.title),
        "explanation": Task("event", Row, user_tasks.explanation),
        "preference": Task("event", Row, user_tasks.preference),
        "intention": Task("event", Row, user_tasks.intention),
        "rerank": Task("event", Row, user_tasks.rerank),
        "masked_behavior": Task("stretch", Row, user_tasks.masked_behavior),
        "like": Task("event", Row, user_tasks.like),
        "match": Task("event", Pair, user_tasks.match, worded=False),
        "masked_text": Task("item", Masked, item_tasks.masked_text, worded=False),
    }
)
