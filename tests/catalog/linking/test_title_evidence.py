from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.linking.title_evidence import edit_nats, prior_log_odds, text_nats

TITLES = st.text("abcdefg ", min_size=1, max_size=20).filter(lambda text: text.strip())


def no_word(token):
    return False


def test_edits_cost_what_they_are_likely():
    # One of four kinds at one of four letters; a letter put in is one of 26.
    assert exp(-edit_nats("het", "heat", 1)) == pytest.approx(1 / 16)
    assert exp(-edit_nats("haet", "heat", 1)) == pytest.approx(1 / 16)
    assert exp(-edit_nats("heaxt", "heat", 1)) == pytest.approx(1 / (16 * 26))
    assert exp(-edit_nats("htx", "heat", 2)) == pytest.approx(1 / (16 * 16 * 26))
    assert edit_nats("heat", "heat", 0) == 0.0


def test_the_probabilities_of_all_single_edits_add_up_to_one():
    title, letters = "gold", "abcdefghijklmnopqrstuvwxyz"
    forms = []
    for i in range(len(title)):
        forms.append(title[:i] + title[i + 1 :])
        forms.append(title[:i] + title[i + 1 : i + 2] + title[i] + title[i + 2 :])
        forms += [title[:i] + letter + title[i:] for letter in letters]
        forms += [title[:i] + letter + title[i + 1 :] for letter in letters]
    total = sum(exp(-edit_nats(form, title, 1)) for form in forms)
    # More than one: a few replaced letters are the letter itself, or occur elsewhere in the title.
    assert 1 <= total < 1.3


def test_a_text_of_words_says_less_and_one_word_says_nothing():
    for dated in (True, False):
        strange = text_nats("dead mna", lambda token: token == "dead", dated=dated)
        words = text_nats("dead man", lambda token: True, dated=dated)
        assert text_nats("dead mna", no_word, dated=dated) >= strange > words > 0
        assert text_nats("power", lambda token: True, dated=dated) == 0.0


def test_without_a_year_words_say_less_than_with_one():
    with_year = text_nats("mask of zorro", lambda token: True, dated=True)
    assert text_nats("mask of zorro", lambda token: True, dated=False) < with_year


@given(key=TITLES, more=TITLES, dated=st.booleans())
def test_a_longer_text_says_more(key, more, dated):
    shorter = text_nats(key, no_word, dated=dated)
    assert text_nats(f"{key} {more}", no_word, dated=dated) > shorter >= 0


def test_twice_as_many_titles_halve_the_odds():
    for dated in (True, False):
        halved = prior_log_odds(10_000, dated=dated) - prior_log_odds(20_000, dated=dated)
        assert halved == pytest.approx(log(2))


def test_a_tiny_catalog_counts_as_part_of_all_films():
    assert prior_log_odds(1, dated=True) == prior_log_odds(100, dated=True)
    assert prior_log_odds(1, dated=False) == prior_log_odds(1_000, dated=False)
