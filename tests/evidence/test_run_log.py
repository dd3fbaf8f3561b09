"""The evidence chain: whole, resumable, and unforgiving about changes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkit.errors import AuditkitError, IntegrityError
from auditkit.evidence.run_log import EVIDENCE, RunLog, lock_run, read_log

KEY = "k" * 64
BATCHES = [["a", "b"], ["c"], ["d", "e", "f"]]


def write(folder, batches=BATCHES):
    log = RunLog(folder, KEY)
    for batch in batches:
        log.append([{"request_id": name, "text": f"{name}\u2028\ud800<b>"} for name in batch])
    log.close()
    return log


def names(bodies):
    return [body["request_id"] for body in bodies]


def test_log_reads_back_in_order_with_its_root(tmp_path):
    log = write(tmp_path)
    bodies, root = read_log(tmp_path, KEY)
    assert names(bodies) == list("abcdef")
    assert root == log.root


def test_absent_log_has_the_run_key_as_its_root(tmp_path):
    assert read_log(tmp_path, KEY) == ([], KEY)


def test_log_resumed_between_batches_equals_one_written_at_once(tmp_path):
    write(tmp_path / "once")
    for batch in BATCHES:
        write(tmp_path / "thrice", [batch])
    assert (tmp_path / "once" / EVIDENCE).read_bytes() == (
        tmp_path / "thrice" / EVIDENCE
    ).read_bytes()


def test_log_of_another_run_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(IntegrityError, match=r"evidence\.jsonl:1"):
        read_log(tmp_path, "x" * 64)


def test_evidence_is_readable_by_its_owner_only(tmp_path):
    write(tmp_path)
    assert (tmp_path / EVIDENCE).stat().st_mode & 0o077 == 0


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_altered_byte_is_refused_with_its_line(tmp_path, data):
    path = tmp_path / EVIDENCE
    if not path.exists():
        write(tmp_path)
        (tmp_path / "whole").write_bytes(path.read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    path.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    line = whole.count(b"\n", 0, at) + 1
    with pytest.raises(IntegrityError, match=rf"evidence\.jsonl:{line}\b"):
        read_log(tmp_path, KEY)


@pytest.mark.parametrize("at", range(6))
def test_log_with_an_altered_line_cannot_be_resumed(tmp_path, at):
    write(tmp_path)
    lines = (tmp_path / EVIDENCE).read_bytes().splitlines(keepends=True)
    lines[at] = lines[at].replace(b'"request_id":"', b'"request_id":"x')
    (tmp_path / EVIDENCE).write_bytes(b"".join(lines))
    with pytest.raises(IntegrityError, match=rf"evidence\.jsonl:{at + 1}\b"):
        RunLog(tmp_path, KEY)


@pytest.mark.parametrize("at", range(5))
def test_reordered_lines_are_refused_at_the_first(tmp_path, at):
    write(tmp_path)
    lines = (tmp_path / EVIDENCE).read_bytes().splitlines(keepends=True)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    (tmp_path / EVIDENCE).write_bytes(b"".join(lines))
    with pytest.raises(IntegrityError, match=rf"evidence\.jsonl:{at + 1}\b"):
        read_log(tmp_path, KEY)


@pytest.mark.parametrize("at", range(5))
def test_line_taken_out_of_the_middle_is_refused(tmp_path, at):
    write(tmp_path)
    lines = (tmp_path / EVIDENCE).read_bytes().splitlines(keepends=True)
    (tmp_path / EVIDENCE).write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    with pytest.raises(IntegrityError, match=rf"evidence\.jsonl:{at + 1}\b"):
        read_log(tmp_path, KEY)


def test_torn_tail_moves_to_evidence_torn(tmp_path):
    write(tmp_path)
    path = tmp_path / EVIDENCE
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    log = RunLog(tmp_path, KEY)
    assert names(log.records) == list("abc")
    kept = path.read_bytes()
    assert kept + (tmp_path / "evidence.torn").read_bytes() == whole[:-7]


def test_unfinished_batch_is_cut_off_whole(tmp_path):
    write(tmp_path)
    path = tmp_path / EVIDENCE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    log = RunLog(tmp_path, KEY)
    assert names(log.records) == list("abc")
    assert len(path.read_bytes().splitlines()) == 3


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_log_cut_anywhere_resumes_to_the_same_bytes(tmp_path, data):
    if not (tmp_path / "whole").exists():
        write(tmp_path / "source")
        (tmp_path / "whole").write_bytes((tmp_path / "source" / EVIDENCE).read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / EVIDENCE
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    log = RunLog(tmp_path, KEY)
    finished = set(names(log.records))
    log.close()
    write(tmp_path, [batch for batch in BATCHES if not finished & set(batch)])
    assert path.read_bytes() == whole


HOLD = """
import sys
from pathlib import Path
from auditkit.evidence.run_log import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_process_is_told_who_holds_the_folder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AuditkitError, match=f"process {holder.pid}"), lock_run(tmp_path):
            pass
        holder.kill()
    with lock_run(tmp_path):
        pass


def test_everything_beside_the_evidence_is_the_owners_alone(tmp_path):
    """Also in a folder that others may enter."""
    tmp_path.chmod(0o755)
    write(tmp_path)
    with (tmp_path / EVIDENCE).open("ab") as stream:
        stream.write(b'{"torn')
    with lock_run(tmp_path):
        RunLog(tmp_path, KEY).close()
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert set(modes) == {EVIDENCE, "evidence.torn", "run.lock"}
    assert set(modes.values()) == {0o600}
