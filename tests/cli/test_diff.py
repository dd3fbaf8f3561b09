"""`auditkit diff` as a user calls it: text, JSON, page, exit codes."""

from __future__ import annotations

import json
import re
import socket

from evidence_lines import replace_in_evidence
from paired_runs import INVENTED, RATE, USERS, result_of, write_listed, write_pair
from run_folder import HOSTILE

from auditkit.types import TargetDescription


def test_the_text_names_metrics_differences_examples_and_verdicts(call, tmp_path):
    code, out, _ = call("diff", *write_pair(tmp_path))
    assert code == 0
    assert re.search(rf"{RATE} .*0\.1 .*0\.6 .*\+0\.5 \[\+0\..*worse", out)
    assert f"{RATE}: 22 newly failing and 2 newly fixed of 40 units" in out
    assert f"'{INVENTED}'*" in out
    assert re.search(r"out-of-catalog +pass +fail", out)
    assert "2 from ok to no_answer" in out
    assert "target.name" in out


def test_json_has_both_values_and_the_interval(call, tmp_path):
    code, out, _ = call("diff", *write_pair(tmp_path), "--json")
    found = json.loads(out)
    row = next(row for row in found["metrics"] if row["metric"] == RATE)
    assert code == 0
    assert (row["baseline"]["value"], row["candidate"]["value"]) == (0.1, 0.6)
    assert row["low"] < row["difference"] < row["high"]
    assert found["baseline"]["verdict"] == "pass"
    assert found["comparable"] is True


def test_exit_codes_tell_altered_evidence_from_a_wrong_folder(call, tmp_path):
    a, b = write_pair(tmp_path)
    assert call("diff", a, tmp_path)[0] == 2
    replace_in_evidence(b, "Fargo", "Cargo")
    code, out, err = call("diff", a, b)
    assert (code, out) == (13, "")
    assert "evidence.jsonl.gz:1" in err


def test_other_conditions_are_shown_and_no_difference_is_computed(call, tmp_path):
    a, b = write_pair(tmp_path, seed=8)
    out = call("diff", a, b)[1]
    assert "measured under different conditions (seed); differences are not computed" in out
    assert "+0.5" not in out
    assert "+0.5" in call("diff", a, b, "--allow-incomparable")[1]


def test_hostile_names_drive_neither_terminal_nor_page(call, tmp_path):
    invented = USERS[:2]
    target = TargetDescription(name=HOSTILE, kind="folder", fingerprint=HOSTILE, verified=True)
    result = result_of(invented=invented, target=target, recipe={"note": HOSTILE}, notes=(HOSTILE,))
    b = write_listed(tmp_path / "b", result, invented=invented)
    a = write_listed(tmp_path / "a", result_of(invented=()), invented=())
    page = tmp_path / "diff.html"
    _, out, _ = call("diff", a, b, "--html", page)
    assert not {"\x1b", "\u202e", "\u200b", "\x07"} & set(out)
    assert "::error::" not in out
    html = page.read_text(encoding="utf-8")
    assert "<img" not in html
    assert "&lt;img src=x" in html
    assert '<code class="esc">\\u202e</code>' in html


def test_no_socket_is_opened(call, tmp_path, monkeypatch):
    pair = write_pair(tmp_path)

    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert call("diff", *pair, "--html", tmp_path / "d.html")[0] == 0
