"""The comparison of two runs and the history of many in a real browser: quiet, and they fit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from paired_runs import write_pair

from auditkit.comparison.diff import diff_runs
from auditkit.comparison.history import read_history
from auditkit.reporting import write_report
from auditkit.reporting.pages.diff_page import render_diff
from auditkit.reporting.pages.history_page import render_history

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


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


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser, folder):
    contexts = []

    def opened(name, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page, address = context.new_page(), (folder / name).as_uri()
        page.trouble = []
        page.on("console", lambda message: page.trouble.append(message.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("request", lambda r: r.url != address and page.trouble.append(r.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()


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
