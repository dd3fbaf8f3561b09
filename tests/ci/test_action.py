"""`action.yml` and the GitLab template: their shell steps run here, with a tiny target."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_world import write_cache
from workflow_steps import Workflow

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "action.yml"
TEMPLATE = ROOT / "templates" / "auditkit" / "template.yml"
RECIPE = "version: 1\nname: tiny\nprobes: {hallucination.catalog: {n_users: 80}}\n"
POLICY = """\
version: 1
name: tiny
rules:
  - {id: real-items, metric: hallucination.catalog.out_of_catalog_rate, max: LIMIT}
  - {id: full-lists, metric: hallucination.catalog.wrong_count_rate, max: 0.2}
"""
PULL_REQUEST = {"name": "pull_request", "pull_request": {"number": 7, "head": {"repo": {}}}}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A working folder with recipe and policies, and the environment of a runner."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "policy.yaml").write_text(POLICY.replace("LIMIT", "0.05"))
    (folder / "broken.yaml").write_text(POLICY.replace("max: LIMIT", "min: 0.5"))
    tools = folder / "bin"
    tools.mkdir()
    python = f'#!/bin/sh\nexec "{sys.executable}"'
    (tools / "auditkit").write_text(f'{python} -m auditkit "$@"\n')
    (tools / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > gh.txt\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "AUDITKIT_CACHE": str(write_cache(folder / "cache")),
    }
    return folder, environment


def workflow(job, event=PULL_REQUEST, **inputs):
    folder, environment = job
    for name in ("outputs.txt", "summary.txt", "gh.txt"):
        (folder / name).unlink(missing_ok=True)
    stated = {"target": "baseline:popularity", "recipe": "recipe.yaml", "package": "", **inputs}
    stated = {name.replace("_", "-"): value for name, value in stated.items()}
    return Workflow(folder, stated, event, environment).run(ACTION)


@pytest.fixture(scope="module")
def passed(job):
    found = workflow(job, policy="policy.yaml", run="base", comment="true")
    return found, found.outputs, (job[0] / "gh.txt").read_text().split("\n")


def test_a_sound_target_passes_and_the_summary_and_comment_are_there(job, passed):
    found, outputs, words = passed
    assert found.exit_code == 0, found.output
    assert found.skipped == ["Install", "Code scanning"]
    assert outputs == {"exit-code": "0", "verdict": "pass", "comment-file": "base/comment.md"}
    assert words[:5] == ["pr", "comment", "7", "--body-file", "base/comment.md"]
    body = (job[0] / "base" / "comment.md").read_text()
    assert body.startswith("<!-- auditkit -->\n# auditkit report")
    assert "**PASS**" in body
    assert "What changed" not in body
    paths = found.used["Artifact"]["path"].split()
    assert "base/report.html" in paths
    assert not any("evidence" in path for path in paths)


def test_a_failing_gate_fails_the_job_and_the_comment_says_what_changed(job, passed):
    found = workflow(
        job, policy="broken.yaml", run="candidate", base_run="base", comment="true",
        upload_sarif="true", audit_options="--limit 80 --no-resume",
    )  # fmt: skip
    assert found.ran == {"Audit": 0, "Gate": 10, "Report": 0, "Comment": 0}
    assert found.outputs["verdict"] == "fail"
    assert found.used["Code scanning"]["sarif_file"] == "candidate/results.sarif"
    body = (job[0] / "candidate" / "comment.md").read_text()
    assert "- verdict: PASS before, FAIL now" in body
    assert "judged by another policy" in body
    assert "| real-items | PASS | FAIL | 0 | 0 |" in body
    assert "- 1 of 2 rule checks have the same verdict" in body
    assert "not comparable" not in body


def test_a_gate_without_a_run_folder_is_no_green_job():
    """A condition on a file would skip the gate, and a job whose gate was skipped passes."""
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    assert {s["name"]: s.get("if") for s in steps}["Gate"] == "${{ !cancelled() }}"


def test_a_pull_request_of_a_fork_gets_no_comment(job, passed):
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    condition = next(step["if"] for step in steps if step["name"] == "Comment")
    for fork, asked in ((True, False), (False, True)):
        event = {"name": "pull_request", "pull_request": {"head": {"repo": {"fork": fork}}}}
        (job[0] / "outputs.txt").write_text("comment-file=base/comment.md\n")
        found = Workflow(job[0], {"comment": "true", "run": "base"}, event, job[1])
        assert found.is_true(condition) is asked


def test_an_audit_that_cannot_start_fails_before_the_gate_and_runs_no_text_of_an_input(job):
    target = 'scores:"; touch hacked; echo $(touch hacked2) "'
    found = workflow(job, target=target, run="absent", comment="true")
    assert found.ran == {"Audit": 2, "Gate": 2, "Report": 0}
    assert "Comment" in found.skipped
    assert "the audit did not start" in found.output
    assert not list(job[0].glob("hacked*"))


def test_no_step_discards_the_verdict():
    for path in (ACTION, TEMPLATE):
        assert not re.search(r"^\s*continue-on-error:", path.read_text(), re.MULTILINE)


def test_every_input_of_the_gitlab_template_is_used():
    spec, body = TEMPLATE.read_text(encoding="utf-8").split("\n---\n")
    inputs = set(yaml.safe_load(spec)["spec"]["inputs"])
    assert set(re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", body)) == inputs


@pytest.mark.slow
def test_the_gitlab_job_runs_audit_gate_and_report(job, passed):
    folder, environment = job
    spec, body = TEMPLATE.read_text(encoding="utf-8").split("\n---\n")
    inputs = {
        name: str((one or {}).get("default", ""))
        for name, one in yaml.safe_load(spec)["spec"]["inputs"].items()
    }
    stated = {"target": "baseline:popularity", "recipe": "recipe.yaml", "run": "gitlab"}
    for name, value in {**inputs, **stated, "policy": "broken.yaml"}.items():
        body = body.replace(f"$[[ inputs.{name} ]]", value)
    assert "$[[" not in body
    lines = yaml.safe_load(body)["auditkit"]
    variables = {**environment, **lines["variables"]}

    def code(script):
        text = "\n".join(script)
        done = subprocess.run(["bash", "-ec", text], cwd=folder, env=variables, check=False)
        return done.returncode

    assert code(lines["script"]) == 10
    assert code(lines["after_script"]) == 0
    named = [*lines["artifacts"]["paths"], lines["artifacts"]["reports"]["junit"]]
    assert all((folder / path).is_file() for path in named)
