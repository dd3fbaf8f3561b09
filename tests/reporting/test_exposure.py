"""The exposure figures: from a real probe run, and from parameters of any form."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_lists import FollowsTaste, StarvesTheTail
from run_folder import HOSTILE, audit_result, band, findings, write_run
from run_probe import run_probe

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.reporting.exposure_section import build_exposure
from auditkit.reporting.html import environment, render_html
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.run_reader import read_source
from auditkit.reporting.sections import build_sections

ID = "fairness.exposure"
POLICY = "version: 1\nname: test\nrules:\n  - {}\n"


@pytest.fixture(scope="module")
def starved():
    return run_probe(ID, StarvesTheTail()).findings


@pytest.fixture(scope="module")
def page(starved, tmp_path_factory):
    rows = (*[f for f in findings() if f.probe != ID], *starved)
    run = write_run(tmp_path_factory.mktemp("exposure") / "run", audit_result(findings=rows))
    page = render_html(read_source(run))
    check_html(page)
    return page


def test_sentence_names_who_gains_and_who_loses_most(starved):
    popularity = build_exposure(starved).groups[0]
    assert popularity.name.startswith("popularity")
    gains = max(popularity.rows, key=lambda row: row.utility)
    loses = min(popularity.rows, key=lambda row: row.utility)
    assert popularity.sentence.startswith(
        f"“{gains.name}” gains most: {gains.shown:.1%} of the lists"
    )
    assert f"; “{loses.name}” loses most: {loses.shown:.1%}" in popularity.sentence


def test_sentence_says_where_a_difference_may_be_chance():
    groups = {
        group.name: group for group in build_exposure(run_probe(ID, FollowsTaste()).findings).groups
    }
    assert "which may be due to chance" in groups["genre"].sentence


def test_deciles_and_decades_stand_in_their_order_and_genres_by_gain(starved):
    popularity, genre, decade = build_exposure(starved).groups[:3]
    assert [row.name for row in popularity.rows] == [f"decile {n}" for n in range(1, 11)]
    assert [row.name for row in decade.rows] == ["1950s", "1960s", "1970s", "1980s", "1990s"]
    gains = [row.utility for row in genre.rows]
    assert gains == sorted(gains, reverse=True)
    assert genre.long
    assert not popularity.long


def test_bars_have_joint_intervals_and_show_the_numbers_of_the_table(starved):
    popularity = build_exposure(starved).groups[0]
    bars = {row.label: (row.value, row.low, row.high) for row in popularity.figure.rows}
    assert bars == {row.name: (row.utility, row.low, row.high) for row in popularity.rows}
    for row in popularity.rows:
        assert row.utility == pytest.approx(row.shown - row.history)


def test_lorenz_curve_is_drawn_beside_that_of_histories_and_the_diagonal(starved):
    drawn = str(build_exposure(starved).lorenz)
    assert drawn.count('class="curve c0"') == drawn.count('class="curve c1"') == 20
    assert drawn.count('class="diagonal"') == 1
    half = re.search(r"lists: ([\d.]+), histories: (0\.\d+)", drawn)
    assert float(half[1]) < float(half[2]) < 0.5


def test_providers_that_the_graph_does_not_know_are_named_with_the_reason(starved, page):
    found = {group.name: group for group in build_exposure(starved).groups}
    assert not found["director"].rows
    assert "has no relation" in found["director"].dgu.reason
    assert "has no relation" in page


def test_what_is_shown_here_is_in_no_other_panel(starved):
    sections = build_sections(audit_result(findings=starved), None)
    fairness = next(section for section in sections if section.key == "fairness")
    assert fairness.exposure is not None
    assert fairness.panels == ()


def test_what_a_rule_judges_stays_in_a_panel_with_its_limit(starved, tmp_path):
    rule = f"{{id: even, metric: {ID}.gini, group: all, max: 0.9}}"
    (tmp_path / "policy.yaml").write_text(POLICY.format(rule), encoding="utf-8")
    result = audit_result(findings=starved)
    decision = decide(result, Policy.read(tmp_path / "policy.yaml"))
    sections = build_sections(result, decision)
    (panel,) = next(section for section in sections if section.key == "fairness").panels
    assert [row.high_limit for row in panel.figure.rows] == [0.9]


def test_a_leak_is_drawn_from_one_half_on_with_the_yardstick_of_the_histories():
    found = band(
        "fairness.leak.attack_auc", 0.56, 0.51, 0.61, 943, group="attribute=age&input=list"
    )
    found = dataclasses.replace(
        found,
        baseline=dataclasses.replace(found.estimate, value=0.77, low=0.73, high=0.8),
        notes=("AUC of the same attackers on the users' histories: 0.770",),
    )
    sections = build_sections(audit_result(findings=(found,)), None)
    (panel,) = next(section for section in sections if section.key == "fairness").panels
    (row,) = panel.figure.rows
    assert (row.label, row.baseline) == ("age, from the list", 0.77)
    assert 'class="grid zero"' in panel.figure.svg
    assert ">0.5</text>" in panel.figure.svg


def test_page_shows_curve_bars_and_words(page):
    for text in (
        'id="lorenz"', "Exposure of items", "gains most",
        "simultaneous 95% intervals over all groups",
        "Show the 18 groups", "in histories",
    ):  # fmt: skip
        assert text in page
    assert "style=" not in page.split('id="exposure"')[1].split("</section>")[0]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=6,
)
SHARES = st.fixed_dictionaries(
    {key: ANYTHING | st.floats(-2, 2) for key in ("shown", "history", "utility", "low", "high")}
)
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "groups": ANYTHING | st.dictionaries(st.text(), SHARES, max_size=3),
        "lorenz": ANYTHING | st.lists(st.lists(st.floats(-1, 2), min_size=2, max_size=2)),
        **dict.fromkeys(
            ("n_groups", "n_items", "k", "of_history", "discount", "lorenz_of_history"), ANYTHING
        ),
        "share_without_group": ANYTHING,
    },
)  # fmt: skip


@given(PARAMETERS)
def test_parameters_of_any_form_never_break_the_figures(parameters):
    rows = [
        band(f"{ID}.{name}", 0.1, 0.0, 0.2, 50, group=group, parameters=parameters)
        for name, group in (
            ("gini", "all"),
            ("hhi", "all"),
            ("dgu", "by=genre"),
            ("mgu", "by=genre"),
        )
    ]
    found = build_exposure(rows)
    template = environment().from_string(
        '{% from "exposure.html.j2" import exposure %}{{ exposure(found) }}'
    )
    assert template.render(found=found)
    assert found.groups[0].name == "genre"
    assert len(found.told) == 4


def test_hostile_names_stay_text(tmp_path):
    shares = {"shown": 0.5, "history": 0.4, "utility": 0.1, "low": 0.0, "high": 0.2}
    rows = (
        band(
            f"{ID}.gini", 0.5, 0.4, 0.6, 50,
            parameters={"lorenz": [[0, 0], [1, 1], [HOSTILE, 1]]},
        ),
        band(
            f"{ID}.dgu", 0.1, 0.0, 0.2, 50, group=f"by={HOSTILE}",
            parameters={"groups": {HOSTILE: shares, f"2 {HOSTILE}": shares}},
        ),
    )  # fmt: skip
    run = write_run(tmp_path / "run", audit_result(findings=rows))
    page = render_html(read_source(run))
    check_html(page)
    assert HOSTILE not in page


def test_a_result_without_the_probe_has_no_figures():
    assert build_exposure([f for f in findings() if f.probe != ID]) is None
