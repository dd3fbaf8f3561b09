"""The manifest: what it holds, and that any altered byte is found."""

from __future__ import annotations

import gzip
import json
import random
import shutil

import pytest
from run_folder import RUN_KEY, write_policy, write_run

from auditkit.errors import IntegrityError, InvalidArgument
from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.manifest import (
    OUTPUTS,
    read_manifest,
    seal_manifest,
    verify_report,
    verify_run,
)
from auditkit.reporting import write_report


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    run = write_run(folder / "run", policy=write_policy(folder))
    write_report(run)
    return run


@pytest.fixture
def run(sealed, tmp_path):
    return shutil.copytree(sealed, tmp_path / "copy")


def test_a_sealed_run_verifies_with_its_root_records_and_outputs(sealed):
    verification = verify_run(sealed)
    assert (verification.run_key, verification.n_records) == (RUN_KEY, 6)
    assert sorted(verification.outputs) == sorted(OUTPUTS)
    assert verify_run(sealed, root=verification.root.upper()) == verification


def test_sealing_merges_and_keeps_what_was_given_before(run):
    seal_manifest(run, status="interrupted", fingerprints={"catalog": "c"}, volatile={"host": "h"})
    manifest = read_manifest(run)
    assert manifest["status"] == "interrupted"
    assert set(manifest["fingerprints"]) == {"weights", "catalog"}
    assert set(manifest["volatile"]) == {"finished", "host"}


def test_sealing_twice_gives_the_same_bytes(run):
    before = (run / "manifest.json").read_bytes()
    seal_manifest(run)
    assert (run / "manifest.json").read_bytes() == before


def test_a_manifest_of_another_run_is_not_overwritten(run, tmp_path):
    with pytest.raises(InvalidArgument, match="has the run key"):
        seal_manifest(run, run_key="other")
    with pytest.raises(InvalidArgument, match="run key"):
        seal_manifest(tmp_path)


@pytest.mark.parametrize("name", [EVIDENCE, *OUTPUTS])
def test_any_changed_byte_is_found_and_the_file_is_named(run, name):
    path = run / name
    content = bytearray(path.read_bytes())
    for position in random.Random(3).sample(range(len(content)), 12):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(IntegrityError, match=name):
            verify_run(run)
    path.write_bytes(content)
    verify_run(run)


def test_a_record_cut_from_the_end_is_found(run):
    path = run / EVIDENCE
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).rpartition(b'{"body"')[0]))
    with pytest.raises(IntegrityError, match="5 records, but the manifest states 6"):
        verify_run(run)


def test_a_run_whose_evidence_is_gone_is_found_also_if_it_had_no_records(run):
    manifest = read_manifest(run)
    (run / EVIDENCE).unlink()
    with pytest.raises(IntegrityError, match="0 records, but the manifest states 6"):
        verify_run(run)
    manifest["evidence"] |= {"n_records": 0, "root": RUN_KEY}
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match=r"evidence\.jsonl.*SHA-256"):
        verify_run(run)


def test_an_output_that_is_missing_or_unknown_is_found(run):
    (run / "summary.md").unlink()
    with pytest.raises(IntegrityError, match=r"summary\.md.*missing"):
        verify_run(run)
    manifest = read_manifest(run)
    del manifest["outputs"]["summary.md"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "summary.md").write_text("new")
    with pytest.raises(IntegrityError, match=r"summary\.md.*manifest does not list it"):
        verify_run(run)


def test_a_rewritten_run_is_found_only_by_a_root_kept_elsewhere(run, tmp_path):
    root = verify_run(run).root
    forged = write_run(tmp_path / "forged", hostile="other words")
    verify_run(forged)
    with pytest.raises(IntegrityError, match="but the given root is"):
        verify_run(forged, root=root)


def test_a_result_of_another_run_is_found(run):
    path = run / "result.json"
    path.write_text(path.read_text().replace(RUN_KEY, "0" * 64))
    manifest = read_manifest(run)
    from auditkit.serialization.atomic_files import sha256_file

    manifest["outputs"]["result.json"] = sha256_file(path)
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="run key"):
        verify_run(run)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run_key": "x", "evidence": 1}', "{nan"])
def test_a_damaged_manifest_is_an_integrity_error(run, content):
    (run / "manifest.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"manifest\.json is damaged"):
        verify_run(run)


def test_a_detached_report_is_matched_to_its_run(run, tmp_path):
    verification = verify_run(run)
    verify_report(run / "report.html", verification)
    other = tmp_path / "other.html"
    other.write_text((run / "report.html").read_text().replace(verification.root, "0" * 64))
    with pytest.raises(IntegrityError, match="differ from those of the run folder"):
        verify_report(other, verification)
    other.write_text("<html></html>")
    with pytest.raises(IntegrityError, match="not an auditkit report"):
        verify_report(other, verification)


def test_sealing_keeps_the_hashes_of_files_that_were_not_written(run):
    (run / "result.json").write_bytes((run / "result.json").read_bytes() + b" ")
    (run / "summary.md").write_text("a new summary")
    seal_manifest(run, written=["summary.md"])
    with pytest.raises(IntegrityError, match=r"result\.json.*SHA-256"):
        verify_run(run)
    verify_run(run, replacing=["result.json"])


def test_an_output_that_is_about_to_be_written_again_is_not_checked(run):
    (run / "report.html").write_text("half a page")
    verify_run(run, replacing=["report.html"])
    with pytest.raises(IntegrityError, match=r"report\.html"):
        verify_run(run)


def test_a_killed_audit_is_told_to_resume(run):
    manifest = read_manifest(run)
    manifest["status"], manifest["evidence"]["n_records"] = "running", 3
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="run its command again to resume"):
        verify_run(run)
