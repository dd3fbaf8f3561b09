"""`auditkit audit`: exit codes, and what stands on which stream."""

from __future__ import annotations

import json

import pytest
from small_world import write_cache

from auditkit.cli import main

RECIPE = """version: 1
name: tiny
probes:
  hallucination.catalog: {n_users: 40}
  utility.ranking: {}
  privacy.membership: {}
"""
POLICY = """version: 1
name: p
rules:
  - {id: invented, metric: hallucination.catalog.invented_rate, max: LIMIT}
  - {id: membership, metric: privacy.membership.auc, group: attack=loss, max: 0.6}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def run(capsys):
    def command(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments])
        streams = capsys.readouterr()
        return stopped.value.code or 0, streams.out, streams.err

    return command


@pytest.mark.parametrize("name", ["random", "popularity"])
def test_baseline_is_audited_and_not_judged(run, folder, name):
    code, out, err = run("audit", f"baseline:{name}", "--recipe", "tiny.yaml", "--out", "run")
    assert code == 0
    assert "hallucination.catalog.invented_rate" in out
    assert "not judged: no policy" in err
    assert "privacy.membership: skipped: needs Scores" in err
    assert (folder / "run" / "report.html").is_file()


def test_default_folder_is_named_after_target_and_recipe(run, folder):
    assert run("audit", "baseline:random", "--recipe", "tiny.yaml", "-q")[0] == 0
    assert (folder / "reports" / "baseline-random-tiny" / "result.json").is_file()


def test_json_on_stdout_is_the_result_file(run, folder):
    code, out, _ = run(
        "audit", "baseline:random", "--recipe", "tiny.yaml", "--out", "run", "--json"
    )
    assert code == 0
    assert out == (folder / "run" / "result.json").read_text()
    assert json.loads(out)["recipe"]["name"] == "tiny"


def test_only_runs_what_it_names(run):
    _, out, _ = run(
        "audit",
        "baseline:random",
        "--recipe",
        "tiny.yaml",
        "--out",
        "run",
        "--json",
        "--only",
        "utility",
    )
    assert {o["probe"] for o in json.loads(out)["outcomes"]} == {"utility.ranking"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-here"], "unknown target"),
        (["baseline:popularty"], "Did you mean 'popularity'"),
        (["python:planted_recommenders:Clean"], "--allow-code"),
        (["baseline:random", "--only", "utilty"], "Did you mean 'utility"),
        (["baseline:random", "--policy", "relese"], "Did you mean 'release'"),
        (["baseline:random", "--catalog", "none.csv"], "none.csv"),
    ],
)
def test_what_the_user_must_fix_exits_with_two_and_leaves_no_folder(run, folder, arguments, words):
    code, out, err = run("audit", *arguments, "--recipe", "tiny.yaml", "--out", "run")
    assert code == 2
    assert words in err
    assert out == ""
    assert "Traceback" not in err
    assert not (folder / "run").exists()


def test_wrong_recipe_exits_with_two_and_names_its_line(run, folder):
    (folder / "wrong.yaml").write_text(RECIPE + "sead: 1\n")
    code, _, err = run("audit", "baseline:random", "--recipe", "wrong.yaml")
    assert code == 2
    assert "wrong.yaml:7: sead" in err


def test_other_run_in_the_folder_exits_with_two(run):
    assert run("audit", "baseline:random", "--recipe", "tiny.yaml", "--out", "run")[0] == 0
    code, _, err = run("audit", "baseline:popularity", "--recipe", "tiny.yaml", "--out", "run")
    assert code == 2
    assert "target changed" in err


def test_crashed_probe_exits_with_eleven_even_without_a_policy(run, folder):
    (folder / "claims.yaml").write_text("version: 1\nname: c\nprobes: {hallucination.claims: {}}\n")
    code, _, err = run(
        "audit",
        "python:planted_recommenders:CannotDescribe",
        "--allow-code",
        "--recipe",
        "claims.yaml",
    )
    assert code == 11
    assert "hallucination.claims: error" in err


@pytest.mark.parametrize(("limit", "expected"), [("0.5", 11), ("0.0001", 11)])
def test_policy_on_a_probe_that_could_not_run_is_inconclusive(run, folder, limit, expected):
    (folder / "p.yaml").write_text(POLICY.replace("LIMIT", limit))
    code, out, _ = run(
        "audit",
        "baseline:popularity",
        "--recipe",
        "tiny.yaml",
        "--out",
        "run",
        "--policy",
        "p.yaml",
    )
    assert code == expected
    assert out


def test_policy_that_is_broken_exits_with_ten(run, folder):
    (folder / "p.yaml").write_text(POLICY.replace("LIMIT", "0.2"))
    code, _, _ = run(
        "audit", "python:planted_recommenders:InventsTitles", "--allow-code",
        "--recipe", "tiny.yaml", "--out", "run", "--policy", "p.yaml",
    )  # fmt: skip
    assert code == 10


@pytest.mark.parametrize("name", ["random", "popularity"])
def test_baseline_never_passes_the_release_policy(run, name):
    code, _, _ = run(
        "audit", f"baseline:{name}", "--recipe", "tiny.yaml", "--out", "run", "--policy", "release"
    )
    assert code in (10, 11)
