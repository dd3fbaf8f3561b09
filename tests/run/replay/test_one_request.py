"""One recorded request, asked again."""

from __future__ import annotations

import shutil

import pytest
from audited_runs import CLEAN, CODE, FAILS, INVENTS, LISTS, audit
from evidence_lines import replace_in_evidence

from auditkit.errors import ConfigurationError, IntegrityError, TargetUnavailable
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import read_log
from auditkit.run.replay.one_request import replay_request


@pytest.fixture(scope="module")
def run(environment, tmp_path_factory):
    probes = {**LISTS, "hallucination.claims": {}, "utility.likes": {}}
    return audit(CLEAN, tmp_path_factory.mktemp("audited") / "run", probes)


@pytest.fixture(scope="module")
def records(run):
    return read_log(run, read_manifest(run)["run_key"])[0]


def _first(records, operation):
    return next(body for body in records if body["request"]["op"] == operation)


@pytest.mark.parametrize("operation", ["recommend", "generate", "score"])
def test_the_audited_recommender_answers_as_recorded(run, records, operation):
    body = _first(records, operation)
    found = replay_request(run, body["request_id"], options=CODE)
    assert found.operation == operation
    assert found.equal
    assert not found.failed
    assert found.notes == ()
    assert found.prompt == body["request"]["prompt"]
    if operation == "score":
        assert all(old == new is not None for _, old, new in found.scores)


def test_another_recommender_answers_otherwise_and_a_note_says_so(run, records):
    body = _first(records, "recommend")
    found = replay_request(run, body["request_id"], target=INVENTS, options=CODE)
    assert found.recorded.items != found.new.items
    assert not found.equal
    assert any(not known for _, known in found.new.items)
    assert found.notes == ("this recommender is not the audited one: its fingerprint differs",)


def test_an_edited_prompt_is_sent_as_it_was_recorded(run, records):
    typos = [
        body
        for body in records
        if body["probe"] == "robustness.prompt.typo" and body["request"]["op"] == "recommend"
    ]
    found = replay_request(
        run, typos[-1]["request_id"],
        target="python:planted_recommenders:ReadsEveryLetter", options=CODE,
    )  # fmt: skip
    assert found.prompt == typos[-1]["request"]["prompt"]
    assert len({body["request"]["prompt"] for body in typos}) > 30


def test_a_recommender_that_fails_is_reported(run, records):
    for body in records[:9]:
        found = replay_request(run, body["request_id"], target=FAILS, options=CODE)
        if found.failed:
            assert found.new.status == "target_error"
            return
    pytest.fail("a third of all requests should fail")


def test_an_id_may_be_shortened_and_an_unknown_one_is_refused(run, records):
    whole = records[0]["request_id"]
    assert replay_request(run, whole[:8], options=CODE).request_id == whole
    with pytest.raises(ConfigurationError, match="no request with id 'zz'"):
        replay_request(run, "zz", options=CODE)
    with pytest.raises(ConfigurationError, match="requests whose id begins with"):
        replay_request(run, whole[:1], options=CODE)


def test_a_recommender_without_the_operation_is_a_usage_error(run, records):
    request = _first(records, "score")["request_id"]
    with pytest.raises(ConfigurationError, match="needs the capability Scores"):
        replay_request(
            run, request, target="python:planted_recommenders:OnlyRecommends", options=CODE
        )


def test_code_runs_only_if_it_is_allowed_and_evidence_is_verified(run, records, tmp_path):
    request = records[0]["request_id"]
    with pytest.raises(TargetUnavailable, match="--allow-code"):
        replay_request(run, request)
    copy = shutil.copytree(run, tmp_path / "copy")
    replace_in_evidence(copy, '"repeat":0', '"repeat":1')
    with pytest.raises(IntegrityError):
        replay_request(copy, request, options=CODE)
