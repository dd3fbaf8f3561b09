"""The comparison of two runs and the history of many in a real browser: quiet, and they fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from paired_runs import write_pair

from auditkit.comparison.diff import diff_runs
from auditkit.comparison.history import read_history
from auditkit.reporting import write_report
from auditkit.reporting.pages.diff_page import render_diff
from auditkit.reporting.pages.history_page import render_history


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pair = write_pair(folder)
    for run in pair:
        write_report(run)
    (folder / "diff.html").write_text(render_diff(diff_runs(*pair)), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(render_history(read_history(folder), index), encoding="utf-8")
    return folder


@pytest.fixture
def open_page(new_page, folder):
    return lambda name, *sizes, **options: new_page(folder / name, *sizes, **options)


@pytest.mark.parametrize("name", ["diff.html", "index.html"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_the_page_is_quiet_and_fits(open_page, name, width, scheme):
    page = open_page(name, width, color_scheme=scheme)
    if shots := os.environ.get("AUDITKIT_SCREENSHOTS"):  # for people to look at
        Path(shots).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(shots) / f"{name[:-5]}-{width}.png", full_page=True)
    assert page.trouble == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_link_of_a_run_opens_its_report(open_page):
    page = open_page("index.html")
    page.get_by_role("link", name="v2", exact=True).click()
    assert page.url.endswith("/v2/report.html")
    assert page.get_by_role("heading", name="What was not tested").is_visible()
