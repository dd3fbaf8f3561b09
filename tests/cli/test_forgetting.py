"""`auditkit audit MODEL --forget USERS --retrained OTHER` on small trained models."""

from __future__ import annotations

import json
import shutil

import pytest
from planted_forgetting import forgotten_file, remembering, retrained
from small_world import write_cache

from auditkit.cli import main


def test_audit_says_whether_users_were_forgotten(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(
        "version: 1\nname: tiny\nprobes:\n  utility.ranking: {n_users: 10}\n"
    )
    shutil.copy(forgotten_file(), tmp_path / "forget.txt")
    command = ["audit", str(remembering()), "--recipe", "tiny.yaml", "--out", "run", "--json"]
    command += ["--forget", "forget.txt", "--retrained", str(retrained())]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert not stopped.value.code
    found = {f["metric"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert found["privacy.forgetting.net_gap"]["estimate"]["low"] > 0.3
    assert "utility.ranking.hr@10" in found
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "not forgotten: the model predicts these users better" in report
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    named = [name for name in manifest["fingerprints"] if name.startswith("privacy.forgetting")]
    assert sorted(named) == [
        "privacy.forgetting.retrained_model", "privacy.forgetting.users_file",
    ]  # fmt: skip
