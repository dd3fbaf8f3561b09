"""The figures about our own detectors that every report shows are measured here again."""

from __future__ import annotations

import json
from importlib.resources import files

from labeled_claims import CORE, film_catalog, labeled, score
from linking_noise import labeled_titles

from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker
from auditkit.catalog.quality.measured_quality import measured_quality
from auditkit.claims.reader import ClaimReader


def linker_row(ml100k) -> dict:
    rows = [(item.id, item.title, item.year) for item in ml100k.catalog.items]
    known = labeled_titles(rows, seed=0, n_each=2000)
    linker = TitleLinker(known.ids, TitleIndex.build(known.titles, known.years))
    found = [0, 0]
    refused = [0, 0]
    for query, link in zip(
        known.queries, linker.link([q.title for q in known.queries]), strict=True
    ):
        if query.accepted:
            right = link.item_id in query.accepted
            right |= link.reason == "ambiguous" and set(link.candidates) <= query.accepted
            found = [found[0] + right, found[1] + 1]
        else:
            refused = [refused[0] + (link.item_id is None), refused[1] + 1]
    return {
        "name": "title linker, labeled titles",
        "unit": "fraction of titles",
        "found": found,
        "refused": refused,
        "method": "MovieLens-100k titles in 24 kinds of noise must be found, absent titles of ten "
        "kinds (sequels, remakes, words replaced) refused",
    }


def claims_row() -> dict:
    scores = score(ClaimReader(film_catalog()), labeled("unseen"))
    found = sum(scores.hits[relation] for relation in CORE)
    missed = sum(scores.missed[relation] for relation in CORE)
    wrong = scores.supported_called_contradicted
    return {
        "name": "claim reader, labeled texts",
        "unit": "fraction of claims",
        "found": [found, found + missed],
        "refused": [scores.n_supported - wrong, scores.n_supported],
        "method": "genre, year and director claims of hand-written explanations must be found, "
        "true ones not called contradicted",
    }


def test_the_figures_in_every_report_are_what_the_labeled_sets_give(ml100k):
    text = (files("auditkit.catalog.quality") / "measured_quality.json").read_text("utf-8")
    measured = [linker_row(ml100k), claims_row()]
    assert json.loads(text) == measured, f"write this:\n{json.dumps(measured, indent=2)}"


def test_the_figures_carry_intervals():
    for detector in measured_quality():
        for share in (detector.sensitivity, detector.specificity):
            assert share.low < share.value <= share.high
