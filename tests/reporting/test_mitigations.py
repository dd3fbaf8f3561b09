"""The before/after table and the risk-coverage curve, drawn from a result alone."""

from __future__ import annotations

import re

import pytest
from run_folder import HOSTILE, audit_result, drawn, findings, write_run

from auditkit.reporting.html import render_html
from auditkit.reporting.html_allowlist import check_html
from auditkit.reporting.mitigation_section import build_mitigations
from auditkit.reporting.run_reader import read_source

PREFIX = "hallucination.mitigation"
CURVE = [[0.25, 0.0], [0.5, 0.0], [0.75, 0.125], [1.0, 0.25]]


def measured(hostile=""):
    """A probe run with two variants, one that was not tested, and two curves."""
    return (
        drawn(
            f"{PREFIX}.out_of_catalog_rate", 0.4123, 0.02, group="variant=free",
            parameters={"not_tested": {"candidates": f"too long {hostile}"}},
        ),
        drawn(f"{PREFIX}.recall@10", 0.0512, 0.01, group="variant=free"),
        drawn(
            f"{PREFIX}.out_of_catalog_rate", 0.0, 0.001, group="variant=trie",
            notes=("0 by construction: only titles of the catalog can be written",),
        ),
        drawn(f"{PREFIX}.out_of_catalog_change", -0.4123, 0.02, group="variant=trie"),
        drawn(f"{PREFIX}.recall@10", 0.0345, 0.01, group="variant=trie"),
        drawn(f"{PREFIX}.recall@10_change", -0.0167, 0.01, group="variant=trie"),
        drawn(f"{PREFIX}.calls_ratio", 1.0, 0.01, group="variant=trie"),
        *(
            drawn(f"{PREFIX}.aurc", 0.094, 0.01, group=group, parameters={"curve": CURVE})
            for group in ("error=refused", "error=not_relevant")
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = tmp_path_factory.mktemp("mitigations") / "run"
    rows = (*findings(), *measured(HOSTILE))
    return render_html(read_source(write_run(run, audit_result("", findings=rows))))


@pytest.fixture(scope="module")
def table(page):
    return page.split('<table class="mitigations">')[1].split("</table>")[0]


def test_variants_are_columns_and_measures_are_rows():
    found = build_mitigations(measured())
    assert found.variants == ("no mitigation", "catalog trie")
    assert [m.name for m in found.measures] == ["out of catalog", "recall@10", "calls ratio"]
    free, trie = found.measures[0].cells
    assert (free.estimate.value, free.change) == (0.4123, None)
    assert (trie.estimate.value, trie.change.value, trie.fixed) == (0.0, -0.4123, True)
    assert found.measures[2].cells[0] is None


def test_every_number_and_difference_stands_in_the_table(table):
    for text in ("0.412", "-0.412", "-0.0167", "0.0345", "by construction", "catalog trie"):
        assert text in table


def test_what_was_not_tested_is_said_with_its_reason(page):
    assert "Not tested: candidates in the prompt." in page
    assert "too long &lt;script&gt;" in page


def test_the_curve_is_drawn_from_the_points_of_the_result(page):
    drawing = page.split('id="risk-coverage"')[1].split("</svg>")[0]
    assert drawing.count('class="curve c0" x1') == len(CURVE) - 1
    assert drawing.count('class="curve c1" x1') == len(CURVE) - 1
    assert 'data-value="0.25"' in drawing
    assert "not in the catalog: 0.25 of all" in drawing
    x = [float(v) for v in re.findall(r'class="curve c0" x1="([\d.]+)%"', drawing)]
    assert x == sorted(x)


def test_agreement_has_its_own_curve_that_names_the_method(tmp_path):
    said = {"curve": CURVE, "confidence": "agreement of 8 samples <b>"}
    group = "error=refused&confidence=agreement"
    own = drawn(f"{PREFIX}.aurc", 0.2, 0.01, group=group, parameters=said)
    listed = drawn(f"{PREFIX}.sample_agreement", 0.6, 0.01, group="confidence=agreement")
    found = build_mitigations([*measured(), own, listed])
    assert [error for error, _, _ in found.curves.rows] == [
        "not in the catalog", "not among the user's next items"
    ]  # fmt: skip
    assert [estimate.value for _, _, estimate in found.agreement.rows] == [0.2]
    rows = (*findings(), *measured(), own, listed)
    page = render_html(read_source(write_run(tmp_path / "run", audit_result("", findings=rows))))
    check_html(page)
    drawing = page.split('id="risk-coverage-2"')[1].split("</figure>")[0]
    assert "confidence is the agreement of 8 samples &lt;b&gt;." in drawing


def test_findings_of_the_probe_are_in_no_other_figure(page):
    assert "mitigation: shares" not in page


def test_page_is_allowed_and_the_same_twice(page, tmp_path):
    check_html(page)
    rows = (*findings(), *measured(HOSTILE))
    run = write_run(tmp_path / "run", audit_result("", findings=rows))
    assert render_html(read_source(run)) == page


def test_a_result_without_the_probe_has_no_table():
    assert build_mitigations(findings()) is None


@pytest.mark.parametrize("points", [None, "x", [], [[1]], [["a", 1]], [[0.5, None]]])
def test_points_that_are_none_are_not_drawn(points):
    row = drawn(f"{PREFIX}.aurc", 0.1, 0.01, group="error=refused", parameters={"curve": points})
    assert build_mitigations([*measured()[:2], row]).curves is None
