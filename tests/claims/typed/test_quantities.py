"""Numbers as languages write them, their units, and dates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.claims.typed.dates import dates_in
from auditkit.claims.typed.language import grammar
from auditkit.claims.typed.quantities import number_of, quantities_in


@pytest.mark.parametrize(
    ("written", "language", "value"),
    [
        ("1,249.00", "en", 1249), ("1.249,00", "de", 1249), ("1,249", "en", 1249),
        ("1.249", "de", 1249), ("1.249", "en", 1.249), ("1,249", "de", 1.249),
        ("19,99", "en", 19.99),
        ("19.99", "de", 19.99), ("1'299", "de", 1299), ("1.000.000", "de", 1e6), ("7", "en", 7),
    ],
)  # fmt: skip
def test_a_number_has_the_value_that_its_language_gives_it(written, language, value):
    assert number_of(written, language) == value


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("EUR 19.99", "en", "19.99 EUR"), ("19,99 €", "de", "19.99 EUR"), ("$5", "en", "5 USD"),
        ("a 27-inch panel", "en", "27 inch"), ("27 Zoll", "de", "27 inch"),
        ("1.2 kg", "en", "1.2 kg"),
        ("45 x 45 x 55 cm", "en", "45 x 45 x 55 cm"), ("2 Stunden", "de", "2 h"),
        ("12 apples", "en", "12"),
    ],
)  # fmt: skip
def test_a_quantity_has_one_spelling(text, language, found):
    assert [quantity.text for quantity in quantities_in(text, language)] == [found]


def test_a_number_in_a_word_is_not_a_quantity():
    assert list(quantities_in("model GSR12V and v2", "en")) == []


@given(st.text(alphabet="0123456789.,' x€$kgGBmin-", max_size=60))
def test_no_text_is_an_error(text):
    for language in ("en", "de"):
        for quantity in quantities_in(text, language):
            assert 0 <= quantity.begin < quantity.end <= len(text)


@pytest.mark.parametrize(
    ("text", "language"),
    [("on March 12, 2024", "en"), ("12 March 2024", "en"), ("am 12. März 2024", "de"),
     ("12.03.2024", "de"), ("2024-03-12", "en")],
)  # fmt: skip
def test_a_date_is_read_as_iso(text, language):
    assert [date for _, _, date in dates_in(text, grammar(language, "months"))] == ["2024-03-12"]


def test_an_impossible_date_is_no_date():
    assert list(dates_in("31.02.2024 and 5 Foo 2024", grammar("en", "months"))) == []
