"""The in-toto statement: structure, hashes of the files, and a verdict on this state only."""

from __future__ import annotations

import json
import re
import shutil
from urllib.parse import urlsplit

import pytest

from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.evidence.manifest import seal_manifest, verify_run
from auditkit.policy.decision import Decision
from auditkit.reporting.attestation import write_attestation
from auditkit.serialization.atomic_files import sha256_file


@pytest.fixture
def run(judged_run, tmp_path):
    return shutil.copytree(judged_run, tmp_path / "run")


def _statement(run):
    return json.loads(write_attestation(run).read_text(encoding="utf-8"))


def test_the_structure_is_that_of_an_in_toto_statement(run):
    statement = _statement(run)
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert urlsplit(statement["predicateType"]).scheme
    assert isinstance(statement["predicate"], dict)
    names = [subject["name"] for subject in statement["subject"]]
    assert names
    assert len(names) == len(set(names))
    for subject in statement["subject"]:
        assert set(subject) == {"name", "digest"}
        assert re.fullmatch("[0-9a-f]{64}", subject["digest"]["sha256"])


def test_subjects_are_the_outputs_and_the_predicate_is_the_verdict(run):
    statement, decision = _statement(run), Decision.read(run)
    digests = {s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
    assert digests == {name: sha256_file(run / name) for name in digests}
    assert {"result.json", "report.html", "verdict.json", "junit.xml"} <= set(digests)
    predicate = statement["predicate"]
    assert predicate["evidence"]["root"] == verify_run(run).root
    assert predicate["policy"]["sha256"] == decision.policy_sha256
    assert (predicate["verdict"], predicate["exitCode"]) == ("fail", 10)


def test_the_same_folder_gives_the_same_bytes_and_still_verifies(run):
    first = write_attestation(run).read_bytes()
    assert write_attestation(run).read_bytes() == first
    verify_run(run)
    assert not {"\u202e", "\u200b"} & set(json.loads(first)["predicate"]["target"]["name"])


def test_a_verdict_on_another_state_is_not_attested(run):
    path = run / "verdict.json"
    verdict = json.loads(path.read_text())
    path.write_text(json.dumps({**verdict, "evidence_root": "0" * 64}))
    seal_manifest(run, written=("verdict.json",))
    predicate = _statement(run)["predicate"]
    assert predicate["verdict"] is None
    assert predicate["policy"] is None


def test_an_altered_or_unfinished_run_is_not_attested(run):
    manifest = json.loads((run / "manifest.json").read_text())
    kept = (run / "result.json").read_bytes()
    (run / "result.json").write_bytes(kept.replace(b"0", b"1", 1))
    with pytest.raises(IntegrityError):
        write_attestation(run)
    for name in manifest["outputs"]:
        (run / name).unlink()
    (run / "manifest.json").write_text(json.dumps({**manifest, "outputs": {}}))
    with pytest.raises(ConfigurationError, match="no sealed output"):
        write_attestation(run)
    assert not (run / "attestation.json").exists()
