"""The page of a comparison: structure, numbers, charts with a table twin, and no script."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest
from paired_runs import INVENTED, write_pair

from auditkit.comparison.diff import diff_runs
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.pages.diff_page import render_diff
from auditkit.reporting.pages.slope_chart import End, draw_slope


@pytest.fixture(scope="module")
def diff(tmp_path_factory):
    return diff_runs(*write_pair(tmp_path_factory.mktemp("pair")))


@pytest.fixture(scope="module")
def page(diff):
    return render_diff(diff)


def test_the_page_has_the_structure_that_assistive_technology_needs(page):
    assert page.count("<h1>") == page.count("<main ") == 1
    assert '<a class="skip" href="#main">' in page
    assert '<html lang="en">' in page
    assert page.count("<table") == page.count("<caption>")
    assert all("scope=" in cell for cell in re.findall(r"<th[ >][^>]*", page))
    heads = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(heads))
    assert "<script" not in page


def test_values_differences_and_charts_are_those_of_the_comparison(page, diff):
    for row in diff.headlines:
        for estimate in (row.baseline, row.candidate):
            # once in the chart, once in its table, once among all metrics
            assert page.count(f'data-value="{estimate.value!r}"') >= 3
        assert page.count(f'data-value="{row.difference!r}"') >= 2
    drawings = re.findall(r"<svg [^>]*>.*?</svg>", page, re.DOTALL)
    assert len(drawings) == len(diff.headlines)
    assert all('role="img"' in d and "<title>" in d and "<desc>In " in d for d in drawings)


def test_examples_verdicts_and_roots_are_on_the_page(page, diff):
    assert "Newly failing: unit" in page
    assert "Newly fixed: unit" in page
    assert INVENTED in page
    assert diff.baseline.root in page
    assert "Rules whose verdict changed" in page


def test_the_same_pair_gives_the_same_bytes(page, diff):
    assert render_diff(diff) == page


def test_runs_under_other_conditions_are_marked_on_top(tmp_path):
    page = render_diff(diff_runs(*write_pair(tmp_path, seed=9)))
    assert "Measured under other conditions: seed. No differences are computed." in page
    assert "not comparable" in page


def test_a_slope_rises_if_the_value_rises_and_says_its_numbers():
    chart = draw_slope("rate", "fraction", End("a", 0.1, 0.05, 0.2), End("b", 0.4, 0.3, 0.5))
    heights = [float(y) for y in re.findall(r'<circle [^>]*cy="([0-9.]+)"', chart.svg)]
    assert heights[1] < heights[0]  # svg counts downwards
    assert "a: 0.1 (0.05 to 0.2); b: 0.4 (0.3 to 0.5)" in chart.svg


def test_a_slope_without_intervals_and_of_equal_values_is_drawn():
    chart = draw_slope("x", "nats", End("a", 0.0, None, None), End("b", 0.0, None, None))
    assert "nan" not in chart.svg
    page = (
        "<!DOCTYPE html><html lang='en'><head><title>t</title><style></style></head>"
        f"<body><main><h1>h</h1>{chart.svg}</main></body></html>"
    )
    check_html(page, n_scripts=0)


def test_many_findings_do_not_make_the_page_large(diff):
    page = render_diff(dataclasses.replace(diff, failures=diff.failures * 40))
    assert "Examples of 30 of 80 findings that have one." in page
    assert page.count('<article class="evidence">') == 45  # two findings with three examples
