"""The files and commands of docs/how-to/audit-a-pipeline.md, run on a local chat endpoint."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from evidence_lines import written_bodies
from ranking_server import candidates_in, ranking
from small_world import write_cache

from auditkit.cli import main
from auditkit.types import AuditResult

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "audit-a-pipeline.md"
ENDPOINT = "http://127.0.0.1:8000/v1"


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    return PAGE.read_text(encoding="utf-8")


def write_files(page, url):
    """Write the files that the page names in the first line of a block."""
    for name, text in re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", page, re.DOTALL):
        Path(name).write_text(text.replace(ENDPOINT, url), encoding="utf-8")


def run(line, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(line)[1:])
    return stopped.value.code or 0, capsys.readouterr()


def test_the_commands_of_the_page_work_one_after_the_other(page, capsys):
    plan, audit, verify = re.findall(r"^auditkit .*$", page, re.MULTILINE)
    with ranking(lambda candidates: candidates[:10]) as (url, prompts):
        write_files(page, url)
        code, planned = run(plan, capsys)
        assert (code, prompts) == (0, [])
        assert "tokens" in planned.out
        code, _ = run(audit, capsys)
        assert code == 0
    assert all(prompt.startswith("I am a user. My history") for prompt in prompts[:80])
    assert max(len(candidates_in(prompt)) for prompt in prompts) > 40  # of 60 films, fewer are new
    code, verified = run(verify, capsys)
    assert (code, "differ" in verified.out) == (0, False), verified
    (policy,) = re.findall(r"```yaml\n(version: 1\nname: pipeline\n.*?)```", page, re.DOTALL)
    Path("policy.yaml").write_text(policy)
    code, gated = run("auditkit gate run --policy policy.yaml", capsys)
    assert code == 11, gated  # 80 users of the small world are few
    assert "recall" in gated.out
    assert "invented" in gated.out
    result = AuditResult.read(Path("run"))
    added = [f for f in result.findings if f.metric == "utility.stages.left_candidates_rate"]
    assert [f.estimate.value for f in added] == [0]
    record = written_bodies(Path("run"))[0]
    assert record["request"]["messages"][0]["content"] == "You rank items for a shop."
