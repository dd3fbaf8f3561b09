"""JUnit, SARIF, CSV and Markdown: well-formed, countable, and without a way to execute anything."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree

import pytest
from run_folder import HOSTILE

from auditkit.policy.decision import Decision
from auditkit.reporting.findings_csv import spreadsheet_text
from auditkit.reporting.junit import render_junit
from auditkit.reporting.run_reader import read_source
from auditkit.reporting.sarif import render_sarif
from auditkit.reporting.summary import markdown_text


def test_junit_counts_add_up_and_every_rule_is_a_case(judged_run):
    suites = ElementTree.fromstring((judged_run / "junit.xml").read_text(encoding="utf-8"))
    decision = Decision.read(judged_run)
    assert len(suites.findall(".//testcase")) == len(decision.rules) == int(suites.get("tests"))
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        found = len(suites.findall(f".//{tag}"))
        assert found == int(suites.get(kind)) == sum(int(s.get(kind)) for s in suites)
    assert {c.get("type") for c in suites.iter("error")} <= {
        "straddles", "probe_skipped", "probe_error", "metric_missing",
    }  # fmt: skip
    assert all("time" not in case.attrib for case in suites.iter("testcase"))


def test_sarif_has_one_alert_per_rule_that_did_not_pass(judged_run):
    log = json.loads((judged_run / "results.sarif").read_text(encoding="utf-8"))["runs"][0]
    decision = Decision.read(judged_run)
    open_rules = [rule for rule in decision.rules if rule.verdict != "pass"]
    assert [r["ruleId"] for r in log["results"]] == [rule.rule for rule in open_rules]
    assert {r["level"] for r in log["results"]} == {"error", "warning", "note"}
    assert len({r["partialFingerprints"]["auditkitRule/v1"] for r in log["results"]}) == len(
        open_rules
    )
    place = log["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "policy.yaml"
    assert place["region"]["startLine"] == open_rules[0].line > 1
    assert log["invocations"] == [{"executionSuccessful": True, "exitCode": 10}]
    assert len(log["tool"]["driver"]["rules"]) == len({rule.rule for rule in decision.rules})


def test_a_waived_alert_is_suppressed_and_not_dropped(judged_run):
    import dataclasses

    decision = Decision.read(judged_run)
    waived = next(rule for rule in decision.rules if rule.waiver)
    failing = dataclasses.replace(waived, verdict="fail")
    log = json.loads(render_sarif(dataclasses.replace(decision, rules=(failing,))))
    assert log["runs"][0]["results"][0]["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "Titles of 1997 missing, T-231"}
    ]


@pytest.mark.parametrize("name", ["junit.xml", "results.sarif", "summary.md", "findings.csv"])
def test_no_output_holds_a_control_character(judged_run, name):
    text = (judged_run / name).read_bytes().decode("utf-8")
    assert not {"\x1b", "\x07", "\u202e", "\u200b", "\r"} & set(text)
    assert not any(line.startswith("::") for line in text.splitlines())


def test_junit_survives_every_character(judged_run):
    import dataclasses

    decision = Decision.read(judged_run)
    wild = "".join(map(chr, [*range(32), 0x202E, 0xD800, 0xFFFE, 0x1F3AC])) + HOSTILE
    rule = dataclasses.replace(decision.rules[0], group=wild, verdict="fail")
    ElementTree.fromstring(render_junit(dataclasses.replace(decision, rules=(rule,))))


def test_csv_cells_that_look_like_formulas_are_text_and_numbers_are_numbers(judged_run):
    rows = list(csv.DictReader((judged_run / "findings.csv").open(encoding="utf-8", newline="")))
    result = read_source(judged_run).result
    assert len(rows) == len(result.findings)
    values = [f.estimate.value for f in result.findings]
    assert [float(r["value"]) if r["value"] else None for r in rows] == values


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t=", " =", "\u200b=", "\ufeff@", "\r", "\n="]
)
def test_a_formula_gets_a_quote_in_front(start):
    assert spreadsheet_text(f"{start}1+1").startswith("'")
    assert spreadsheet_text("Heat (1995)") == "Heat (1995)"


def test_the_summary_is_short_and_shows_no_markup(judged_run):
    text = (judged_run / "summary.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert len(text.encode()) <= 65_536
    assert "<" not in text
    assert "![" not in text
    assert "**FAIL**" in text
    assert read_source(judged_run).root in text


def test_markdown_text_is_literal():
    assert markdown_text("[x](y) `z` |a|\n<b>") == (
        "&#91;x&#93;(y) &#96;z&#96; &#124;a&#124; &#60;b&#62;"
    )
