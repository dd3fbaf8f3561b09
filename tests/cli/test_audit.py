"""`auditkit audit`: exit codes, and what stands on which stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_world import write_cache

from auditkit.cli import main
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import lock_run

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


def test_reference_catalog_of_the_command_is_in_the_identity_and_the_result(run, folder):
    (folder / "larger.csv").write_text("id,title,year\n1,Solaris,1972\n")
    named = ("--reference-catalog", "larger.csv", "--only", "hallucination")
    audited = ("audit", "baseline:random", "--recipe", "tiny.yaml")
    code, out, _ = run(*audited, "--out", "run", *named)
    assert code == 0
    assert "hallucination.catalog.absent_rate" in out
    identity = read_manifest(folder / "run")["fingerprints"]
    assert "hallucination.catalog.reference_file" in identity
    assert run("verify", "run", "--recompute")[0] == 0
    code, _, err = run(*audited, "--out", "other", "--reference-catalog", "none.csv")
    assert code == 2
    assert "none.csv cannot be read" in err
    assert not (folder / "other").exists()


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
        (["baseline:random", "--forget", "tiny.yaml"], "both --forget"),
        (
            ["baseline:random", "--forget", "none.txt", "--retrained", "."],
            "none.txt does not exist",
        ),
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


# --- budgets, breaker, retries ------------------------------------------------------------------


def recorded(*more):
    return ["audit", "python:planted_recommenders:Recorded", "--allow-code", "--recipe",
            "tiny.yaml", "--out", "run", *more]  # fmt: skip


@pytest.fixture
def asked(folder, monkeypatch):
    monkeypatch.setenv("ASKED_LOG", str(folder / "asked.txt"))
    return lambda: (folder / "asked.txt").read_text().split()


def test_budget_stops_cleanly_and_a_bigger_one_goes_on(run, folder, asked):
    code, out, err = run(*recorded("--max-calls", "30", "--json"))
    assert code == 0
    first = json.loads(out)
    assert first["stopped"] == "budget"
    assert "hallucination.catalog: ran: budget: 30 requests were sent; 10 of 40 requests" in err
    assert sum(o["counts"]["not_run"] for o in first["outcomes"]) == 90
    assert read_manifest(folder / "run")["status"] == "partial"
    code, out, _ = run(*recorded("--json"))
    assert json.loads(out)["stopped"] is None
    assert json.loads(out)["run_key"] == first["run_key"]
    assert len(asked()) == len(set(asked())) == 107
    assert read_manifest(folder / "run")["status"] == "complete"


def test_minutes_and_tokens_are_budgets_too(run, asked):
    _, out, _ = run(*recorded("--max-minutes", "0", "--max-tokens", "5", "--json"))
    assert json.loads(out)["stopped"] == "budget"


def test_recommender_that_keeps_failing_stops_the_audit_with_twelve(run, folder):
    (folder / "more.yaml").write_text(RECIPE.replace("tiny", "more"))
    code, out, err = run(
        "audit", "python:planted_recommenders:FailsEveryThird", "--allow-code",
        "--recipe", "more.yaml", "--out", "run", "--json", "--max-error-rate", "0.01",
    )  # fmt: skip
    assert code == 12
    assert json.loads(out)["stopped"] == "breaker"
    assert "note: stopped early (breaker): 21 requests failed" in err
    assert (folder / "run" / "report.html").is_file()


def test_errors_of_a_finished_run_are_asked_again(run, folder, monkeypatch):
    code = "from planted_recommenders import Clean\nimport os\nclass Sick(Clean):\n"
    code += "    def answer(self, request):\n        if os.environ.get('SICK') == request.user_id:"
    code += "\n            raise RuntimeError('sick')\n        return super().answer(request)\n"
    (folder / "sick_recommender.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    words = ["audit", "python:sick_recommender:Sick", "--allow-code", "--recipe", "tiny.yaml",
             "--out", "run", "--only", "utility", "--json"]  # fmt: skip
    monkeypatch.setenv("SICK", "7")
    counts = [json.loads(run(*words)[1])["outcomes"][0]["counts"]]
    monkeypatch.delenv("SICK")
    counts += [json.loads(run(*words, *m)[1])["outcomes"][0]["counts"]
               for m in ([], ["--retry-errors"], [])]  # fmt: skip
    assert [c["target_error"] for c in counts] == [1, 1, 0, 0]
    assert [c["ok"] for c in counts] == [79, 79, 80, 80]
    assert run("verify", "run")[0] == 0


def test_call_that_never_ends_is_a_timeout(run, folder, monkeypatch):
    code = "import time\ndef stall(requests):\n    time.sleep(20)\n    return []\n"
    (folder / "stalling_recommender.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    code, out, _ = run(
        "audit", "python:stalling_recommender:stall", "--allow-code", "--recipe", "tiny.yaml",
        "--call-seconds", "0.1", "--json",
    )  # fmt: skip
    assert code == 12
    assert sum(o["counts"]["timeout"] for o in json.loads(out)["outcomes"]) == 2


def test_sample_says_so(run):
    code, out, err = run(
        "audit", "baseline:random", "--recipe", "tiny.yaml", "--limit", "9", "--json"
    )
    assert code == 0
    assert [o["planned"] for o in json.loads(out)["outcomes"]] == [9, 9, 0]
    assert "note: sampled: every probe was limited to 9 users or items" in err


def test_folder_of_a_running_audit_exits_with_two(run, folder):
    with lock_run(folder / "run"):
        code, _, err = run("audit", "baseline:random", "--recipe", "tiny.yaml", "--out", "run")
    assert code == 2
    assert "is locked by process" in err


# --- dry run and network ------------------------------------------------------------------------


def test_dry_run_prints_the_plan_and_leaves_no_folder(run, folder):
    code, out, _ = run("audit", "baseline:random", "--recipe", "tiny.yaml", "--dry-run")
    assert code == 0
    assert "privacy.membership     0         skipped: needs Scores" in out
    assert "120 distinct requests, 107 calls" in out
    assert not (folder / "reports").exists()


def test_dry_run_in_json_and_as_a_file(run, folder):
    code, out, err = run(
        "audit", "baseline:random", "--recipe", "tiny.yaml", "--dry-run", "--json",
        "--plan", "plan.jsonl",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["calls"] == 107
    assert "107 requests written to plan.jsonl" in err
    assert len((folder / "plan.jsonl").read_text().splitlines()) == 107


def test_plan_without_dry_run_is_a_usage_error(run):
    code, _, err = run("audit", "baseline:random", "--plan", "plan.jsonl")
    assert code == 2
    assert "--dry-run" in err


CALLS_HOME = """
import socket

def loud(requests):
    with socket.socket() as link:
        link.settimeout(0.01)
        link.connect(("192.0.2.1", 9))

def quiet(requests):
    try:
        loud(requests)
    except Exception:
        pass
    return [["Silver Harbor"] for _ in requests]
"""


@pytest.mark.parametrize("name", ["loud", "quiet"])
def test_recommender_that_calls_home_stops_the_audit_unless_it_may(run, folder, monkeypatch, name):
    (folder / "calling_recommender.py").write_text(CALLS_HOME)
    monkeypatch.syspath_prepend(str(folder))
    words = ["audit", f"python:calling_recommender:{name}", "--allow-code", "--recipe",
             "tiny.yaml", "--only", "utility", "--out"]  # fmt: skip
    code, _, err = run(*words, "offline")
    assert code == 2
    assert "calling_recommender.py:7 tried to connect to 192.0.2.1 port 9" in err
    assert not (folder / "offline" / "result.json").exists()
    assert run(*words, "online", "--online")[0] == (0 if name == "quiet" else 12)


FAIR = """version: 1
name: fair
seed: 0
probes:
  fairness.counterfactual: {n_probes: 30, attributes: [gender, age]}
"""


def test_a_pilot_says_how_many_probes_each_attribute_needs(run, folder):
    Path("fair.yaml").write_text(FAIR)
    options = ("--recipe", "fair.yaml", "--dry-run", "--pilot")
    code, out, _ = run("audit", "baseline:popularity", *options)
    assert code == 0
    assert "fairness pilot: 220 calls, 100% of the responses usable" in out
    code, out, _ = run("audit", "baseline:popularity", *options, "--json")
    pilot = json.loads(out)["pilot"]
    assert [(row["attribute"], row["n_values"]) for row in pilot["rows"]] == [
        ("gender", 3), ("age", 3),
    ]  # fmt: skip
    assert all(row["planned"] == 30 and row["to_pass"] >= 2 for row in pilot["rows"])
    code, out, _ = run("audit", "baseline:random", *options)
    assert code == 0
    assert "not assessable: the mean Jaccard similarity of two neutral lists is" in out
    assert not Path("reports").exists()


def test_a_pilot_without_its_probe_or_without_a_plan_is_an_error(run, folder):
    code, _, err = run("audit", "baseline:random", "--recipe", "tiny.yaml", "--pilot")
    assert (code, "--dry-run" in err) == (2, True)
    code, _, err = run("audit", "baseline:random", "--recipe", "tiny.yaml", "--dry-run", "--pilot")
    assert code == 2
    assert "does not contain" in err


def test_fairness_is_printed_with_its_noise_floor_p_values_and_power(run, folder):
    Path("fair.yaml").write_text(FAIR)
    code, out, _ = run("audit", "baseline:popularity", "--recipe", "fair.yaml")
    assert code == 0
    table = out.split("\n\n")[1]
    head, gender, age, *asked = table.splitlines()
    for name in ("SNSR", "noise floor", "adjusted", "steering p", "detects", "probes to pass"):
        assert name in head
    assert gender.startswith("gender     3       30  0 [0,")
    assert age.startswith("age ")
    assert any("330 calls" in line for line in asked)
