"""What a recommender answers stays text on every way out: terminal, page, spreadsheet, XML."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from xml.etree import ElementTree

import pytest
from evidence_lines import evidence_text
from hostile_texts import PAYLOADS
from small_world import write_cache

from auditkit.cli import main
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import read_log
from auditkit.reporting.html_allowlist import check_html

RECIPE = """version: 1
name: hostile
probes:
  hallucination.catalog: {n_users: 39}
  robustness.prompt.case: {n_users: 30}
  hallucination.claims: {n_items: 13}
"""
RECOMMENDER = """
from planted_recommenders import Clean
from hostile_texts import PAYLOADS

class Hostile(Clean):
    name = PAYLOADS[0]

    def recommend(self, requests):
        if len(requests) > 1:
            raise RuntimeError(PAYLOADS[7])
        number = int(requests[0].user_id)
        payload = PAYLOADS[number % len(PAYLOADS)]
        if number % 20 == 3:
            raise RuntimeError(payload)
        return [[payload, f"{payload} (1999)"] if number % 2 else f"1. {payload}"]

    def generate(self, prompts, **options):
        return [f"Genres: {PAYLOADS[len(p) % len(PAYLOADS)]}. Year: 1999." for p in prompts]

class Crashing(Hostile):
    def describe_prompt(self, item):
        raise ValueError("".join(PAYLOADS[:11]))
"""
POLICY = """version: 1
name: p
rules:
  - {id: invented, metric: hallucination.catalog.invented_rate, max: 0.01}
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run folder and streams of: audit, audit with a crashed probe, report, gate, verify."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "code").mkdir()
    (folder / "code" / "hostile_recommender.py").write_text(RECOMMENDER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITKIT_CACHE", str(write_cache(folder / "cache")))
        patch.syspath_prepend(str(folder / "code"))
        patch.chdir(folder)
        streams = [
            command(patch, *words)
            for words in (
                audit_of("Hostile", "run"),
                audit_of("Crashing", "crashed"),
                ["report", "run"],
                ["gate", "run", "--policy", "policy.yaml"],
                ["verify", "run"],
                ["audit", f"python:{PAYLOADS[0]}:{PAYLOADS[7]}", "--allow-code"],
            )
        ]
    return folder, streams


def audit_of(name, out):
    return [
        "audit", f"python:hostile_recommender:{name}", "--allow-code", "--recipe", "recipe.yaml",
        "--out", out, "--policy", "policy.yaml", "--max-error-rate", "1",
    ]  # fmt: skip


def command(patch, *words):
    streams = io.StringIO(), io.StringIO()
    patch.setattr("sys.stdout", streams[0])
    patch.setattr("sys.stderr", streams[1])
    with pytest.raises(SystemExit) as stopped:
        main(words)
    return stopped.value.code, *(stream.getvalue() for stream in streams)


def hidden(text):
    """Characters that steer a terminal or a reader."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"}


def test_answers_reached_the_evidence_as_they_were(outputs):
    evidence = evidence_text(outputs[0] / "run")
    assert evidence.isascii()
    run = outputs[0] / "run"
    bodies, _ = read_log(run, read_manifest(run)["run_key"])
    texts = {item["raw"] for body in bodies for item in body["items"]}
    assert PAYLOADS[0] in texts
    assert PAYLOADS[4] in texts
    assert PAYLOADS[12] in texts


def test_commands_end_with_their_own_exit_codes(outputs):
    assert [code for code, *_ in outputs[1]] == [12, 12, 0, 12, 0, 2]


def test_nothing_steers_the_terminal_or_the_ci_log(outputs):
    for _, out, err in outputs[1]:
        for text in (out, err):
            assert hidden(text) == set()
            assert not any(line.startswith(("::", "##[")) for line in text.splitlines())
            assert "##[command]" not in text
            assert max(map(len, text.splitlines() or [""])) < 5000


@pytest.mark.parametrize("run", ["run", "crashed"])
def test_page_holds_no_markup_but_its_own(outputs, run):
    page = (outputs[0] / run / "report.html").read_text(encoding="utf-8")
    check_html(page)
    assert hidden(page) == set()
    assert "<script>alert(1)" not in page
    assert "onerror=alert(1)>" not in page
    assert str(7919 * 7907) not in page
    assert len(page) < 20_000_000


@pytest.mark.parametrize("run", ["run", "crashed"])
def test_no_cell_is_a_formula(outputs, run):
    text = (outputs[0] / run / "findings.csv").read_text(encoding="utf-8")
    assert hidden(text) == set()
    header, *rows = csv.reader(io.StringIO(text))
    assert rows
    for row in rows:
        assert len(row) == len(header)
        for cell in row:
            assert not cell.startswith(("=", "@", "+")), cell


@pytest.mark.parametrize("run", ["run", "crashed"])
@pytest.mark.parametrize("name", ["junit.xml", "results.sarif", "summary.md", "verdict.json"])
def test_machine_outputs_are_well_formed(outputs, run, name):
    text = (outputs[0] / run / name).read_text(encoding="utf-8")
    assert hidden(text) == set()
    if name == "junit.xml":
        assert ElementTree.fromstring(text).tag == "testsuites"
    elif name != "summary.md":
        json.loads(text)
