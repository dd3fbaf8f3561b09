"""JUnit, SARIF, CSV and Markdown: well-formed, countable, and without a way to execute anything."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from policies import OUT, judging, result_of
from run_folder import AS_OF, HOSTILE, rate

from auditkit.policy.decide import decide
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
    open_rules = [
        rule for rule in decision.rules if rule.verdict != "pass" or rule.rule == "out-of-catalog"
    ]
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


WAIVED = "waivers:\n  - {rule: r, max: 0.2, reason: known, owner: ana, expires: 2027-01-01}"


def _judged(folder, findings, condition, rest="", name="policy.yaml"):
    """Decision on one rule, with the policy in a folder of its own."""
    policy = judging(folder, f"  - {{id: r, {condition}}}", rest)
    decision = decide(result_of(*findings), policy, as_of=AS_OF)
    return dataclasses.replace(decision, policy_source=name)


def _results(decision):
    return json.loads(render_sarif(decision))["runs"][0]["results"]


@pytest.mark.parametrize(
    ("x", "level", "suppressed", "verdict"),
    [
        (60, "note", True, "pass"),  # passes only because of the waiver
        (100, "error", False, "fail"),  # beyond the limit of the waiver
        (76, "warning", False, "inconclusive"),  # not shown to be within it
        (0, None, False, "pass"),  # meets its own limit, so the waiver covers nothing
    ],
)
def test_only_what_a_waiver_covers_is_a_suppressed_note(tmp_path, x, level, suppressed, verdict):
    decision = _judged(tmp_path, [rate(OUT, x, 400)], f"metric: {OUT}, max: 0.05", WAIVED)
    assert (decision.rules[0].verdict, decision.counts["waived"]) == (verdict, 1)
    results = _results(decision)
    assert [result["level"] for result in results] == ([level] if level else [])
    expected = {"kind": "external", "status": "accepted", "justification": "known"}
    assert [r.get("suppressions") for r in results] == (
        [[expected]] if suppressed else [None] if level else []
    )


def test_a_minimum_on_a_point_estimate_is_covered_by_its_waiver(tmp_path):
    waiver = "waivers:\n  - {rule: r, min: 0.3, reason: known, owner: ana, expires: 2027-01-01}"
    metric = "hallucination.claims.claim_coverage"
    for x, n_results in ((100, 1), (140, 0)):
        condition = f"metric: {metric}, min: 0.5, decide: point"
        decision = _judged(tmp_path, [rate(metric, x, 250)], condition, waiver)
        assert decision.exit_code == 0
        assert len(_results(decision)) == n_results


def test_the_same_failure_has_the_same_message_and_fingerprint_in_every_run(tmp_path):
    one, other = (
        _results(_judged(tmp_path, [rate(OUT, x, n)], f"metric: {OUT}, max: 0.05"))[0]
        for x, n in ((90, 300), (124, 409))
    )
    assert one["message"] == other["message"]
    assert one["partialFingerprints"] == other["partialFingerprints"]
    assert one["properties"]["value"] != other["properties"]["value"]
    assert not any(digit in one["message"]["text"].replace("0.05", "") for digit in "0123456789")


def test_a_verdict_that_is_too_few_has_no_number_in_its_message(tmp_path):
    texts = {
        _results(_judged(tmp_path, [rate(OUT, 0, n)], f"metric: {OUT}, max: 0.5"))[0]["message"][
            "text"
        ]
        for n in (10, 20)
    }
    assert texts == {f"{OUT} was not shown to meet the limit (too_few): at most 0.5."}


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("my policy.yaml", "my%20policy.yaml"),
        ("Richtlinie für ü.yaml", "Richtlinie%20f%C3%BCr%20%C3%BC.yaml"),
        ("ci/100%#1?.yaml", "ci/100%25%231%3F.yaml"),
        ("a:b.yaml", "a%3Ab.yaml"),
        ("policies/release.yaml", "policies/release.yaml"),
        ("../else where/p q.yaml", "p%20q.yaml"),
    ],
)
def test_the_uri_of_the_policy_is_percent_encoded(tmp_path, name, uri):
    decision = _judged(tmp_path, [rate(OUT, 90, 300)], f"metric: {OUT}, max: 0.05", name=name)
    place = _results(decision)[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri


def test_results_point_to_their_rule(judged_run):
    log = json.loads((judged_run / "results.sarif").read_text(encoding="utf-8"))["runs"][0]
    rules = log["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in log["results"])
    assert len({r["message"]["text"] for r in log["results"]}) == len(log["results"])


SARIF = shutil.which("sarif")


@pytest.mark.slow
@pytest.mark.skipif(SARIF is None, reason="sarif-tools is not installed")
def test_sarif_tools_reads_levels_and_differences_as_the_gate_means_them(tmp_path):
    def written(name, x, n, rest=""):
        path = tmp_path / name
        decision = _judged(tmp_path, [rate(OUT, x, n)], f"metric: {OUT}, max: 0.05", rest)
        path.write_text(render_sarif(decision), encoding="utf-8")
        return str(path)

    def code(*words):
        return subprocess.run([SARIF, *words], capture_output=True, check=False).returncode

    failing, again = written("a.sarif", 90, 300), written("b.sarif", 124, 409)
    waived = written("c.sarif", 60, 400, WAIVED)
    beyond = written("d.sarif", 100, 400, WAIVED)
    doubtful = written("e.sarif", 4, 100)
    assert code("--check", "error", "summary", failing) != 0
    assert code("--check", "warning", "summary", waived) == 0
    assert code("--check", "error", "summary", beyond) != 0
    assert code("--check", "error", "summary", doubtful) == 0
    assert code("--check", "warning", "summary", doubtful) != 0
    assert code("--check", "note", "diff", failing, again) == 0
    assert code("--check", "error", "diff", waived, beyond) != 0


@pytest.mark.parametrize("name", ["junit.xml", "results.sarif", "summary.md", "findings.csv"])
def test_no_output_holds_a_control_character(judged_run, name):
    text = (judged_run / name).read_bytes().decode("utf-8")
    assert not {"\x1b", "\x07", "\u202e", "\u200b", "\r"} & set(text)
    assert not any(line.startswith("::") for line in text.splitlines())


def test_what_the_policy_tolerates_is_skipped_and_not_an_error(tmp_path):
    condition = f"metric: {OUT}, max: 0.05"
    for rest, kind in (("", "errors"), ("defaults: {on_inconclusive: warn}", "skipped")):
        decision = _judged(tmp_path, [rate(OUT, 4, 100)], condition, rest)
        suites = ElementTree.fromstring(render_junit(decision))
        counts = {name: suites.get(name) for name in ("errors", "skipped", "failures")}
        assert counts == {"errors": "0", "skipped": "0", "failures": "0", kind: "1"}


def test_junitparser_reads_the_same_verdicts(judged_run):
    junitparser = pytest.importorskip("junitparser", reason="junitparser is not installed")
    suites = junitparser.JUnitXml.fromfile(str(judged_run / "junit.xml"))
    decision = Decision.read(judged_run)
    tags = {"pass": [], "fail": ["Failure"], "inconclusive": ["Error"]}
    found = {case.name: [type(one).__name__ for one in case.result] for s in suites for case in s}
    assert found == {
        rule.name: ["Skipped"]
        if rule.verdict != "pass" and rule.effect in ("shown", "tolerated")
        else tags[rule.verdict]
        for rule in decision.rules
    }
    assert (suites.tests, suites.failures) == (
        len(decision.rules), sum(words == ["Failure"] for words in found.values()),
    )  # fmt: skip


def test_passes_by_construction_are_counted_apart_in_every_output(tmp_path):
    notes = ("0 by construction: an item token names a catalog item",)
    condition = f"metric: {OUT}, max: 0.05"
    for fixed in (True, False):
        found = rate(OUT, 0, 100, notes=notes if fixed else ())
        decision = _judged(tmp_path, [found], condition)
        suites = ElementTree.fromstring(render_junit(decision))
        counted = suites.find(".//property[@name='passes_by_construction']").get("value")
        log = json.loads(render_sarif(decision))["runs"][0]
        assert (counted, log["properties"]["passesByConstruction"]) == (str(int(fixed)), fixed)
        assert ("of which 1 by construction" in decision.summary) is fixed
        assert ("by construction" in suites.findtext(".//system-out", "")) is fixed
        assert log["results"] == []


def test_junit_survives_every_character(judged_run):
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
