from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.perturb.attempt import Outcome
from auditkit.perturb.noise import NOISE
from auditkit.perturb.searches import SEARCHES, SearchSpace
from auditkit.perturb.span_edits import applied, edits_between, n_edited_words
from auditkit.perturb.threat_model import ThreatModel, editable_text, with_text
from auditkit.types import Item, Request

PIECES = (
    "{history}", "{k}", "(1995)", "Toy Story (1995)", "Schindler's List:", "İstanbul", "Straße",
    "watch", "movies", "the", "d\u2019accord", "ﬁlm", "東京", "naïve,", "\u200b", "best-first",
)  # fmt: skip
PROTECTED = ("Toy Story (1995)", "Schindler's List:", "İstanbul", "Straße", "(1995)", "東京")
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map(" ".join)


def instruction(text: str, threat: ThreatModel):
    return editable_text(Request(instruction=text), threat)


@settings(max_examples=60)
@given(
    written=TEXTS,
    seed=st.integers(0, 99),
    search=st.sampled_from(sorted(SEARCHES)),
    operator=st.sampled_from([*NOISE, "all"]),
)
def test_protected_spans_are_byte_equal_in_every_text_of_every_search(
    written, seed, search, operator
):
    operators = tuple(NOISE) if operator == "all" else (operator,)
    text = instruction(written, ThreatModel(protected=PROTECTED, operators=operators))
    if not text.words:
        return
    rng = np.random.default_rng(seed)
    searching = SEARCHES[search](SearchSpace(text, 3, operators, -1.0), rng)
    asked = next(searching, None)
    for _ in range(40):
        if asked is None:
            break
        for edits in asked.candidates:
            assert len({(e.begin, e.end) for e in edits}) == len(edits) <= 3
            assert all((e.begin, e.end) in text.words for e in edits)
            after = applied(text.text, edits)
            at = 0
            for span in text.protected:
                piece = text.text[span.begin : span.end].encode()
                moved = sum(len(e.text) - (e.end - e.begin) for e in edits if e.end <= span.begin)
                at = span.begin + moved
                assert after[at : at + span.end - span.begin].encode() == piece
        outcomes = [Outcome(float(rng.normal())) for _ in asked.candidates]
        try:
            asked = searching.send(outcomes)
        except StopIteration:
            asked = None


def test_slots_years_and_phrases_are_protected_and_stopwords_are_not_words():
    text = instruction("Find {k} of the films, please", ThreatModel(protected=("films",)))
    words = [text.text[w.begin : w.end] for w in text.words]
    assert words == ["Find", "please"]
    assert text.keeps_protected("Fnid {k} of the films, plaese")
    assert not text.keeps_protected("Find {k} of the filns, please")
    assert not text.keeps_protected("Find {k} {k} of the films, please")


def test_titles_of_the_history_keep_their_number_and_years():
    titles = ("Heat (1995)", "Amélie: (2001)")
    request = Request(history=tuple(Item(str(i), t) for i, t in enumerate(titles)))
    threat = ThreatModel(surface="history")
    text = editable_text(request, threat)
    edited = with_text(request, threat, text.text.replace("Heat", "Haet"))
    assert [item.title for item in edited.history] == ["Haet (1995)", "Amélie: (2001)"]
    assert [item.id for item in edited.history] == ["0", "1"]


def test_the_title_of_one_candidate_is_edited_where_the_surface_is_an_item():
    request = Request(candidates=(Item("1", "Heat (1995)"), Item("2", "Casino (1995)")))
    threat = ThreatModel(surface="item", item_surface="prompt_only")
    assert editable_text(request, threat, item="2").text == "Casino (1995)"
    edited = with_text(request, threat, "Csaino (1995)", item="2")
    assert [item.title for item in edited.candidates] == ["Heat (1995)", "Csaino (1995)"]
    with pytest.raises(InvalidArgument, match="not among the candidates"):
        editable_text(request, threat, item="3")


@pytest.mark.parametrize(("words", "limit"), [(1, 1), (4, 2), (8, 4), (10, 5), (40, 5), (200, 20)])
def test_the_word_limit_is_a_tenth_and_never_more_than_half(words, limit):
    assert ThreatModel().word_limit(words) == limit
    assert ThreatModel(max_words=3).word_limit(words) == min(3, max(1, words // 2))


def test_the_floor_of_similarity_depends_on_the_word_limit():
    assert ThreatModel(max_words=3).chrf_floor(40) == 0.85
    assert ThreatModel().chrf_floor(40) == 0.75
    assert ThreatModel(min_chrf=0.9).chrf_floor(40) == 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": 0},
        {"max_words": 0},
        {"min_cosine": 1.5},
        {"surface": "item"},
        {"item_surface": "id"},
        {"operators": ()},
        {"operators": ("magic",)},
    ],
)
def test_contradictory_threat_models_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="Give"):
        ThreatModel(**wrong)


@given(written=TEXTS, seed=st.integers(0, 99))
def test_edits_between_two_texts_lead_from_one_to_the_other(written, seed):
    text = instruction(written, ThreatModel(protected=PROTECTED))
    rng = np.random.default_rng(seed)
    space = SearchSpace(text, 3, ("typing", "keyboard"), 0.0)
    after = applied(text.text, space.random_edits(text.words, 3, rng))
    if text.keeps_protected(after):
        found = edits_between(text, after)
        assert applied(text.text, found) == after
        assert n_edited_words(text.text, found) <= 3


def test_an_edit_of_a_letter_is_shown_as_an_edit_of_its_word():
    text = instruction("Find new films", ThreatModel())
    assert [tuple(e) for e in edits_between(text, "Find nwe films")] == [(5, 8, "nwe")]
    assert n_edited_words(text.text, edits_between(text, "Fi nd nwe films")) == 2
