"""The page over many runs: links that cannot leave the folder, structure, numbers."""

from __future__ import annotations

import re
import shutil

import pytest
from paired_runs import USERS, result_of, write_listed, write_pair
from run_folder import HOSTILE

from auditkit.comparison.history import read_history
from auditkit.errors import AuditkitError
from auditkit.reporting import write_report
from auditkit.reporting.html_allowlist import check_html, is_report_link
from auditkit.reporting.pages.history_page import render_history, report_link
from auditkit.types import TargetDescription

PAGE = (
    "<!DOCTYPE html><html lang='en'><head><title>t</title><style></style></head>"
    "<body><main><h1>h</h1><a href='{}'>x</a></main></body></html>"
)
ALLOWED = [
    "report.html",
    "v1/report.html",
    "a/b/report.html",
    "x%20y/report.html",
    "v1.2/report.html",
]
REFUSED = [
    "", "/report.html", "//host/report.html", "https://host/report.html", "javascript:report.html",
    "../report.html", "v1/../report.html", "./report.html", "%2e%2e/report.html",
    ".%2E/report.html", "v1/%2e/report.html", "v1%2freport.html", "a%2Fb/report.html",
    "a%5Cb/report.html", "a\\report.html", "v1/report.html?x=1", "v1/report.html#findings",
    "v1//report.html", "v1/other.html", "v1/report.htmlx", "file:report.html", " report.html",
    "v1/report.html\n", "data:text/html,report.html",
]  # fmt: skip


@pytest.mark.parametrize("address", ALLOWED)
def test_a_relative_path_to_a_report_is_allowed_on_this_page_only(address):
    assert is_report_link(address)
    check_html(PAGE.format(address), n_scripts=0, reports=True)
    with pytest.raises(AuditkitError, match="a link that leaves the page"):
        check_html(PAGE.format(address), n_scripts=0)


@pytest.mark.parametrize("address", REFUSED)
def test_any_other_address_is_refused(address):
    assert not is_report_link(address)
    with pytest.raises(AuditkitError, match="a link that leaves the page"):
        check_html(PAGE.format(address), n_scripts=0, reports=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for run in write_pair(folder):
        write_report(run)
    target = TargetDescription(name=HOSTILE, kind="x", fingerprint=HOSTILE, verified=False)
    odd = result_of(invented=USERS[:4], target=target)
    run = write_listed(
        folder / "a folder: 100%" / "v3", odd, invented=USERS[:4], finished="2026-06-03T00:00:00Z"
    )
    write_report(run)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return render_history(read_history(folder), folder / "index.html")


def test_every_run_links_to_its_report(page, folder):
    links = [a for a in re.findall(r'<a [^>]*href="([^"]*)"', page) if not a.startswith("#")]
    assert links == [
        "v1/report.html", "v2/report.html", "a%20folder%3A%20100%25/v3/report.html",
    ]  # fmt: skip


def test_a_report_that_is_not_below_the_page_is_not_linked(folder):
    run = read_history(folder).runs[0]
    assert report_link(run, folder / "index.html") == "v1/report.html"
    assert report_link(run, folder.parent / "index.html") == f"{folder.name}/v1/report.html"
    assert report_link(run, folder / "pages" / "index.html") == ""


def test_the_page_has_structure_and_no_script(page):
    assert page.count("<h1>") == page.count("<main ") == 1
    assert '<a class="skip" href="#main">' in page
    assert page.count("<table") == page.count("<caption>")
    assert all("scope=" in cell for cell in re.findall(r"<th[ >][^>]*", page))
    assert "<script" not in page
    assert "<img" not in page
    assert not {"\x1b", "\u202e", "\u200b", "\x07"} & set(page)


def test_figures_and_tables_have_the_numbers_of_every_run(page, folder):
    for track in read_history(folder).tracks:
        for point in track.points:
            assert page.count(f'data-value="{point.finding.estimate.value!r}"') >= 2
    assert "the intervals do not overlap" in page
    assert "Verdict: pass to fail" in page


def test_the_same_folder_gives_the_same_bytes(page, folder):
    assert render_history(read_history(folder), folder / "index.html") == page


def test_a_folder_that_fails_is_named_without_the_path_of_this_machine(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "v2" / "result.json").write_text("{}")
    page = render_history(read_history(copy), copy / "index.html")
    assert "v2/result.json was altered or damaged" in page
    assert str(tmp_path) not in page
