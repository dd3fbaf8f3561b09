"""The heat map: the same numbers in cells and table, signs in words, hostile texts as text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from policies import result_of
from run_folder import AS_OF, drawn

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.reporting.headlines import headlines
from auditkit.reporting.heat_map import HeatRow, build_token_effects, draw_heat_map
from auditkit.reporting.pages.explanation_page import ExplanationView, render_explanation
from auditkit.reporting.sections import build_sections
from auditkit.shipped_recipes import find_recipe

HOSTILE = "</svg><script>alert(1)</script>\u202e"
ROWS = (HeatRow(HOSTILE, 0.5, (0.75, -0.25, 0.0)), HeatRow("Heat", -1.0, (-1.0, 0.0, 0.0)))
STORED = {
    "user": "7", "item": HOSTILE, "tokens": ["He", HOSTILE, " "], "spans": [HOSTILE, "Heat"],
    "effects": [[0.75, -0.25, 0.0], [-1.0, 0.0, 0.0]],
}  # fmt: skip


def page_of(figure):
    view = ExplanationView(
        target="t", user="u", item="i", rank=1, unit="nats", effects=(), listed=(), card=(),
        facts=(), heat_map=figure,
    )  # fmt: skip
    return render_explanation(view)


def numbers(pattern, page):
    return [float(value) for value in re.findall(pattern, page)]


def test_cells_and_table_have_the_same_numbers_and_hostile_texts_stay_text():
    page = page_of(draw_heat_map(ROWS, ["He", HOSTILE, " "], title="Effects", unit="nats"))
    cells = numbers(r'<rect class="cell [^>]*data-value="([^"]+)"', page)
    assert cells == [0.75, -0.25, 0.0, -1.0, 0.0, 0.0]
    table = page[page.index("<caption>Effects, nats") :]
    twin = numbers(r'<td class="n" data-value="([^"]+)"', table)
    assert twin == [0.75, -0.25, 0.0, 0.5, -1.0, 0.0, 0.0, -1.0]
    assert "<script" not in page
    assert "\u202e" not in page


def test_sign_is_in_color_and_number_and_size_in_strength():
    svg = draw_heat_map(ROWS, ["a", "b", "c"], title="Effects", unit="nats").svg
    kinds = re.findall(r'class="cell (\w+) (s\d)"', svg)
    assert kinds == [
        ("raises", "s4"), ("lowers", "s2"), ("lowers", "s0"),
        ("lowers", "s5"), ("lowers", "s0"), ("lowers", "s0"),
    ]  # fmt: skip
    assert ">+0.75</text>" in svg
    assert ">-0.25</text>" in svg


def test_many_columns_have_signs_instead_of_numbers():
    values = (1.0, -1.0, *[0.01] * 18)
    figure = draw_heat_map([HeatRow("Heat", 0.18, values)], ["token"] * 20, title="t", unit="nats")
    assert re.findall(r'class="in"[^>]*>([^<]*)<', figure.svg) == ["+", "\u2212"]
    assert ">t\u2026</text>" in figure.svg


def test_a_map_of_zeros_has_no_color():
    svg = draw_heat_map([HeatRow("Heat", 0.0, (0.0, 0.0))], ["a", "b"], title="t", unit="u").svg
    assert svg.count(" s0") == 2


def stored(**changes):
    finding = drawn("explain.attribution.top_effect", 1.0, 0.1, 40)
    return replace(finding, parameters={"by_token": {**STORED, **changes}})


def test_section_draws_the_stored_effects():
    found = build_token_effects([stored()])
    assert [row.total for row in found.figure.rows] == [0.5, -1.0]
    assert found.lead.startswith("Why user 7 got")
    assert build_token_effects([drawn("explain.attribution.top_effect", 1.0, 0.1, 40)]) is None
    assert build_sections(result_of(stored()), None)[-1].by_token == found


@pytest.mark.parametrize(
    "changes",
    [
        {"effects": [[0.5, 1.0], [1.0, 2.0]]}, {"effects": [[0.5, "x", 0], [1.0, 2.0, 3.0]]},
        {"effects": "x"}, {"tokens": None}, {"spans": ["Heat"]}, {"user": {"a": 1}},
        {"effects": [[1e300, 0, 0], [0, 0, 0]]}, {"spans": [], "effects": []},
        {"tokens": ["a"] * 99, "effects": [[0.0] * 99] * 2},
    ],
)  # fmt: skip
def test_parameters_of_another_form_give_no_figure(changes):
    assert build_token_effects([stored(**changes)]) is None


def test_warnings_on_probes_outside_the_recipe_do_not_color_the_card_of_a_dimension():
    policy = Policy.read(find_recipe("release", kind="policy"))
    result = result_of(
        drawn("explain.comprehensiveness", 1.0, 0.05, 400),
        drawn("explain.randomization_excess", -0.3, 0.05, 400),
    )
    decision = decide(result, policy, as_of=AS_OF)
    cards = headlines(result, decision, build_sections(result, decision))
    (card,) = [one for one in cards if one.section.key == "explain"]
    assert (card.state, card.n_rules, card.n_open) == ("pass", 2, 0)
