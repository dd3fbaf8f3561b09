"""`auditkit explain`: text, JSON, page, and what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from small_folder import save
from small_world import write_cache

from auditkit.cli import main
from auditkit.reporting.interval_plots import Row
from auditkit.reporting.pages.explanation_page import CardRow, ExplanationView, render_explanation


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    def command(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["explain", *arguments])
        streams = capsys.readouterr()
        return stopped.value.code or 0, streams.out, streams.err

    return command


def test_model_is_explained_with_its_card(run, folder):
    save(folder / "model")
    code, out, _ = run(
        "model", "--user", "3", "--spans", "6", "--timing", "--html", "e.html",
        "--captum", "KernelShap",
    )  # fmt: skip
    assert code == 0
    assert "list of user 3 by tiny:" in out
    assert "(rank 1), nats [95 % interval]:" in out
    assert re.search(r"predicts removals \(LDS\) +-?\d", out)
    assert re.search(r"agreement with ig +-?\d", out)
    assert re.search(r"agreement with Captum KernelShap +-?\d", out)
    assert "older items" in out
    assert re.search(r"wall time: loading \d+\.\d\d s, list", out)
    page = (folder / "e.html").read_text()
    assert "<script" not in page
    assert page.count('class="bar') == out.count("|")


def test_json_repeats_itself_and_names_the_item(run, folder):
    save(folder / "model")
    arguments = ("model", "--user", "3", "--item", "7", "--json", "--estimator", "loo")
    _, first, _ = run(*arguments)
    _, second, _ = run(*arguments)
    assert first == second
    shown = json.loads(first)
    assert shown["unit"] == "nats"
    assert len(shown["effects"]) >= 8
    assert all(e["low"] == e["effect"] for e in shown["effects"])
    assert shown["effects"] == sorted(shown["effects"], key=lambda e: -e["effect"])
    assert shown["facts"]["estimator"] == "loo"


def test_recommender_without_scores_is_explained_coarsely(run):
    code, out, _ = run("baseline:item-knn", "--user", "3")
    assert code == 0
    assert "reciprocal rank" in out
    assert "coarse: the recommender has no scores" in out


def test_page_and_json_of_a_model_that_writes_titles_have_effects_by_token(run, folder):
    save(folder / "model", style="generate", with_items=False)
    asked = ("model", "--user", "3", "--item", "7", "--spans", "3", "--estimator", "loo")
    code, out, _ = run(*asked, "--json", "--html", "e.html")
    assert code == 0
    shown = json.loads(out)
    by_token = shown["by_token"]
    assert by_token["spans"] == [one["span"] for one in shown["effects"]]
    sums = [sum(row) for row in by_token["effects"]]
    assert sums == pytest.approx([one["effect"] for one in shown["effects"]])
    page = (folder / "e.html").read_text()
    assert page.count('class="cell') == len(sums) * len(by_token["tokens"]) > len(sums)


SCORERS = """
from auditkit.recommenders.protocols import TokenScores


class Scorer:
    name = "scorer"

    def score(self, prompts, continuations):
        return [[self.value(p, c) for c in row] for p, row in zip(prompts, continuations)]

    def value(self, prompt, text):
        return TokenScores((-0.01 * len(prompt), -0.1 * len(text)))


class Floats(Scorer):
    def value(self, prompt, text):
        return -1.0
"""


def test_scorer_without_lists_is_explained_for_a_named_item(run, folder):
    (folder / "shop.py").write_text(SCORERS)
    asked = ("python:shop.py:Scorer", "--user", "3", "--spans", "4", "--allow-code")
    code, _, err = run(*asked)
    assert code == 2
    assert "Name an item with --item to explain its score" in err
    code, out, _ = run(*asked, "--item", "7", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["listed"] == []
    effects = {one["span"]: one["effect"] for one in shown["effects"]}
    assert all(effect < 0 for effect in effects.values())  # every title makes the prompt longer
    assert "local language model" in shown["card"]["agreement with ig"]


def test_failed_scores_are_named_with_a_remedy(run, folder):
    (folder / "shop.py").write_text(SCORERS)
    asked = ("python:shop.py:Floats", "--user", "3", "--spans", "4", "--allow-code")
    code, out, _ = run(*asked, "--item", "7")
    assert code == 0
    assert re.search(r"no explanation: missing: .*failed with `\w+`. Run `auditkit doctor", out)


def test_stored_scores_are_refused_with_a_remedy(run, folder):
    users, items = [str(u) for u in range(1, 81)], [str(i) for i in range(1, 61)]
    scores = np.random.default_rng(0).random((80, 60))
    np.savez(folder / "s.npz", scores=scores, user_ids=users, item_ids=items)
    code, _, err = run("scores:s.npz", "--user", "3")
    assert code == 2
    assert "stored results" in err
    assert "audit the system that computes them" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--user", "9999"), "no user '9999'"),
        (("--user", "3", "--item", "none"), "no item 'none'"),
    ],
)
def test_unknown_users_and_items_are_named(run, arguments, words):
    code, _, err = run("baseline:popularity", *arguments)
    assert code == 2
    assert words in err


def test_hostile_titles_stay_text():
    title = "</title><script>alert(1)</script>\u202e"
    row = Row(label=title, value=-1.0, low=-2.0, high=0.5, n=32)
    view = ExplanationView(
        target=title, user=title, item=title, rank=None, unit="nats", effects=(row,),
        listed=(title,), card=(CardRow("LDS", title, title),), facts=((title, title),),
        notes=(title,),
    )  # fmt: skip
    page = render_explanation(view)
    assert "<script" not in page
    assert "\u202e" not in page
    assert "Not in the list" in page


def test_page_without_an_explanation_says_why():
    view = ExplanationView(
        target="t", user="u", item="i", rank=1, unit="nats", effects=(), listed=("i",), card=(),
        facts=(), notes=("no explanation: missing: nothing removable",),
    )  # fmt: skip
    assert "nothing removable" in render_explanation(view)
