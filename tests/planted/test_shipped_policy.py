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

POLICY = Policy.read(find_recipe("release", kind="policy"))
CATALOG = world().catalog
CANNOT_HAVE = "probe_skipped"
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
    assert rules["tail-exposure"].effect in UNDECIDED_OR_FAILED
    assert decision.verdict != "pass"


def test_causal_model_that_writes_nothing_useful_fails_by_its_rule(tmp_path, monkeypatch):
    monkeypatch.setattr(
        small_folder, "SIZE", small_folder.SIZE.model_copy(update={"context": 2048})
    )
    folder = constant(save(tmp_path / "model", style="generate", with_items=False), ())
    rules, decision = judged(folder, tmp_path)
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
    assert rules["contradicted-claims"].effect == "shown"
    assert decision.verdict != "pass"
