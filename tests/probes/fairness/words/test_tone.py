"""The word list finds opinions, hedges and courtesy; its stated error rates are measured again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auditkit.probes.fairness.words.tone import _lexicon, measured_tone, read_tone

SENTENCES = yaml.safe_load(
    (Path(__file__).parents[3] / "support/tone_sentences.yaml").read_text(encoding="utf-8")
)


def sign(text):
    found = read_tone(text).sentiment
    return (found > 0) - (found < 0)


def test_stated_error_rates_are_those_on_the_labeled_sentences():
    found = [sign(text) == 1 for text in SENTENCES["positive"]]
    found += [sign(text) == -1 for text in SENTENCES["negative"]]
    refused = [sign(text) == 0 for text in SENTENCES["neutral"]]
    assert len(found) + len(refused) == 60
    measured = measured_tone()
    assert measured.sensitivity.value == sum(found) / len(found)
    assert measured.specificity.value == sum(refused) / len(refused)
    assert measured.sensitivity.low < measured.sensitivity.value


def test_word_lists_are_large_and_no_word_is_in_both():
    positive, negative = (
        set(words.split()) for words in (_lexicon().positive, _lexicon().negative)
    )
    assert min(len(positive), len(negative)) >= 150
    assert not positive & negative


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("A good film.", 1),
        ("It is not a good film.", -1),
        ("It isn\u2019t boring.", 1),
        ("Not only good, but great.", 1),
        ("I have not seen it, a great film.", 1),  # the comma ends the negation
        ("Good cast, dull plot.", 0),
        ("A murder in a dark war.", 0),  # content is no opinion
        ("", 0),
    ],
)
def test_negation_turns_an_opinion_around_within_its_clause(text, sentiment):
    assert read_tone(text).sentiment == sentiment


def test_hedges_and_courtesy_are_counted_by_sentence():
    tone = read_tone("You might enjoy this. It might be long, perhaps. I think so!\nThe end.")
    assert (tone.sentences, tone.hedged, tone.courteous) == (4, 3, 1)
    assert tone.hedging == 0.75
    assert tone.words == 14


@given(st.text(max_size=200))
def test_measures_stay_in_their_ranges(text):
    tone = read_tone(text)
    assert -1 <= tone.sentiment <= 1
    assert 0 <= tone.hedging <= 1
    assert 0 <= tone.courtesy <= 1


@given(st.lists(st.sampled_from([*SENTENCES["positive"], *SENTENCES["neutral"]]), min_size=1))
def test_counts_of_a_text_are_the_sums_over_its_sentences(sentences):
    whole = read_tone("\n".join(sentences))
    assert whole == tuple(map(sum, zip(*map(read_tone, sentences), strict=True)))
