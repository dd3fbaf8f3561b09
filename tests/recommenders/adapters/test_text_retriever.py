"""BM25 over titles and facts, against the formula and as a recommender."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
from small_world import world

from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.recommenders.adapters.text_retriever import item_texts
from auditkit.types import Item, Request

ITEMS = world().catalog.items


def by_the_formula(query: str, texts: list[str], k1: float = 1.5, b: float = 0.75):
    """Okapi BM25 with the inverse document frequency of Lucene, without its constant (k1 + 1)."""
    documents = [re.findall(r"\w+", text.casefold()) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    total = np.zeros(len(documents))
    for word in re.findall(r"\w+", query.casefold()):
        n = sum(word in document for document in documents)
        if not n:
            continue
        idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        for row, document in enumerate(documents):
            tf = Counter(document)[word]
            total[row] += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean))
    return total


@pytest.mark.parametrize(
    "query", ["toy story", "Comedy 1995", "drama Drama drama", "zzyzx", "", "story zzyzx"]
)
def test_scores_equal_the_formula(query):
    expected = by_the_formula(query, item_texts(world().catalog))
    np.testing.assert_allclose(load_baseline("bm25", world()).scores(query), expected, atol=1e-5)


def test_the_title_as_the_query_finds_the_item_first():
    bm25 = load_baseline("bm25", world())
    asked = [Request(id=item.id, prompt=item.display_title, k=3) for item in ITEMS]
    best = [answer.items[0].item_id for answer in bm25.recommend(asked)]
    assert np.mean([one == item.id for one, item in zip(best, ITEMS, strict=True)]) > 0.95


def test_only_candidates_outside_the_history_that_share_a_word_are_listed():
    bm25 = load_baseline("bm25", world())
    rows = [Item(item.id, item.display_title) for item in ITEMS[:6]]
    query = " ".join(item.title for item in rows[:4])
    (answer,) = bm25.recommend(
        [Request(id="r", prompt=query, candidates=tuple(rows[1:]), history=(rows[1],), k=10)]
    )
    listed = [item.item_id for item in answer.items]
    assert set(listed) <= {item.id for item in rows[2:]}
    assert {rows[2].id, rows[3].id} <= set(listed[:2])
    (nothing,) = bm25.recommend([Request(id="r", prompt="zzyzx", k=10)])
    assert (nothing.status, nothing.items) == ("no_answer", ())


def test_facts_of_the_graph_are_searched():
    genre = ITEMS[0].genres[0]
    bm25 = load_baseline("bm25", world())
    (answer,) = bm25.recommend([Request(id="r", prompt=genre, k=5)])
    by_id = {item.id: item for item in ITEMS}
    assert all(genre in by_id[one.item_id].genres for one in answer.items)
