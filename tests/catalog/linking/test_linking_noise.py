"""The linker on labeled titles that were written from the problem, not from its rules."""

from __future__ import annotations

import random
import string
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
    assert precision >= 0.998
    assert recall >= 0.98
    assert refused / N_EACH >= 0.997


def misspelled(title, rng, edits):
    """A title with letters left out, doubled, replaced or swapped; its year stays."""
    core, year = title[: title.rindex(" (")], title[title.rindex(" (") :]
    for _ in range(edits):
        letters = [i for i, letter in enumerate(core) if letter.isalpha()]
        i, new = rng.choice(letters), rng.choice(string.ascii_lowercase)
        swapped = core[i + 1 : i + 2] + core[i] + core[i + 2 :]
        core = core[:i] + rng.choice([core[i + 1 :], new + core[i:], new + core[i + 1 :], swapped])
    return core + year


@pytest.mark.parametrize(("edits", "least"), [(1, 0.985), (2, 0.965)])
def test_misspelled_titles_with_their_year_are_found(ml100k, edits, least):
    catalog, rng = ml100k.catalog, random.Random(4)
    items = [i for i in catalog.items if i.year and sum(map(str.isalpha, i.title)) > 3]
    written = [misspelled(item.display_title, rng, edits) for item in items]
    links = catalog.link(written)
    right = sum(item.id in link.candidates for item, link in zip(items, links, strict=True))
    wrong = sum(
        link.item_id is not None and item.id not in link.candidates
        for item, link in zip(items, links, strict=True)
    )
    print(
        f"{edits} edits: recall {right / len(items):.4f}, precision {right / (right + wrong):.4f}"
    )
    assert right / len(items) >= least
    assert right / (right + wrong) >= 0.998


def test_no_sequel_and_no_remake_of_another_time_is_linked(linked):
    kinds = {"sequel that is not there", "other sequel number", "sequel number dropped", "remake"}
    assert [link for query, link in linked if query.kind in kinds and link.item_id] == []
