"""All requests of a run, asked again: the file gives the audit of the other recommender."""

from __future__ import annotations

import json

import pytest
from audited_runs import CLEAN, CODE, FAILS, INVENTS, RECORDED, audit
from evidence_lines import written_bodies

from auditkit.errors import ConfigurationError
from auditkit.run.replay.all_requests import replay_run
from auditkit.types import AuditResult


@pytest.fixture(scope="module")
def run(environment, tmp_path_factory):
    return audit(CLEAN, tmp_path_factory.mktemp("audited") / "run")


def _estimates(run):
    return {
        (f.metric, f.group): (f.estimate.value, f.estimate.low, f.estimate.high, f.estimate.n)
        for f in AuditResult.read(run).findings
    }


def test_an_audit_of_the_file_measures_what_an_audit_of_the_recommender_does(run, tmp_path):
    out = tmp_path / "answers.jsonl"
    done = replay_run(run, out, target=INVENTS, options=CODE)
    assert (done.stopped, done.failed, done.truncated) == ("", 0, 0)
    assert done.written == done.asked > 60
    assert not (tmp_path / "answers.jsonl.partial").exists()
    direct = audit(INVENTS, tmp_path / "direct")
    replayed = audit(f"replay:{out}", tmp_path / "replayed")
    assert _estimates(replayed) == _estimates(direct)
    assert _estimates(direct) != _estimates(run)


def test_an_interrupted_replay_resumes_and_gives_the_same_bytes(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "asked.txt"))
    whole = tmp_path / "whole.jsonl"
    replay_run(run, whole, target=RECORDED, options=CODE)
    n_requests = len((tmp_path / "asked.txt").read_text().split())
    (tmp_path / "asked.txt").unlink()

    out = tmp_path / "out.jsonl"
    monkeypatch.setenv("STOP_AFTER", "20")
    with pytest.raises(KeyboardInterrupt):
        replay_run(run, out, target=RECORDED, options=CODE)
    assert not out.exists()
    monkeypatch.delenv("STOP_AFTER")
    with pytest.raises(ConfigurationError, match="contains another run: target changed"):
        replay_run(run, out, target=INVENTS, options=CODE)
    replay_run(run, out, target=RECORDED, options=CODE)
    assert out.read_bytes() == whole.read_bytes()
    asked = (tmp_path / "asked.txt").read_text().split()
    assert len(asked) - len(set(asked)) <= 8  # only the interrupted batch is asked again
    assert len(set(asked)) == n_requests


def test_a_failing_recommender_writes_no_file_and_says_why(run, tmp_path):
    done = replay_run(run, tmp_path / "out.jsonl", target=FAILS, options=CODE)
    assert "requests failed, more than" in done.stopped
    assert not (tmp_path / "out.jsonl").exists()
    assert (tmp_path / "out.jsonl.partial").is_dir()


def test_what_cannot_be_asked_again_is_counted_by_reason(environment, tmp_path):
    probes = {
        "hallucination.catalog": {"n_users": 30},
        "utility.likes": {},
        "hallucination.claims": {},
        "explain.removal": {"n_users": 30},
    }
    run = audit(CLEAN, tmp_path / "run", probes)
    done = replay_run(run, tmp_path / "out.jsonl", options=CODE)
    assert set(done.left_out) == {
        "of the adaptive probe explain.removal",
        "of operation score, which a file of recorded responses cannot contain",
        "of operation generate, which a file of recorded responses cannot contain",
    }
    assert len(written_bodies(run)) == done.asked + sum(done.left_out.values())
    ids = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) == done.written


def test_an_existing_file_is_kept(run, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("kept")
    with pytest.raises(ConfigurationError, match="exists"):
        replay_run(run, out, target=INVENTS, options=CODE)
    assert out.read_text() == "kept"
