"""Errors that all requests share are told before the audit, and the others are counted."""

from __future__ import annotations

import json

import pytest
from evidence_lines import written_bodies
from protocol_server import serving
from recorded_server import answering
from server_formats import VLLM
from small_folder import save
from small_world import write_cache
from transformers import AutoModelForCausalLM, AutoTokenizer

from auditkit.cli import main
from auditkit.errors import TargetUnavailable
from auditkit.evidence.failures import (
    commonest_error,
    same_at_any_temperature,
    truncated_lists,
)
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.types import Response

REFUSES_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
)
ALTERNATES = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ m['content'] }}\n{% endfor %}"
)
PROMPTS = """history: titles
recommend: ["Recommend {k} films to {who} who liked:\\n{history}"]
describe: ["Describe {item}."]
description: "Genres: {genres}. Year: {year}."
system: You know films.
"""
RECIPE = "version: 1\nname: small\nprobes:\n  hallucination.catalog: {n_users: 40}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "prompts.yaml").write_text(PROMPTS)
    return tmp_path


def audit(target, out, **options):
    recipe = AuditRecipe(
        version=1, name="small", batch_size=8, probes={"hallucination.catalog": {"n_users": 40}}
    )
    return run_audit(str(target), recipe, out, options=AuditOptions(**options))


def chatting(folder, template):
    save(folder, style="generate", with_items=False, prompt="prompts.yaml")
    (folder / "prompts.yaml").write_text(PROMPTS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("template", "words"),
    [(REFUSES_SYSTEM, "System role not supported"), (ALTERNATES, "roles must alternate")],
)
def test_chat_template_that_refuses_the_system_turn_is_told_at_once(folder, template, words):
    with pytest.raises(TargetUnavailable, match=rf"{words}.*Check the chat template"):
        audit(chatting(folder / "model", template), folder / "run")
    assert not (folder / "run" / "result.json").exists()


def test_fewer_embeddings_than_tokens_are_told_at_once(folder):
    save(folder / "model", style="generate", with_items=False)
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    model.resize_token_embeddings(20)
    model.save_pretrained(folder / "model")
    with pytest.raises(TargetUnavailable, match="index out of range"):
        audit(folder / "model", folder / "run")


def test_healthy_folder_is_audited_without_a_recorded_trial(folder):
    save(folder / "model")
    result = audit(folder / "model", folder / "run")
    (outcome,) = result.outcomes
    records = written_bodies(folder / "run")
    assert (outcome.status, outcome.counts["ok"]) == ("ran", 40)
    assert len(records) == 40


@pytest.mark.parametrize("refused", ["system", "examples"])
def test_server_that_refuses_the_turns_of_the_templates_is_told_at_once(folder, refused):
    if refused == "examples":
        text = PROMPTS.replace(
            "system: You know films.\n", "examples:\n  - {user: u, assistant: a}\n"
        )
        (folder / "prompts.yaml").write_text(text)

    def respond(path, asked):
        if len(asked.get("messages", [])) > 1:
            return 400, {"error": {"message": "System role not supported", "code": 400}}
        return VLLM.chat("1. Toy Story (1995)")

    with answering(respond) as (url, _), pytest.raises(TargetUnavailable, match="chat template"):
        audit(f"openai:{url}#m", folder / "run", prompts=folder / "prompts.yaml")


def test_small_run_in_which_every_request_failed_is_no_success(folder, capsys):
    with serving() as (url, seen):
        # The capability check gets an answer; all later requests do not.
        seen.fault_of = lambda prompt: "" if prompt.startswith("Say hello") else "html"
        with pytest.raises(SystemExit) as stopped:
            main(["audit", f"openai:{url}#m", "--recipe", "small.yaml", "--out", "run",
                  "--limit", "5"])  # fmt: skip
    assert stopped.value.code == 12
    note = (
        "5 of 5 requests failed, 5 of them with the error: bad_schema: the response is not valid "
        "JSON"
    )
    assert note in capsys.readouterr().err
    assert note in json.loads((folder / "run" / "result.json").read_text())["notes"]
    assert note in (folder / "run" / "report.html").read_text()
    summary = (folder / "run" / "summary.md").read_text()
    assert "5 of 5 requests failed, 5 of them with the error: bad" in summary


def record(request_id, status, reason=None, detail=None, **more):
    derived = {"error": detail} if detail else {}
    request = {"op": "recommend", "temperature": more.pop("temperature", 0.0), "prompt": "p"}
    return {"request_id": request_id, "status": status, "reason": reason, "derived": derived,
            "text": None, "request": request, **more}  # fmt: skip


def test_commonest_error_is_counted_by_its_words():
    records = [
        record("a", "target_error", "context_overflow", "942 tokens, the model reads 512"),
        record("b", "target_error", "context_overflow", "951 tokens, the model reads 512"),
        record("c", "timeout", "deadline"),
        record("d", "ok"),
        record("e", "target_error", "http_5xx"),
        record("e", "ok"),  # was repeated
    ]
    assert commonest_error(records) == (
        "3 of 5 requests failed, 2 of them with the error: context_overflow: 942 tokens, the model "
        "reads 512"
    )
    assert commonest_error(records[3:4]) is None


def test_truncated_lists_are_counted_with_advice():
    records = [record("a", "truncated", text="<"), record("b", "truncated"), record("c", "ok")]
    (note,) = truncated_lists(records)
    assert note.startswith("2 of 3 lists were truncated, 1 of them before the first word")
    assert "AUDITKIT_MAX_TOKENS" in note
    assert truncated_lists(records[2:]) == ()


@pytest.mark.parametrize(
    ("texts", "temperature", "noted"),
    [(["x", "x"], 0.7, True), (["x", "y"], 0.7, False), (["x", "x"], 0.0, False)],
)
def test_temperature_without_effect_is_noted(texts, temperature, noted):
    records = []
    for number in range(6):
        for text in texts:
            one = record("r", "ok", text=text, temperature=temperature)
            one["request"] = {**one["request"], "prompt": str(number)}
            records.append(one)
    assert bool(same_at_any_temperature(records)) is noted
    assert same_at_any_temperature(records[:4]) == ()


def test_one_success_is_enough_to_go_on():
    stop = StopRule()
    stop.expect(2)
    failed = Response(request_id="a", status="target_error", reason="bad_schema")
    for response in (failed, Response(request_id="b", status="ok")):
        stop.record(response)
    stop.check_any_success()
    assert stop.stopped is None
    unsent = StopRule()
    unsent.check_any_success()
    assert unsent.stopped is None


def test_server_that_cuts_prompts_without_an_error_is_told_in_the_result(folder):
    template = PROMPTS.replace("who liked:", f"who liked: {'words before the history ' * 600}")
    (folder / "prompts.yaml").write_text(template)
    with serving(window=400, cuts=True) as (url, _):
        result = audit(f"openai:{url}#m", folder / "run", prompts=folder / "prompts.yaml")
    assert any("40 of 40 prompts were cut by the server" in note for note in result.notes)
