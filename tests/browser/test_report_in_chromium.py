"""The report in a real browser: nothing runs, nothing is fetched, everything fits and works."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

import pytest
from run_folder import write_policy, write_run

from auditkit.reporting import write_report

EXAMPLES = Path(__file__).resolve().parents[2] / "reports" / "examples"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    run = write_run(folder / "run", policy=write_policy(folder))
    write_report(run)
    return run / "report.html"


@pytest.fixture
def open_page(new_page, report):
    return partial(new_page, report)


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("light", 1280, "light"), ("dark", 1280, "dark"),
        ("phone", 390, "light"), ("narrow", 320, "dark"),
    ],
)  # fmt: skip
def test_the_page_is_quiet_and_fits(open_page, name, width, scheme):
    page = open_page(width, color_scheme=scheme)
    if folder := os.environ.get("AUDITKIT_SCREENSHOTS"):  # for people to look at
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"report-{name}.png", full_page=True)
    assert page.trouble == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_text_stays_inert_with_the_content_policy_removed(open_page, report):
    page = open_page()
    html = report.read_text(encoding="utf-8")
    start = html.index("<meta http-equiv")
    page.set_content(html[:start] + html[html.index(">", start) + 1 :])
    assert page.trouble == []
    assert page.locator("img, iframe").count() == 0


ANSWERS = {
    "may it ship": r"must not be released: \d+ checks? of \d+ failed\.",
    "why not": r"\d+% of .* 95% interval: \d+ to \d+%; limit: at most \d+%\.",
    "show me one case": r"For example: ",
    "what changed since last week": r"What changed: ",
    "what was not tested": r"What was not tested: \d+ ",
}


@pytest.mark.parametrize("question", ANSWERS)
def test_the_first_screen_answers_what_a_release_manager_asks(open_page, question):
    page = open_page()
    page.goto((EXAMPLES / "p5-mini" / "report.html").as_uri())
    found = page.locator("header p").filter(has_text=re.compile(ANSWERS[question])).first
    assert found.is_visible()
    box = found.bounding_box()
    assert box["y"] + box["height"] <= 900


def test_one_click_leads_to_all_cases_and_to_what_was_not_tested(open_page):
    page = open_page()
    page.goto((EXAMPLES / "p5-mini" / "report.html").as_uri())
    page.get_by_role("link", name="All cases").first.click()
    assert page.locator("section:target .asked").count() > 0
    page.get_by_role("link", name="Details").click()
    assert page.locator("section:target h2").inner_text() == "What was not tested"


def test_the_findings_can_be_searched_filtered_and_sorted(open_page):
    page = open_page()
    rows = page.locator("#findings-table tbody tr:visible")
    total = rows.count()
    page.get_by_label("Verdict", exact=True).select_option("fail")
    assert 0 < rows.count() < total
    page.get_by_label("Verdict", exact=True).select_option("all")
    page.get_by_label("Search", exact=True).fill("homoglyph")
    assert rows.count() == 2
    assert "2 of" in page.get_by_role("status").inner_text()
    page.get_by_label("Search", exact=True).fill("")
    page.get_by_role("button", name="value").click()
    values = page.locator("#findings-table tbody tr td:nth-child(4)").evaluate_all(
        "cells => cells.map(c => c.dataset.value).filter(v => v !== 'null').map(Number)"
    )
    assert values == sorted(values)


def test_a_real_table_of_findings_takes_one_screen_all_columns_in_view_and_all_of_print(open_page):
    page = open_page(1300)
    page.goto((EXAMPLES / "p5-mini" / "report.html").as_uri())
    table = page.locator("#findings .scroll")
    assert table.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert table.evaluate("e => e.scrollHeight > 5 * e.clientHeight")
    assert table.evaluate("e => e.clientHeight") <= 0.8 * 900
    page.emulate_media(media="print")
    assert table.evaluate("e => e.scrollHeight == e.clientHeight")


def test_without_a_script_everything_is_readable_and_no_control_appears(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("#findings-tools input, #findings-tools select").count() == 0
    assert page.get_by_role("heading", name="What was not tested").is_visible()


def test_print_shows_the_closed_parts_and_hides_the_controls(open_page):
    page = open_page()
    page.emulate_media(media="print")
    assert not page.locator("nav.toc").is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


def test_keyboard_reaches_the_content_first(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
