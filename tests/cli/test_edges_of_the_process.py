"""The installed script where its output, its pipe or its files are not as usual."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from console import SCRIPT, console
from small_world import write_cache

RECIPE = "version: 1\nname: tiny\nprobes:\n  hallucination.catalog: {n_users: 30}\n"
AUDIT = ("audit", "baseline:popularity", "--recipe", "tiny.yaml", "--out", "run", "--quiet")
TITLES = ["Amélie", "七人の侍", "Дерсу Узала", "Zoë \N{LATIN SMALL LETTER Z WITH CARON}ižek"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "items.csv").write_text(
        "id,title\n" + "".join(f"{i},{title}\n" for i, title in enumerate(TITLES)), encoding="utf-8"
    )
    (tmp_path / "texts.txt").write_text("\n".join(TITLES) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_title_that_the_output_cannot_show_is_escaped(folder, encoding):
    words = ["audit", "baseline:七人の侍", "--recipe", "tiny.yaml", "--out", "run"]
    done = console(*words, cwd=folder, PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    written = "utf-8" if encoding == "ascii" else encoding  # nobody set a locale
    shown = "七人の侍".encode(written, "backslashreplace")
    assert shown in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_table_with_foreign_titles_is_printed(folder, encoding):
    words = ["catalog", "match", "--titles", "texts.txt", "--catalog", "items.csv"]
    done = console(*words, cwd=folder, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [("list", "metrics"), ("list", "probes", "--json"), ("--help",), ("recipes", "list")]
)
@pytest.mark.parametrize("key", [None, "canary-0123456789"])
def test_closed_pipe_ends_quietly_and_not_as_a_verdict(folder, words, key):
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, **({"SHOP_API_KEY": key} if key else {})}
    done = subprocess.run(
        [SCRIPT, *words], cwd=folder, stdout=write, stderr=subprocess.PIPE, check=False,
        timeout=120, env=environment,
    )  # fmt: skip
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


def test_head_gets_its_line(folder):
    done = subprocess.run(
        ["bash", "-c", f"{SCRIPT} list metrics | head -n 1; echo ${{PIPESTATUS[0]}}"],
        cwd=folder, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.splitlines()[-1] in (b"0", b"141")


def plan_and_answers(folder):
    words = ["audit", "baseline:popularity", "--recipe", "tiny.yaml", "--dry-run", "--plan"]
    assert console(*words, "plan.jsonl", cwd=folder).returncode == 0
    planned = [json.loads(line) for line in (folder / "plan.jsonl").read_text().splitlines()]
    return [json.dumps({"id": one["id"], "items": ["Quiet Harbor"]}) for one in planned]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_recorded_responses_with_a_byte_order_mark_are_read(folder, end):
    answers = end.join(plan_and_answers(folder)) + end
    (folder / "answers.jsonl").write_bytes(b"\xef\xbb\xbf" + answers.encode())
    words = ["audit", "replay:answers.jsonl", "--recipe", "tiny.yaml", "--out", "run", "-q"]
    done = console(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert b"not_run" not in done.stderr


def test_byte_order_mark_within_the_file_is_refused_with_its_line(folder):
    answers = plan_and_answers(folder)
    joined = "\n".join([answers[0], "\ufeff" + answers[1]])
    (folder / "answers.jsonl").write_text(joined, encoding="utf-8")
    words = ["audit", "replay:answers.jsonl", "--recipe", "tiny.yaml", "--out", "run", "-q"]
    done = console(*words, cwd=folder)
    assert (done.returncode, b"answers.jsonl:2 " in done.stderr) == (2, True)


@pytest.mark.parametrize("place", ["file", "file/below", "taken"])
def test_cache_that_cannot_be_used_is_named(folder, place):
    (folder / "file").write_text("not a folder")
    (folder / "taken").symlink_to("/proc/version/nowhere")
    done = console(*AUDIT, "--cache", place, cwd=folder)
    assert done.returncode == 2
    assert f"the cache {place} cannot be used".encode() in done.stderr
    assert b"--cache" in done.stderr


def test_damaged_line_of_a_cache_is_left_out(folder):
    assert console(*AUDIT, "--cache", "kept", cwd=folder).returncode == 0
    (file,) = (folder / "kept").iterdir()
    file.write_bytes(file.read_bytes() + b'{"key": "\xff", "outcome"')
    again = [*AUDIT[:-3], "--out", "again", "--quiet", "--cache", "kept"]
    done = console(*again, cwd=folder)
    assert done.returncode == 0, done.stderr
