"""`gate`, `report` and `verify` as a user calls them."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace

import pytest
import typer
from evidence_lines import replace_in_evidence
from run_folder import write_policy, write_run
from typer.testing import CliRunner

from auditkit.cli import main
from auditkit.cli.gate import register as register_gate
from auditkit.cli.report import register as register_report
from auditkit.cli.verify import register as register_verify
from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.types import AuditResult, Outcome

app = typer.Typer()
for register in (register_gate, register_report, register_verify):
    register(app)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_run(folder / "run")
    write_policy(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def _call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_gate_writes_its_outputs_and_exits_with_the_verdict(folder):
    run = folder / "run"
    called = _call("gate", run, "--policy", folder / "policy.yaml", "--as-of", "2026-06-01")
    assert called.exit_code == 10
    assert called.stdout.startswith("FAIL (exit 10)")
    assert {"verdict.json", "junit.xml", "results.sarif"} <= {path.name for path in run.iterdir()}
    assert _call("verify", run).exit_code == 0


def test_a_folder_that_is_no_run_is_a_usage_error(folder, tmp_path):
    called = _call("gate", tmp_path, "--policy", folder / "policy.yaml")
    assert called.exception.exit_code == 2
    assert "is not a run folder" in str(called.exception)


def test_the_gate_prints_json_when_asked(folder):
    called = _call("gate", folder / "run", "--policy", folder / "policy.yaml", "--json")
    assert json.loads(called.stdout)["exit_code"] == called.exit_code == 10
    assert called.stdout == (folder / "run" / "verdict.json").read_text(encoding="utf-8")


def test_gating_twice_gives_the_same_bytes(folder):
    words = ("gate", folder / "run", "--policy", folder / "policy.yaml", "--as-of", "2026-06-01")
    names = ("verdict.json", "junit.xml", "results.sarif", "manifest.json")
    _call(*words)
    before = [(folder / "run" / name).read_bytes() for name in names]
    _call(*words)
    assert [(folder / "run" / name).read_bytes() for name in names] == before


def test_altered_evidence_stops_the_gate_without_a_verdict(folder):
    replace_in_evidence(folder / "run", "Brazil", "Brasil")
    called = _call("gate", folder / "run", "--policy", folder / "policy.yaml")
    assert isinstance(called.exception, IntegrityError)
    assert called.exception.exit_code == 13
    assert "evidence.jsonl.gz:1" in str(called.exception)
    assert not (folder / "run" / "verdict.json").exists()


def test_a_policy_is_checked_and_sized_without_a_run(folder):
    checked = _call("gate", "--policy", folder / "policy.yaml", "--check")
    assert checked.exit_code == 0
    assert "28 rules, 0 warnings" in checked.stderr
    sized = _call("gate", "--policy", folder / "policy.yaml", "--needed-n", "--json")
    assert json.loads(sized.stdout)[0]["n"] == 59
    assert (
        "59  out-of-catalog"
        in _call("gate", "--policy", folder / "policy.yaml", "--needed-n").stdout
    )
    assert _call("gate", "--policy", folder / "policy.yaml").exit_code == 2


def test_a_faulty_policy_decides_nothing(folder):
    (folder / "policy.yaml").write_text("version: 1\nname: x\nrules: []\n")
    called = _call("gate", folder / "run", "--policy", folder / "policy.yaml")
    assert isinstance(called.exception, ConfigurationError)
    assert "policy.yaml:3: rules" in str(called.exception)


def test_a_pinned_baseline_that_was_altered_is_refused(folder):
    base = folder / "base.json"
    shutil.copy(folder / "run" / "result.json", base)
    words = ("gate", folder / "run", "--policy", folder / "policy.yaml", "--baseline", base)
    (folder / "base.json.sha256").write_text("0" * 64)
    assert isinstance(_call(*words).exception, IntegrityError)
    from auditkit.serialization.atomic_files import sha256_file

    (folder / "base.json.sha256").write_text(f"{sha256_file(base)}  base.json\n")
    assert _call(*words).exit_code == 10


@pytest.mark.parametrize("named", ["", "result.json"])
def test_baseline_that_was_edited_after_its_audit_is_refused(folder, named):
    shutil.copytree(folder / "run", folder / "old")
    words = ("gate", folder / "run", "--policy", folder / "policy.yaml", "--baseline")
    assert _call(*words, folder / "old" / named).exit_code == 10
    edited = folder / "old" / "result.json"
    edited.write_text(edited.read_text().replace('"seed":', '"seed": '))
    assert isinstance(_call(*words, folder / "old" / named).exception, IntegrityError)
    (folder / "old" / "manifest.json").unlink()
    called = _call(*words, folder / "old")
    assert "is not a run folder: it has no manifest.json" in str(called.exception)


def test_policy_names_a_baseline_of_its_folder_or_the_current_one_only(folder, monkeypatch):
    text = (folder / "policy.yaml").read_text()
    shutil.copytree(folder / "run", folder / "old")
    (folder / "part").mkdir()
    policy = folder / "part" / "policy.yaml"
    monkeypatch.chdir(folder / "part")
    (folder / "part" / "linked").symlink_to(folder / "old")
    for named in ("../old", folder / "old", "linked"):
        policy.write_text(text + f"baseline: {named}\n")
        refused = _call("gate", folder / "run", "--policy", policy)
        assert "baseline: " in str(refused.exception)
        assert "outside" in str(refused.exception)
        allowed = _call("gate", folder / "run", "--policy", policy, "--allow-outside")
        assert allowed.exit_code == 10
    monkeypatch.chdir(folder)
    policy.write_text(text + "baseline: ../old\n")
    assert _call("gate", folder / "run", "--policy", policy).exit_code == 10
    policy.write_text(text + "baseline: old\n")
    assert _call("gate", folder / "run", "--policy", policy).exit_code == 10


def test_a_report_is_rebuilt_and_verified_also_apart_from_its_run(folder):
    out = folder / "apart.html"
    called = _call("report", folder / "run", "--out", out, "--json")
    assert [path.rsplit("/", 1)[1] for path in json.loads(called.stdout)] == [
        "report.html", "summary.md", "findings.csv", "apart.html",
    ]  # fmt: skip
    assert _call("verify", out, folder / "run").exit_code == 0
    assert _call("verify", folder / "run" / "report.html", "--json").exit_code == 0
    assert isinstance(_call("verify", folder / "run", "--root", "0" * 64).exception, IntegrityError)


def _edited(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("command", ["report", "gate"])
def test_edited_numbers_are_not_sealed_by_a_later_command(folder, command):
    run = folder / "run"
    _edited(run / "result.json", '"value": 0.061', '"value": 0.001')
    assert _call("verify", run).exception.exit_code == 13
    words = ("--policy", folder / "policy.yaml") if command == "gate" else ()
    assert _call(command, run, *words).exception.exit_code == 13
    assert _call("verify", run).exception.exit_code == 13


def test_an_edited_verdict_is_not_sealed_by_a_report(folder):
    run = folder / "run"
    words = ("gate", run, "--policy", folder / "policy.yaml", "--as-of", "2026-06-01")
    assert _call(*words).exit_code == 10
    _edited(run / "verdict.json", '"verdict": "fail"', '"verdict": "pass"')
    assert _call("report", run).exception.exit_code == 13
    assert _call(*words).exit_code == 10  # the gate writes it again, from the result
    assert _call("report", run).exit_code == 0
    assert _call("verify", run).exit_code == 0


def test_an_edited_report_is_not_sealed_by_the_gate(folder):
    run = folder / "run"
    assert _call("report", run).exit_code == 0
    _edited(run / "summary.md", "#", "# Passed\n")
    words = ("gate", run, "--policy", folder / "policy.yaml", "--as-of", "2026-06-01")
    assert isinstance(_call(*words).exception, IntegrityError)


def test_a_folder_without_its_manifest_is_not_sealed_again(folder):
    run = folder / "run"
    (run / "manifest.json").unlink()
    called = _call("report", run)
    assert isinstance(called.exception, ConfigurationError)
    assert not (run / "manifest.json").exists()


def test_a_shipped_policy_is_found_by_its_name(folder):
    assert _call("gate", "--policy", "release", "--check").exit_code == 0
    called = _call("gate", "--policy", "relese", "--check")
    assert isinstance(called.exception, ConfigurationError)
    assert "Did you mean 'release'" in str(called.exception)


def test_gate_report_and_verify_open_no_socket(folder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    words = ("gate", folder / "run", "--policy", folder / "policy.yaml", "--as-of", "2026-06-01")
    assert _call(*words).exit_code == 10
    assert _call("report", folder / "run").exit_code == 0
    assert _call("verify", folder / "run").exit_code == 0


# --- the whole command line


def _main(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code, capsys.readouterr().err


def test_a_fault_of_the_system_is_one_line_and_exits_with_two(folder, capsys):
    words = ("report", folder / "run", "--out", folder / "policy.yaml" / "apart.html")
    code, shown = _main(capsys, *words)
    assert code == 2
    assert shown.startswith("auditkit: the system reports '")
    assert "policy.yaml" in shown
    assert len(shown.splitlines()) == 1


def test_a_fault_of_auditkit_keeps_its_traceback(folder, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("auditkit.gating.gate_run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["gate", str(folder / "run"), "--policy", str(folder / "policy.yaml")])


@pytest.mark.parametrize("target", ["", "  "])
def test_an_empty_target_is_named(capsys, target):
    code, shown = _main(capsys, "audit", target)
    assert code == 2
    assert "TARGET is empty" in shown


def test_list_opens_no_socket(monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert _main(capsys, "list", "probes")[0] in (0, None)


def test_reason_of_a_probe_that_did_not_run_cannot_steer_the_terminal(folder, monkeypatch, capsys):
    run = folder / "run"
    outcome = Outcome(probe="x.y", status="error", reason="a\x1b[2J\n::error::b")
    result = replace(AuditResult.read(run), outcomes=(outcome,))
    monkeypatch.setattr("auditkit.run.runner.run_audit", lambda *_, **__: result)
    code, shown = _main(capsys, "audit", "baseline:random", "--out", run)
    assert code == 11
    assert "\x1b" not in shown
    assert "\n::error" not in shown
    assert r"a\x1b[2J\n:" in shown


def test_a_report_on_a_folder_named_index_is_not_the_index(folder):
    shutil.copytree(folder / "run", folder / "index")
    assert _call("report", folder / "index").exit_code == 0
    assert (folder / "index" / "report.html").is_file()


def test_the_index_lists_every_run_and_links_to_its_report(folder):
    assert _call("report", folder / "run").exit_code == 0
    before = (folder / "run" / "report.html").read_bytes()
    called = _call("report", "index", folder)
    assert called.exit_code == 0
    assert called.stdout.split() == [str(folder / "index.html")]
    assert '<a href="run/report.html">run</a>' in (folder / "index.html").read_text("utf-8")
    assert (folder / "run" / "report.html").read_bytes() == before
    assert _call("verify", folder / "run").exit_code == 0


def test_an_index_with_an_altered_run_is_written_names_it_and_exits_13(folder):
    shutil.copytree(folder / "run", folder / "altered")
    _edited(folder / "altered" / "result.json", '"value": 0.061', '"value": 0.001')
    called = _call("report", "index", folder, "--out", folder / "all.html", "--json")
    assert called.exit_code == 13
    assert json.loads(called.stdout) == [str(folder / "all.html")]
    assert "altered/result.json was altered or damaged" in called.stderr
    assert "fail verification" in (folder / "all.html").read_text("utf-8")


def test_two_paths_are_a_usage_error_unless_the_first_is_the_word_index(folder):
    assert _call("report", folder / "run", folder).exit_code == 2
    assert _call("report", "index", folder / "run").exception.exit_code == 2


def test_a_report_is_attested_when_asked(folder):
    called = _call("report", folder / "run", "--attest", "--json")
    assert json.loads(called.stdout)[-1] == str(folder / "run" / "attestation.json")
    assert _call("verify", folder / "run").exit_code == 0
    assert _call("report", "index", folder, "--attest").exit_code == 2
