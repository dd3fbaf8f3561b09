"""Tasks about one catalog item: describe it, name it, or fill in masked tokens of its text."""

from __future__ import annotations

import numpy as np

from auditkit.training.rows.batches import NO_TARGET, Masked, Row
from auditkit.training.rows.task import Rows

__all__ = ["describe", "masked_text", "title"]

_MASKED_SHARE = 0.15


def describe(rows: Rows, item: int, rng: np.random.Generator) -> Row:
    """Row that describes an item by its genres and year."""
    wording = int(rng.integers(len(rows.prompts.describe)))
    question = rows.prompts.render_description(rows.item(item), wording=wording)
    return rows.text_row(question, rows.prompts.description.format(**rows.values(item)))


def title(rows: Rows, item: int, rng: np.random.Generator) -> Row:
    """Row that names the item with given genres and year."""
    question = rows.prompts.ask("title", wording=int(rng.integers(2)), item=rows.item(item))
    return rows.text_row(question, rows.prompts.answer("title", title=rows.item(item).title))


def masked_text(rows: Rows, item: int, rng: np.random.Generator) -> Masked:
    """Row of catalog text with masked tokens, as in BERT but without random replacements."""
    words = rows.prompts.description.format(**rows.values(item))
    ids = rows.encode(rows.item(item).title + words)
    hidden = rng.random(len(ids)) < _MASKED_SHARE
    hidden[rng.integers(len(ids))] = True
    shown = [rows.mask if h else token for token, h in zip(ids, hidden, strict=True)]
    targets = [token if h else NO_TARGET for token, h in zip(ids, hidden, strict=True)]
    return Masked(tuple(shown), tuple(targets))
