"""Only verified folders are compared, and runs are found two levels deep."""

from __future__ import annotations

import pytest
from paired_runs import USERS, result_of, write_listed, write_pair

from auditkit.comparison.diff import diff_runs
from auditkit.comparison.recorded_run import find_runs, read_run
from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.manifest import seal_manifest


@pytest.fixture
def pair(tmp_path):
    return write_pair(tmp_path)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", [EVIDENCE, "result.json", "verdict.json"])
def test_an_altered_folder_is_refused(pair, side, name):
    path = pair[side] / name
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    with pytest.raises(IntegrityError, match="damaged"):
        diff_runs(*pair)


def test_another_schema_version_is_a_usage_error_that_names_both(pair):
    result = pair[1] / "result.json"
    text = result.read_text(encoding="utf-8")
    result.write_text(text.replace('"schema_version": "1.0"', '"schema_version": "2.0"'))
    seal_manifest(pair[1], written=("result.json",))
    with pytest.raises(ConfigurationError, match=r"has schema version 1\.0 .* has 2\.0") as caught:
        diff_runs(*pair)
    assert caught.value.exit_code == 2


def test_a_verdict_on_another_state_is_left_out(pair):
    assert read_run(pair[0]).verdict == "pass"
    verdict = pair[0] / "verdict.json"
    verdict.write_bytes((pair[1] / "verdict.json").read_bytes())
    seal_manifest(pair[0], written=("verdict.json",))
    assert read_run(pair[0]).decision is None


def test_runs_are_found_two_levels_deep_and_links_are_not_followed(tmp_path):
    for name in ("a", "b/c", "d/e/f"):
        write_listed(tmp_path / name, result_of(invented=()), invented=())
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert find_runs(tmp_path) == [tmp_path / "a", tmp_path / "b" / "c"]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="contains no run folder"):
        find_runs(tmp_path)
    with pytest.raises(ConfigurationError, match="is not a folder"):
        find_runs(tmp_path / "absent")


def test_records_are_kept_only_if_they_are_asked_for(pair):
    assert read_run(pair[0]).records == ()
    assert len(read_run(pair[0], with_records=True).records) == len(USERS)
