"""The linker on labeled titles that were written from the problem, not from its rules."""

from __future__ import annotations

from collections import Counter

import pytest
from linking_noise import KNOWN_KINDS, labeled_titles

from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker

N_EACH = 2000


@pytest.fixture(scope="module", params=[0, 1, 2])
def labeled(request, ml100k):
    rows = [(item.id, item.title, item.year) for item in ml100k.catalog.items]
    return labeled_titles(rows, seed=request.param, n_each=N_EACH)


@pytest.fixture(scope="module")
def linked(labeled):
    linker = TitleLinker(labeled.ids, TitleIndex.build(labeled.titles, labeled.years))
    links = linker.link([query.title for query in labeled.queries])
    return list(zip(labeled.queries, links, strict=True))


def test_the_set_holds_enough_of_every_kind(labeled):
    known = Counter(query.kind for query in labeled.queries if query.accepted)
    absent = Counter(query.kind for query in labeled.queries if not query.accepted)
    assert known.total() == absent.total() == N_EACH
    assert known.keys() == KNOWN_KINDS.keys()
    assert len(absent) == 10
    assert min(absent.values()) >= 100


def test_precision_recall_and_refusal_reach_their_targets(linked):
    right = sum(
        link.item_id in query.accepted
        or (link.reason == "ambiguous" and set(link.candidates) <= query.accepted)
        for query, link in linked
        if query.accepted
    )
    wrong = sum(
        link.item_id is not None and link.item_id not in query.accepted for query, link in linked
    )
    refused = sum(link.item_id is None for query, link in linked if not query.accepted)
    precision, recall = right / (right + wrong), right / N_EACH
    f1 = 2 * precision * recall / (precision + recall)
    print(f"P {precision:.4f} R {recall:.4f} F1 {f1:.4f} refusal {refused / N_EACH:.4f}")
    assert precision >= 0.995
    assert f1 >= 0.985
    assert refused / N_EACH >= 0.995


def test_no_sequel_and_no_remake_of_another_time_is_linked(linked):
    kinds = {"sequel that is not there", "other sequel number", "sequel number dropped", "remake"}
    assert [link for query, link in linked if query.kind in kinds and link.item_id] == []
