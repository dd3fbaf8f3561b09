"""Numbers before titles are taken off; numbers of titles stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.recommenders.prompting.parsing import parse_cut, parse_list
from tests.support.growth import grows_linearly

THREE = ("Heat", "12 Monkeys", "Fargo")


@pytest.mark.parametrize(
    "form",
    [
        "{n}.{t}", "{n}\u3001{t}", "{n}) {t}", "{n}){t}", "\uff08{n}\uff09{t}", "({n}) {t}",
        "[{n}] {t}", "\u3010{n}\u3011{t}", "{w}\uff0e{t}", "{w}\u3001{t}", "{c}{t}", "{c} {t}",
        "{n}\ufe0f\u20e3 {t}", "**{n}. {t}**", "**{n}.** {t}", "### {n}. {t}", "- {n}. {t}",
        "{n}\\. {t}", "{n}.**{t}**", "{n} - {t}", "#{n} {t}", "No. {n} {t}", "{n}:{t}",
        "{n}.\u3000{t}", "  {n}.{t}",
    ],
)  # fmt: skip
def test_every_form_of_a_number_is_taken_off(form):
    text = "\n".join(
        form.format(n=n, w=chr(0xFF10 + n), c=chr(0x2460 + n - 1), t=title)
        for n, title in enumerate(THREE, start=1)
    )
    assert parse_list(text).titles == THREE


@pytest.mark.parametrize(
    "title",
    [
        "1.5 Degrees", "2001: A Space Odyssey", "12 Monkeys", "7.62mm", "300: Rise of an Empire",
        "3:10 to Yuma", "(500) Days of Summer", "#1 Cheerleader Camp", "4:44 Last Day on Earth",
        "10 Things I Hate About You", "8\u00bd", "50/50", "1917", "2.22",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["{t}", "{t}\nHeat", "1. Heat\n2. {t}", "1.Heat\n2.{t}\n3.Fargo", "- {t}", "Heat; {t}"]
)
def test_number_of_a_title_stays(form, title):
    assert title in parse_list(form.format(t=title)).titles


def test_titles_with_decimals_alone_are_no_numbered_list():
    titles = ("1.5 Degrees", "7.62mm", "12 Monkeys")
    assert parse_list("\n".join(titles)).titles == titles


def test_one_number_without_a_blank_does_not_lose_its_line():
    assert parse_list("1. Heat\n2.Fargo\n3. Alien").titles == ("Heat", "Fargo", "Alien")


def test_numbers_inside_a_json_list_are_taken_off():
    assert parse_list('["1.Heat", "2.Fargo"]').titles == ("Heat", "Fargo")
    assert parse_list('["1.5 Degrees", "Heat"]').titles == ("1.5 Degrees", "Heat")


def test_cut_list_without_blanks_loses_its_unfinished_title():
    assert parse_cut("1.Heat\n2.Fargo\n3.Ali").titles == ("Heat", "Fargo")


@given(st.lists(st.from_regex(r"[A-Z][a-z]{2,8}", fullmatch=True), min_size=1, max_size=12))
def test_numbered_list_without_blanks_comes_back_in_order(titles):
    text = "\n".join(f"{n}.{title}" for n, title in enumerate(titles, start=1))
    assert list(parse_list(text).titles) == titles


def test_long_lists_are_read_in_linear_time():
    assert grows_linearly(lambda n_lines: parse_list("1.Heat\n" * n_lines), 5_000)
