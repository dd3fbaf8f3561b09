"""`auditkit replay` as a user calls it."""

from __future__ import annotations

import json

import pytest
from audited_runs import CLEAN, FAILS, INVENTS, audit
from evidence_lines import written_bodies
from small_world import write_cache


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path_factory.mktemp("w") / "cache")))
        yield audit(CLEAN, tmp_path_factory.mktemp("audited") / "run")


@pytest.fixture(scope="module")
def request_id(run):
    return written_bodies(run)[0]["request_id"]


def test_one_request_shows_both_responses(call, run, request_id):
    words = ("replay", run, "--id", request_id, "--allow-code")
    code, out, _ = call(*words)
    assert code == 0
    assert "the responses are equal" in out
    code, out, _ = call(*words, "--target", INVENTS)
    assert code == 0
    assert "not in the catalog" in out
    assert "the responses differ" in out
    found = json.loads(call(*words, "--target", INVENTS, "--json")[1])
    assert (found["request_id"], found["equal"]) == (request_id, False)


def test_a_failing_recommender_exits_12(call, run, tmp_path):
    out = tmp_path / "out.jsonl"
    code, _, err = call("replay", run, "--out", out, "--target", FAILS, "--allow-code", "-q")
    assert code == 12
    assert "the same command resumes from" in err
    ids = [body["request_id"] for body in written_bodies(run)]
    words = ("--target", FAILS, "--allow-code", "--json")
    codes = {call("replay", run, "--id", one, *words)[0] for one in ids[:9]}
    assert codes == {0, 12}


def test_all_responses_are_written_and_counted(call, run, tmp_path):
    out = tmp_path / "out.jsonl"
    code, printed, err = call("replay", run, "--out", out, "--target", INVENTS, "--allow-code")
    n = len(out.read_text().splitlines())
    assert code == 0
    assert printed.startswith(f"{n} of {n} responses written to {out}")
    assert "this recommender is not the audited one" in err


def test_one_of_id_and_out_is_needed(call, run, tmp_path):
    assert call("replay", run)[0] == 2
    assert call("replay", run, "--id", "x", "--out", tmp_path / "o")[0] == 2
