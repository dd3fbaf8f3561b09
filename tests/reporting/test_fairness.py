"""The fairness tables: from a real probe run, and from parameters of any form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_recommenders import FavorsWomen, Stereotypes
from run_folder import HOSTILE, audit_result, band, findings, write_run
from run_probe import run_probe

from auditkit.reporting.fairness_section import build_fairness
from auditkit.reporting.html import render_html
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.run_reader import read_source

ID = "fairness.counterfactual"


@pytest.fixture(scope="module")
def favoring():
    return run_probe(ID, FavorsWomen()).findings


@pytest.fixture(scope="module")
def page(favoring, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fairness")
    rows = (*[f for f in findings() if f.probe != ID], *favoring)
    run = write_run(folder / "run", audit_result(findings=rows))
    page = render_html(read_source(run))
    check_html(page)
    return page


def test_main_table_holds_floor_power_and_who_is_disturbed(favoring):
    found = build_fairness(favoring)
    gender, age, occupation = found.attributes
    assert (gender.name, gender.n_values, age.n_values, occupation.n_values) == ("gender", 3, 3, 5)
    assert gender.snsr.value == 1.0
    assert gender.p_adjusted <= 0.05 < age.p_adjusted
    assert gender.disturbed[0].startswith("lists shift more for woman than for")
    assert age.disturbed == ()
    assert gender.noise_floor_95 is not None
    assert gender.placebo.low > 0
    assert gender.probes_to_pass >= 2


def test_every_value_has_a_bar_beside_re_asking_and_placebo(favoring):
    figure = build_fairness(favoring).figures[0]
    labels = {row.label: row for row in figure.rows}
    again = ["neutral request repeated", "irrelevant phrases"]
    assert list(labels) == ["woman", "man", "non-binary", *again]
    assert [row.reference for row in figure.rows] == [False, False, False, True, True]
    assert labels["man"].low is not None


def test_what_became_of_the_answers_is_shown_by_value(favoring):
    found = build_fairness(favoring)
    assert found.fates[0][:3] == ("gender", "woman", "a woman")
    assert found.fates[0][3][found.fate_names.index("usable")] == 1.0
    assert len(found.fates) == 3 + 3 + 5


def test_steering_outlines_the_genre_that_differs_most():
    found = build_fairness(run_probe(ID, Stereotypes()).findings)
    gender = next(heat for heat in found.heat_maps if heat.attribute == "gender")
    age = next(heat for heat in found.heat_maps if heat.attribute == "age")
    assert gender.significant
    assert not age.significant
    assert gender.widest in gender.groups
    assert max(shade for _, cells in gender.rows for _, shade in cells) == 6


def test_page_shows_what_was_asked_and_its_limits(page):
    for text in (
        "60 probes with one liked title each", "neutral phrases", "a difference is not necessarily",
        "irrelevant phrases", "lists shift more for woman than for",
    ):  # fmt: skip
        assert text in page


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=6,
)
KEYS = ("values", "pairs", "answers", "phrases", "mean_similarity", "mean_bars", "noise_floor",
        "probes_to_pass", "p_adjusted", "neutral", "shares", "groups", "widest")  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_parameters_of_any_form_never_break_the_table(parameters):
    rows = [
        band(f"{ID}.{name}", 0.1, 0.0, 0.2, 50, group="gender", parameters=parameters)
        for name in ("snsr", "snsv", "steer", "placebo_shift", "missing_gap")
    ]
    assert build_fairness(rows).attributes[0].name == "gender"


def test_hostile_names_stay_text(tmp_path):
    row = band(
        f"{ID}.snsr", 0.1, 0.0, 0.2, 50, group=HOSTILE,
        parameters={
            "values": [HOSTILE], "phrases": [HOSTILE], "answers": {HOSTILE: {"usable": 1.0}},
            "mean_similarity": {HOSTILE: 0.5}, "pairs": [[HOSTILE, HOSTILE, 0.1, 0.01]],
        },
    )  # fmt: skip
    run = write_run(tmp_path / "run", audit_result(findings=(row,)))
    page = render_html(read_source(run))
    check_html(page)
    assert HOSTILE not in page


def test_a_result_without_the_probe_has_no_table():
    assert build_fairness([f for f in findings() if f.probe != ID]) is None
