"""Whole audits of a served model that answers, misbehaves or dies."""

from __future__ import annotations

import json

import pytest
from loop_clocks import loops_that_wait_for_stalls
from protocol_server import serving
from small_world import write_cache

from auditkit.cli import main
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import read_log
from auditkit.recommenders.remote.request_limits import RequestLimits

RECIPE = """version: 1
name: served
probes:
  hallucination.catalog: {n_users: 60}
"""
POLICY = """version: 1
name: p
rules:
  - {id: invented, metric: hallucination.catalog.invented_rate, max: 1.0}
"""
PROMPTS = """history: titles
recommend: ["Recommend {k} films to {who} who liked:\\n{history}"]
describe: ["Describe {item}."]
description: "Genres: {genres}. Year: {year}."
system: You know films.
examples:
  - {user: One film please., assistant: "So: 1. Heat (1995)"}
answer_after: "So:"
"""
FAULTS = (
    "good", "http_429_once", "http_500_once", "half_once", "hang", "half", "bad_json", "html",
    "error_object", "wrong_shape", "nothing", "null", "filtered", "cut", "hostile", "huge", "tools",
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    for name, text in (("served", RECIPE), ("policy", POLICY), ("prompts", PROMPTS)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def hurried(monkeypatch):
    """Gives up sooner than a person would want to."""
    request_limits = RequestLimits(seconds=0.5, attempts=2)
    monkeypatch.setattr(RequestLimits, "from_environment", lambda environment: request_limits)


@pytest.fixture
def audit(capsys):
    def command(url, *arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["audit", f"openai:{url}#m", "--recipe", "served.yaml", "--out", "run", "--json",
                  *arguments])  # fmt: skip
        streams = capsys.readouterr()
        return stopped.value.code or 0, json.loads(streams.out), streams.err

    return command


def bodies(folder):
    run = folder / "run"
    return read_log(run, read_manifest(run)["run_key"])[0]


def test_every_request_to_a_misbehaving_server_is_accounted_for(audit, folder, hurried):
    with serving(faults=FAULTS) as (url, seen), loops_that_wait_for_stalls(seen):
        _, result, _ = audit(url, "--max-error-rate", "1")
    (outcome,) = result["outcomes"]
    counts = outcome["counts"]
    assert outcome["status"] == "ran"
    assert result["stopped"] is None
    assert outcome["planned"] == sum(counts.values()) == len(bodies(folder)) == 60
    assert counts["not_run"] == 0
    for status in ("ok", "timeout", "target_error", "no_answer", "refusal", "truncated"):
        assert counts[status] >= 3, status
    assert (folder / "run" / "report.html").is_file()


@pytest.mark.parametrize("policy", [[], ["--policy", "policy.yaml"]])
def test_server_that_dies_half_way_never_passes(audit, folder, hurried, policy):
    with serving(dies_after=30) as (url, _):
        code, result, err = audit(url, *policy)
    assert code in (11, 12)
    assert result["stopped"] == "breaker"
    assert result["outcomes"][0]["counts"]["ok"] < 40
    assert "stopped early (breaker)" in err
    assert "stopped early" in (folder / "run" / "report.html").read_text()
    with pytest.raises(SystemExit) as gated:
        main(["gate", "run", "--policy", "policy.yaml"])
    assert gated.value.code in (11, 12)


def test_audit_goes_on_when_the_server_is_back(audit, folder, hurried):
    with serving(dies_after=30) as (url, seen):
        assert audit(url)[0] == 12
        seen.dies_after = None
        code, result, _ = audit(url, "--retry-errors")
    assert code == 0
    assert result["outcomes"][0]["counts"]["ok"] == 60


def test_few_shot_prompts_are_sent_recorded_and_their_reasoning_is_cut(audit, folder):
    text = "1. Alien (1979) would be too dark.\nSo:\n1. Toy Story (1995)"
    with serving(text=text) as (url, seen):
        audit(url, "--prompts", "prompts.yaml", "--limit", "5")
        turns = [{"role": "system", "content": "You know films."},
                 {"role": "user", "content": "One film please."},
                 {"role": "assistant", "content": "So: 1. Heat (1995)"}]  # fmt: skip
        sent = [body["messages"] for body in seen.bodies[-5:]]
    assert all(messages[:3] == turns for messages in sent)
    assert all("who liked:" in messages[3]["content"] for messages in sent)
    for body in bodies(folder):
        assert body["request"]["messages"] == turns
        assert [item["raw"] for item in body["items"]] == ["Toy Story (1995)"]


def test_other_prompts_are_another_run(audit, folder, capsys):
    with serving() as (url, _):
        audit(url, "--limit", "5")
        with pytest.raises(SystemExit) as stopped:
            main(["audit", f"openai:{url}#m", "--recipe", "served.yaml", "--out", "run",
                  "--prompts", "prompts.yaml"])  # fmt: skip
    assert stopped.value.code == 2
