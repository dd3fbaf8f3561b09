"""No secret of the environment in any artefact or stream, whatever the recommender echoes."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from evidence_lines import evidence_text
from small_world import write_cache

CANARY = "canary/4711+Zq\"9'x"
RECIPE = """version: 1
name: secrets
probes:
  hallucination.catalog: {n_users: 30}
  robustness.prompt.case: {n_users: 30}
  hallucination.claims: {n_items: 5}
"""
LEAKY = """
import base64, json, os
from urllib.parse import quote
from planted_recommenders import Clean

KEY = os.environ["SHOP_API_KEY"]
FORMS = [KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), json.dumps(KEY),
         base64.b64encode(f"user:{KEY}".encode()).decode()]


class Leaky(Clean):
    name = f"leaky {KEY}"

    def recommend(self, requests):
        if len(requests) > 1:
            raise RuntimeError(f"401 for {KEY}")
        number = int(requests[0].user_id)
        if number % 5 == 0:
            raise RuntimeError("x" * 1990 + KEY)
        if number % 2:
            return [[f"{form} ({number})" for form in FORMS]]
        return [f"1. {FORMS[number % 3]}"]

    def describe_prompt(self, item):
        raise ValueError(f"Authorization: Bearer {KEY}")
"""


def encodings():
    raw = CANARY.encode()
    yield CANARY
    yield quote(CANARY, safe="")
    yield quote(CANARY)
    yield json.dumps(CANARY)[1:-1]
    yield repr(CANARY)[1:-1]
    for shift in range(3):
        yield base64.b64encode(b"0" * shift + raw).decode()[4:-4]
    yield "4711+Zq"  # the part that no form escapes, also cut in two


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    write_cache(folder / "cache")
    (folder / "code").mkdir()
    (folder / "code" / "leaky.py").write_text(LEAKY)
    (folder / "recipe.yaml").write_text(RECIPE)
    environment = {
        **os.environ,
        "AUDITKIT_CACHE": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join(
            [str(folder / "code"), str(Path(__file__).parents[1] / "support")]
        ),
        "SHOP_API_KEY": CANARY,
    }

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-c", "from auditkit.cli import main; main()", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    common = ["python:leaky:Leaky", "--allow-code", "--recipe", "recipe.yaml", "--out", "run"]
    streams = [
        command("audit", *common, "--max-error-rate", "1", "--cache", "answers", "--policy",
                "release"),
        command("audit", *common, "--max-error-rate", "1", "--json"),
        command("audit", *common, "--dry-run", "--plan", "plan.jsonl"),
        command("audit", f"python:leaky:{CANARY}", "--allow-code"),
        command("report", "run"),
    ]  # fmt: skip
    return folder, streams


def test_recommender_did_echo_the_secret(audited):
    folder, streams = audited
    evidence = evidence_text(folder / "run")
    assert evidence.count(f"[redacted:{len(CANARY)}]") > 50
    assert [done.returncode for done in streams[1:]] == [11, 0, 2, 0], streams
    assert "[redacted:" in streams[0].stderr
    assert "[redacted:" in streams[3].stderr


def test_no_file_holds_the_secret_in_any_form(audited):
    folder, _ = audited
    files = [path for name in ("run", "answers") for path in (folder / name).rglob("*")]
    files.append(folder / "plan.jsonl")
    assert len(files) > 7
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        assert [form for form in encodings() if form in text] == [], path


def test_no_stream_holds_the_secret_in_any_form(audited):
    for done in audited[1]:
        for text in (done.stdout, done.stderr):
            assert [form for form in encodings() if form in text] == []
