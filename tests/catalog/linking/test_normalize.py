from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.linking.normalize import clean_query, full_key, parse_title, split_year


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  Heat ", "Heat"),
        ("1. **Heat (1995)**", "Heat (1995)"),
        ("12) Heat", "Heat"),
        ("#3 Heat", "Heat"),
        ("- “Heat”", "Heat"),
        ("• 'Heat'", "Heat"),
        ("Enfer, L'", "Enfer, L'"),
        ("'Enfer, L''", "Enfer, L'"),
        ("12 Angry Men", "12 Angry Men"),
        ("101 Dalmatians", "101 Dalmatians"),
        ("* * *", ""),
    ],
)
def test_list_markers_bold_and_quotes_go(text, cleaned):
    assert clean_query(text) == cleaned


@pytest.mark.parametrize(
    ("text", "core", "year", "bracketed"),
    [
        ("Heat (1995)", "Heat", 1995, True),
        ("Heat [1995]", "Heat", 1995, True),
        ("Heat, 1995", "Heat", 1995, False),
        ("Heat - 1995", "Heat", 1995, False),
        ("Heat 1995", "Heat", 1995, False),
        ("Heat (1995) (V)", "Heat", 1995, True),
        ("1984 (1956)", "1984", 1956, True),
        ("1941", "1941", None, False),
        ("(1995)", "(1995)", None, False),
        ("Apollo 13", "Apollo 13", None, False),
        ("Class of 2184", "Class of 2184", None, False),
    ],
)
def test_a_year_at_the_end_is_split_off(text, core, year, bracketed):
    assert split_year(text) == (core, year, bracketed)


def test_alias_is_the_parenthesis_at_the_end():
    assert parse_title("Seven (Se7en) (1995)") == ("Seven", 1995, True, "Se7en")
    assert parse_title("(500) Days of Summer").alias is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Usual Suspects, The", "usual suspects"),
        ("The Usual Suspects", "usual suspects"),
        ("Avventura, L'", "lavventura"),
        ("Postino, Il", "il postino"),
        ("Misérables, Les", "les miserables"),
        ("Angels & Insects", "angels insects"),
        ("Cook the Thief His Wife & Her Lover, The", "cook the thief his wife her lover"),
        ("I.Q.", "iq"),
        ("Mr. Holland's Opus", "mr hollands opus"),
        ("Mr. Holland\u2019s Opus", "mr hollands opus"),
        ("Godfather: Part II, The", "godfather 2"),
        ("The Godfather Part Two", "godfather 2"),
        ("Rocky IV", "rocky 4"),
        ("Rocky 4", "rocky 4"),
        ("X Files", "x files"),
        ("Star Trek Vol. 3", "star trek 3"),
        ("Part of Me", "part of me"),
        ("Ærlig Øst", "aerlig ost"),
        ("The", "the"),
        ("M*A*S*H", "m a s h"),
        ("$", "raw:$"),
        ("", ""),
    ],
)
def test_full_key_follows_the_recipe(text, key):
    assert full_key(text) == key


@given(st.text())
def test_key_ignores_case_and_outer_white_space_and_never_fails(text):
    assert full_key(f" {full_key(text)} ".strip()) is not None
    assert (full_key(text) == "") == (text.strip() == "")


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=2, max_size=5))
def test_leading_and_trailing_article_give_one_key(words):
    title = " ".join(words)
    assert full_key(f"The {title}") == full_key(f"{title}, The") == full_key(title)


@given(
    words=st.sampled_from(["Rocky", "Star Trek", "Lethal Weapon"]),
    numbers=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_different_numbers_never_share_a_key(words, numbers):
    left, right = (full_key(f"{words} {number}") for number in numbers)
    assert (left == right) == (numbers[0] == numbers[1])
