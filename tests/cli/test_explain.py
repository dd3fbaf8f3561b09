"""`auditkit explain`: text, JSON, page, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest
from small_folder import save
from small_world import write_cache

from auditkit.cli import main
from auditkit.reporting.explanation_page import CardRow, ExplanationView, render_explanation
from auditkit.reporting.interval_plots import Row


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
