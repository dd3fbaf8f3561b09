"""A card declares what a served model does not tell, and every probe that needs it then runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_server import chat_server
from planted_recommenders import Clean
from protocol_server import serving
from small_world import world, write_cache

from auditkit.cli import main
from auditkit.errors import ConfigurationError
from auditkit.recommenders.execution.calls import Call
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.loading.target_card import TargetCard, with_card
from auditkit.run.cost import TimedCall, estimate_cost
from auditkit.run.dry_run import plan_audit
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.types import Request, Response

CARD = """version: 1
trained_on: ml-100k
held_out_users: held_out.txt
decoding: {history_window: 20}
context_length: 100
price: {input: 2, output: 10, currency: EUR}
"""
RECIPE = """version: 1
name: served
probes:
  hallucination.catalog: {n_users: 10}
  privacy.membership: {n_members: 40}
"""
LOADED = LoadedRecommender(recommender=Clean(), kind="python", fingerprint="f", verified=False)


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text(CARD, encoding="utf-8")
    ids = [str(n) for n in range(1, 25)]
    (tmp_path / "held_out.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    return path


def declared(path, **options):
    return with_card(LOADED, path, data="ml-100k", dataset=world(), **options)


def test_facts_take_the_names_of_a_recommender_file(card):
    manifest = declared(card).manifest
    assert manifest["training"]["data_sha256"] == world().fingerprint
    assert manifest["training"]["fit"] == "all_but_test"
    assert manifest["training"]["holdout_users"] == [str(n) for n in range(1, 25)]
    assert manifest["decoding"]["history_window"] == 20


def test_a_card_is_part_of_the_identity_but_its_price_is_not(card):
    before = declared(card).fingerprint
    assert before != LOADED.fingerprint
    card.write_text(CARD.replace("output: 10", "output: 11"), encoding="utf-8")
    assert declared(card).fingerprint == before
    card.write_text(CARD.replace("history_window: 20", "history_window: 21"), encoding="utf-8")
    assert declared(card).fingerprint != before


def test_without_a_card_nothing_changes():
    assert declared(None) is LOADED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\ntrained_at: x\n", "trained_at"),
        ("version: 1\nheld_out_users: nowhere.txt\n", "nowhere.txt, which cannot be read"),
        ("version: 1\nprice: {input: -1, output: 2}\n", "price.input"),
        ("version: 1\nprivacy: {mechanism: magic}\n", "privacy"),
    ],
)
def test_a_wrong_card_is_refused_with_the_place(tmp_path, text, said):
    path = tmp_path / "card.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        TargetCard.read(path)


def test_a_target_with_facts_of_its_own_takes_no_card(card):
    own = LoadedRecommender(
        recommender=Clean(), kind="folder", fingerprint="f", verified=True, manifest={"name": "x"}
    )
    with pytest.raises(ConfigurationError, match="but this target has one"):
        with_card(own, card, data="ml-100k", dataset=world())


@pytest.fixture
def folder(tmp_path, monkeypatch, card):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "served.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def audited(url, *more):
    with pytest.raises(SystemExit):
        main(["audit", f"openai:{url}#m", "--recipe", "served.yaml", "--out", "run", "-q", *more])
    return json.loads(Path("run/result.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "server",
    [lambda: serving(scores=True, chat=False), lambda: chat_server("prompt_logprobs")],
    ids=["completions", "chat"],
)
def test_membership_of_a_served_model_is_measured_with_a_card(folder, capsys, server):
    with server() as (url, _):
        result = audited(url, "--target-card", "card.yaml")
        statuses = {o["probe"]: o["status"] for o in result["outcomes"]}
        assert statuses["privacy.membership"] == "ran"
        assert any("declared in the target card" in note for note in result["notes"])
    with pytest.raises(SystemExit) as ended:
        main(["verify", "run", "--recompute"])
    assert ended.value.code in (0, None), capsys.readouterr().err


def test_without_a_card_the_reason_is_said(folder):
    with serving(scores=True, chat=False) as (url, _):
        result = audited(url)
    (membership,) = [o for o in result["outcomes"] if o["probe"] == "privacy.membership"]
    assert (membership["status"], "holdout_users" in membership["reason"]) == ("skipped", True)


# --- cost


def planned(url, **options):
    return plan_audit(
        f"openai:{url}#m",
        AuditRecipe(version=1, name="served", probes={"hallucination.catalog": {"n_users": 10}}),
        options=AuditOptions(target_card=Path("card.yaml")),
        **options,
    )


def test_a_dry_run_without_timed_calls_sends_nothing_and_states_the_most(folder):
    with serving() as (url, seen):
        plan = planned(url)
        assert seen.calls == 0
    spent = plan.spending
    letters = sum(len(line["prompt"]) for line in plan.lines)
    assert spent.input_tokens == pytest.approx(letters / 4, abs=1)
    assert spent.output_tokens == plan.calls * 512
    assert spent.minutes is None
    assert spent.money == pytest.approx((2 * letters / 4 + 10 * plan.calls * 512) / 1e6, rel=0.01)
    assert spent.currency == "EUR"
    assert "declares a context length of 100" in plan.notes[0]


def test_timed_calls_are_extrapolated(folder):
    with serving() as (url, seen):
        plan = planned(url, n_timed=3)
        assert seen.calls == 3 + 3  # hello, scores in a chat and of plain text
    spent = plan.spending
    assert spent.timed == 3
    assert spent.output_tokens == plan.calls * 5  # the server counts 5 for each answer
    assert spent.minutes > 0


def test_tokens_are_scaled_by_letters_and_minutes_by_calls():
    calls = [_call("x" * 100), _call("x" * 300)]
    usage = {"prompt_tokens": 50, "completion_tokens": 7}
    timed = [TimedCall(calls[0], Response(request_id="r", status="ok", usage=usage), 6.0)]
    cost = estimate_cost(Clean(), calls, timed=timed)
    assert (cost.input_tokens, cost.output_tokens, cost.minutes) == (200, 14, 0.2)
    assert cost.longest_prompt == 150
    assert cost.money is None


def _call(prompt):
    return Call("p", 1, "recommend", Request(prompt=prompt))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--time-calls", "3"], "--time-calls needs --dry-run"),
        (["--price-in", "1", "--dry-run"], "both --price-in and --price-out"),
    ],
)
def test_options_that_need_others_are_named(folder, capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(["audit", "baseline:popularity", *arguments])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_plan_is_printed_with_its_cost(folder, capsys):
    with serving() as (url, _), pytest.raises(SystemExit):
        main(["audit", f"openai:{url}#m", "--recipe", "served.yaml", "--dry-run", "--time-calls",
              "2", "--price-in", "1", "--price-out", "2"])  # fmt: skip
    shown = capsys.readouterr().out
    assert "measured on 2 calls" in shown
    assert "USD" in shown
