"""Text, allow-list, figures, differences and standards, each on its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import AuditkitError
from auditkit.reporting.evidence_cards import word_diff
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.html_escaping import MAX_FIELD, attribute, breakable, inert, slug
from auditkit.reporting.interval_plots import Row, draw, nice_ticks
from auditkit.reporting.standards import references, standards, table

PAGE = (
    "<!DOCTYPE html>\n<html lang='en'><head><title>t</title><style></style></head>"
    "<body><main><h1>h</h1>{}</main><script></script></body></html>"
)


@given(st.text(st.characters()))
def test_inert_text_adds_no_element_but_escapes(text):
    shown = str(inert(text))
    assert shown.replace('<code class="esc">', "").replace("</code>", "").count("<") == (
        2 if len(text) > MAX_FIELD else 0
    )
    assert '"' not in attribute(text)
    assert "<" not in attribute(text)
    check_html(PAGE.format(f'<p title="{attribute(text)}">{shown}</p>'))


def test_a_long_field_is_cut_with_its_length_and_hash():
    shown = str(inert("a" * 5000))
    assert "[cut: 5,000 characters, sha256 " in shown
    assert len(shown) < 4200


def test_ids_and_groups_may_break_between_their_parts():
    assert breakable("a.b_c=<d>&e") == "a.<wbr>b_<wbr>c=<wbr>&lt;d&gt;&amp;<wbr>e"
    assert "<wbr>" not in breakable("a=" * MAX_FIELD)


def test_slugs_of_different_texts_differ():
    assert slug("a b") != slug("a-b")
    assert slug("<x>").isascii()


@pytest.mark.parametrize(
    "bad",
    [
        "<img src=x>", "<p onclick=x>", "<p style='x'>", "<a href='https://x.example'>", "<iframe>",
        "<a href='javascript:x'>", "<meta http-equiv=refresh content=0>", "<!-- x -->", "<base>",
        "<form>", "<script></script>", "<link rel=x>", "<h1>two</h1>", "<rect>", "<object>", "<?x>",
        "<svg><script></script></svg>", "<svg><foreignobject></svg>",
        "<svg><a href='#x'><use></svg>",
        "<meta name=other>",
    ],
)  # fmt: skip
def test_anything_unexpected_on_a_page_is_refused(bad):
    check_html(PAGE.format("<p>fine</p>"))
    with pytest.raises(AuditkitError, match="allow-list"):
        check_html(PAGE.format(bad))


def _row(value, **fields):
    return Row(label="a", value=value, **{"low": None, "high": None, "n": 9, **fields})


def test_a_figure_describes_its_numbers_and_keeps_marks_inside():
    rows = [
        _row(0.5, low=0.4, high=0.6, high_limit=0.45, state="fail"),
        _row(None, reason="no rows"),
    ]
    figure = draw(rows, title="t", unit="fraction of items", origin=0.0)
    assert "a: 0.5 (0.4 to 0.6), limit at most 0.45; a: no value (no rows)" in figure.description
    assert 'data-value="0.5"' in figure.svg
    assert 'data-value="0.45"' in figure.svg
    assert "beyond" in figure.svg
    assert "no value" in figure.svg


def test_hostile_labels_stay_text_in_a_figure():
    figure = draw([Row(label="</svg><b>", value=1.0, low=0.0, high=2.0, n=1)], title='"', unit="<")
    assert "<b>" not in figure.svg
    check_html(PAGE.format(figure.svg))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), st.sampled_from(["forest", "bars"]))
def test_any_numbers_can_be_drawn(values, kind):
    figure = draw([_row(v, low=v - 1, high=v + 1) for v in values], title="t", unit="u", kind=kind)
    check_html(PAGE.format(figure.svg))


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_cover_the_range_with_few_round_numbers(low, span):
    ticks = nice_ticks(low, low + span)
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(ticks)
    slack = 1e-6 * (abs(low) + span)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + span - slack


@given(st.floats(-1e9, 1e9), st.floats(0, 1e-5))
def test_values_that_hardly_differ_still_have_an_axis(value, difference):
    ticks = nice_ticks(value, value + difference)
    assert ticks[0] < ticks[-1]
    assert len(ticks) <= 7


def test_a_word_difference_names_what_left_and_what_came():
    assert word_diff("a big film", "a small film") == (
        ("same", "a "), ("del", "big "), ("ins", "small "), ("same", "film"),
    )  # fmt: skip
    assert word_diff("same", "same") == ()


@given(st.lists(st.sampled_from("abc"), max_size=60), st.lists(st.sampled_from("abc"), max_size=60))
def test_a_word_difference_keeps_every_changed_word(left, right):
    runs = word_diff(" ".join(left), " ".join(right))
    if not any(kind == "gap" for kind, _ in runs) and left != right:
        assert "".join(t for k, t in runs if k != "ins") == " ".join(left)
        assert "".join(t for k, t in runs if k != "del") == " ".join(right)


def test_every_dimension_maps_to_three_frameworks_and_every_named_id_is_used():
    known = set(standards().subjects)
    for framework in standards().frameworks:
        assert set(framework.subjects) <= known
        used = {i for ids in framework.subjects.values() for i in ids}
        assert not framework.names or used == set(framework.names)
    for dimension in ("hallucination", "robustness", "fairness", "privacy", "explain", "utility"):
        assert len({name.split(":")[0] for name in references(dimension)}) >= 3
    assert {row.subject for row in table(frozenset({"privacy"}))} == {
        "privacy leakage", "private training", "report, log and gate",
    }  # fmt: skip
