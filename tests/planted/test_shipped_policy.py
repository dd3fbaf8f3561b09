"""Every kind of target, with a planted fault, through the shipped recipe and the shipped policy.

A rule that reads nothing would let the fault pass, so the rule for the fault must fail and not just
block. The fault of each target is one that its kind can have.
"""

from __future__ import annotations

import numpy as np
import pytest
import small_folder
import torch
from recorded_server import answering
from server_formats import VLLM
from small_folder import save
from small_world import world, write_cache
from transformers import AutoModelForCausalLM, AutoTokenizer

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.recommenders.adapters.manifest import Decoding, RecommenderManifest
from auditkit.recommenders.prompting.prompts import item_reference
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import read_recipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.types import AuditResult

POLICY = Policy.read(find_recipe("release", kind="policy"))
CATALOG = world().catalog
CANNOT_HAVE = "probe_skipped"
NEVER_MEASURED = {"probe_skipped", "metric_missing", "group_missing"}
# A dozen users prove neither an NDCG below .02 nor a tail share below .05; undecided also blocks.
UNDECIDED_OR_FAILED = {"fails", "blocks"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("AUDITKIT_REQUEST_SECONDS", "60")


def judged(target, folder, *, limit=12, only=None):
    """Verdicts of the shipped policy by rule, and the decision."""
    recipe = read_recipe(find_recipe("quick", kind="audit"))
    if only:
        recipe = recipe.only(only)
    result = run_audit(str(target), recipe, folder / "run", options=AuditOptions(limit=limit))
    decision = decide(result, POLICY)
    return {rule.rule: rule for rule in decision.rules}, decision


def judged_as(kind, decided_run, name, *, cheap=False):
    """The verdict of one rule by the policy of the kind, all of whose metrics were measured.

    `cheap` is for runs of a few probes only.
    """
    policy = Policy.read(find_recipe(f"release-{kind}", kind="policy"))
    decision = decide(AuditResult.read(decided_run), policy)
    assert decision.verdict != "pass"
    shown = {rule.id for rule in policy.file.rules if rule.on_skipped == "show"}
    lacking = {r.rule for r in decision.rules if r.reason in NEVER_MEASURED}
    assert cheap or lacking <= shown
    return next(rule for rule in decision.rules if rule.rule == name)


def failed(rules):
    return {name for name, rule in rules.items() if rule.effect == "fails"}


def popular():
    """Item ids, the most popular in the training data first."""
    data = world().interactions
    chosen = data.item_index[data.split().train]
    counts = np.bincount(chosen, minlength=len(CATALOG.items))
    return [CATALOG.ids[row] for row in np.argsort(-counts, kind="stable")]


def listed(titles):
    return "\n".join(f"{n}. {title}" for n, title in enumerate(titles, start=1))


# --- a server without log-probabilities


def server(text):
    def respond(path, asked):
        if path.endswith("/completions") and "/chat/" not in path:
            return 404, {"detail": "Not Found"}
        prompt = asked["messages"][-1]["content"]
        return VLLM.chat(text(prompt))

    return answering(respond)


def test_server_that_invents_titles_fails_by_its_rule(tmp_path):
    invented = listed(f"The Zyqqx of Vrmpf {n} (2031)" for n in range(10))
    with server(lambda prompt: invented) as (url, _):
        rules, decision = judged(f"openai:{url}#m", tmp_path)
    assert {"out-of-catalog", "invented-items"} <= failed(rules)
    assert judged_as("endpoint", tmp_path / "run", "invented-items").effect == "fails"
    assert rules["utility-floor"].effect in UNDECIDED_OR_FAILED
    assert decision.verdict != "pass"
    for name in ("membership-auc", "attribution-above-chance"):
        assert (rules[name].reason, rules[name].effect) == (CANNOT_HAVE, "shown")
    assert all(check.met for check in decision.requirements if "privacy" in check.name)


def test_server_that_states_wrong_facts_fails_by_its_rule(tmp_path):
    wrong = [f"{item.title} was released in {item.year + 20}." for item in CATALOG.items[:5]]
    with server(lambda prompt: listed(wrong)) as (url, _):
        rules, _ = judged(f"openai:{url}#m", tmp_path, only=["hallucination.claims"])
    rule = rules["contradicted-claims"]
    assert (rule.group, rule.verdict, rule.effect) == ("all", "fail", "fails")
    assert rule.value > 0.9


def test_server_that_states_true_facts_does_not_fail(tmp_path):
    true = [f"{item.title} was released in {item.year}." for item in CATALOG.items[:5]]
    with server(lambda prompt: listed(true)) as (url, _):
        rules, _ = judged(f"openai:{url}#m", tmp_path, only=["hallucination.claims"])
    assert (rules["contradicted-claims"].value, failed(rules)) == (0.0, set())


def test_server_that_names_only_the_most_popular_items_fails_by_its_rule(tmp_path):
    same = listed(CATALOG[item_id].display_title for item_id in popular()[:10])
    with server(lambda prompt: same) as (url, _):
        rules, _ = judged(f"openai:{url}#m", tmp_path, only=["fairness.exposure"])
    assert rules["tail-exposure"].effect in UNDECIDED_OR_FAILED


# --- models in a folder


def constant(folder, item_ids):
    """Make a model state its last token only: with item tokens, it ranks `item_ids` first."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        weights = model.get_input_embeddings().weight
        weights[:] = torch.ones_like(weights)
        for place, item_id in enumerate(item_ids):
            weights[tokenizer.convert_tokens_to_ids(item_reference(item_id))] = 3 - place / 60
    model.save_pretrained(folder)
    return folder


def test_item_token_model_that_ranks_by_popularity_fails_by_its_rule(tmp_path):
    folder = save(tmp_path / "model")
    manifest = RecommenderManifest.read(folder)
    decoding = Decoding(exclude_history=False)
    (folder / "recommender.yaml").unlink()
    manifest.model_copy(update={"decoding": decoding}).write(folder)
    rules, decision = judged(constant(folder, popular()), tmp_path)
    exposed = judged_as("item-tokens", tmp_path / "run", "tail-exposure")
    assert exposed.effect in UNDECIDED_OR_FAILED
    assert rules["tail-exposure"].effect in UNDECIDED_OR_FAILED
    assert decision.verdict != "pass"


def test_causal_model_that_writes_nothing_useful_fails_by_its_rule(tmp_path, monkeypatch):
    monkeypatch.setattr(
        small_folder, "SIZE", small_folder.SIZE.model_copy(update={"context": 2048})
    )
    folder = constant(save(tmp_path / "model", style="generate", with_items=False), ())
    rules, decision = judged(folder, tmp_path)
    useless = judged_as("local", tmp_path / "run", "utility-floor")
    assert useless.effect in UNDECIDED_OR_FAILED
    assert rules["utility-floor"].effect in UNDECIDED_OR_FAILED
    assert decision.verdict != "pass"


# --- a score matrix


@pytest.mark.parametrize("rule", ["tail-exposure", "utility-floor"])
def test_score_matrix_with_a_fault_fails_by_its_rule(tmp_path, rule):
    data = world().interactions
    scores = np.random.default_rng(3).random((len(data.user_ids), len(CATALOG.ids)))
    if rule == "tail-exposure":
        scores[:, [CATALOG.index[item] for item in popular()[12:]]] = -np.inf
    else:  # never the item that the user chose next
        test = data.split().test
        scores[data.user_index[test], data.item_index[test]] = -np.inf
    np.savez(
        tmp_path / "scores.npz",
        scores=scores,
        user_ids=np.array(data.user_ids),
        item_ids=np.array(CATALOG.ids),
    )
    rules, decision = judged(f"scores:{tmp_path / 'scores.npz'}", tmp_path, limit=40)
    assert rules[rule].effect in UNDECIDED_OR_FAILED
    assert judged_as("scores", tmp_path / "run", rule).effect in UNDECIDED_OR_FAILED
    assert rules["contradicted-claims"].effect == "shown"
    assert decision.verdict != "pass"


# --- sound targets: what was measured passes or is undecided for want of users, never for its kind

CHEAP = ("utility.ranking", "hallucination.catalog", "fairness.exposure")


def test_sound_score_matrix_meets_the_policy_of_its_kind(tmp_path):
    data = world().interactions
    scores = np.random.default_rng(3).random((len(data.user_ids), len(CATALOG.ids)))
    test = data.split().test
    scores[data.user_index[test], data.item_index[test]] = 2
    ids = {"user_ids": np.array(data.user_ids), "item_ids": np.array(CATALOG.ids)}
    np.savez(tmp_path / "scores.npz", scores=scores, **ids)
    judged(f"scores:{tmp_path / 'scores.npz'}", tmp_path, limit=None, only=CHEAP)
    names = ("out-of-catalog", "repeated-items", "wrong-count", "tail-exposure", "utility-floor")
    rules = [judged_as("scores", tmp_path / "run", name, cheap=True) for name in names]
    assert [rule.verdict for rule in rules] == ["pass"] * len(names)


def test_sound_item_token_model_passes_by_construction_where_it_cannot_fail(tmp_path):
    folder = save(tmp_path / "model", catalog={"name": "small", "sha256": CATALOG.fingerprint})
    judged(folder, tmp_path, only=CHEAP)
    for name in ("out-of-catalog", "repeated-items"):
        rule = judged_as("item-tokens", tmp_path / "run", name, cheap=True)
        assert (rule.verdict, rule.reason, rule.n) == ("pass", "by_construction", 12)


def test_sound_server_meets_the_hallucination_rules_of_its_policy(tmp_path):
    def lists(prompt):
        seen = [item.title in prompt for item in CATALOG.items]
        fresh = [item for item, old in zip(CATALOG.items, seen, strict=True) if not old]
        return listed(item.display_title for item in fresh[:10])

    with server(lists) as (url, _):
        judged(f"openai:{url}#m", tmp_path, limit=None, only=["hallucination.catalog"])
    for name in ("out-of-catalog", "repeated-items"):
        rule = judged_as("endpoint", tmp_path / "run", name, cheap=True)
        assert rule.verdict == "pass"
