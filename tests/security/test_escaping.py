"""Untrusted text becomes visible and cannot steer what shows it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.security.escaping import format_number, terminal_text, visible


@given(st.text(st.characters()))
def test_no_hidden_character_survives(text):
    shown = visible(text)
    assert not {unicodedata.category(c) for c in shown if c not in "\n\t"} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
    }


@given(st.text(st.characters()))
def test_terminal_text_is_one_short_line_without_commands(text):
    line = terminal_text(text, limit=80)
    assert len(line) <= 80
    assert not set("\n\r\t\x1b") & set(line)
    assert "::" not in line
    assert "##[" not in line


def test_escapes_name_the_character():
    assert visible("a\u202eb\x1b\U000e0041\ud800") == "a\\u202eb\\x1b\\U000e0041\\ud800"
    assert visible("Amélie 天使\n") == "Amélie 天使\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\u2013"), (0.0, "0"), (0.0712345, "0.07123"), (1e-5, "1e-5"), (-0.5, "-0.5"),
        (1682, "1,682"), (12345.678, "12,346"), (1.23456e12, "1.235e+12"), (100, "100"),
        (3.14159, "3.142"), (2.5e-7, "2.5e-7"),
    ],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value, shown):
    assert format_number(value) == shown
