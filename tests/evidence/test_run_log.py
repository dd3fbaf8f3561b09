"""The evidence chain: whole, resumable, and unforgiving about changes.

Both forms of the file are tested: compressed, and as earlier releases wrote it.
"""

from __future__ import annotations

import gzip
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkit.errors import AuditkitError, IntegrityError
from auditkit.evidence.evidence_file import EVIDENCE, encode_batch, evidence_path
from auditkit.evidence.run_log import RunLog, lock_run, read_log

KEY = "k" * 64
BATCHES = [["a", "b"], ["c"], ["d", "e", "f"]]


@pytest.fixture(params=[EVIDENCE, "evidence.jsonl"])
def file(request):
    """Name of the evidence in a folder; an existing file keeps its form."""
    return request.param


def write(folder, batches=BATCHES, file=EVIDENCE):
    folder.mkdir(exist_ok=True)
    if file != EVIDENCE:
        (folder / file).touch()
    log = RunLog(folder, KEY)
    assert log.path == folder / file
    for batch in batches:
        log.append([{"request_id": name, "text": f"{name}\u2028\ud800<b>"} for name in batch])
    log.close()
    return log


def lines_of(folder):
    """The lines of the evidence, decompressed."""
    path = evidence_path(folder)
    content = path.read_bytes()
    whole = gzip.decompress(content) if path.name == EVIDENCE else content
    return whole.splitlines(keepends=True)


def replace_lines(folder, lines):
    path = evidence_path(folder)
    path.write_bytes(encode_batch(path, b"".join(lines)))


def names(bodies):
    return [body["request_id"] for body in bodies]


def test_log_reads_back_in_order_with_its_root(tmp_path, file):
    log = write(tmp_path, file=file)
    bodies, root = read_log(tmp_path, KEY)
    assert names(bodies) == list("abcdef")
    assert root == log.root


def test_absent_log_has_the_run_key_as_its_root(tmp_path):
    assert read_log(tmp_path, KEY) == ([], KEY)


def test_log_resumed_between_batches_equals_one_written_at_once(tmp_path, file):
    write(tmp_path / "once", file=file)
    for batch in BATCHES:
        write(tmp_path / "thrice", [batch], file=file)
    assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "thrice" / file).read_bytes()


def test_log_of_another_run_is_refused(tmp_path, file):
    write(tmp_path, file=file)
    with pytest.raises(IntegrityError, match=f"{file}:1, seq 0"):
        read_log(tmp_path, "x" * 64)


def test_evidence_is_readable_by_its_owner_only(tmp_path):
    write(tmp_path)
    assert (tmp_path / EVIDENCE).stat().st_mode & 0o077 == 0


def test_standard_tools_check_a_line(tmp_path):
    """Its hash is that of the line without `sha256`."""
    write(tmp_path)
    script = "zcat -f {} | tail -n 1 | sed 's/,\"sha256\":.*/}}/' | tr -d '\\n' | sha256sum"
    command = script.format(tmp_path / EVIDENCE)
    digest = subprocess.run(
        ["sh", "-c", command], check=True, capture_output=True, text=True
    ).stdout.split()[0]
    assert digest == read_log(tmp_path, KEY)[1]


ALTERED = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def altered(path, data):
    """Change one byte of a file; the file as it was is kept beside it. Returns its position."""
    whole = path.with_name("whole")
    if not whole.exists():
        write(path.parent, file=path.name)
        whole.write_bytes(path.read_bytes())
    content = whole.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    path.write_bytes(content[:at] + bytes([other]) + content[at + 1 :])
    return content[:at]


@ALTERED
@given(data=st.data())
def test_any_altered_byte_is_refused_with_its_line(tmp_path, data):
    before = altered(tmp_path / "evidence.jsonl", data)
    line = before.count(b"\n") + 1
    with pytest.raises(IntegrityError, match=rf"evidence\.jsonl:{line}\b"):
        read_log(tmp_path, KEY)


@ALTERED
@given(data=st.data())
def test_an_altered_byte_of_a_compressed_file_never_alters_a_record(tmp_path, data):
    """Bytes that carry no content, such as the time in a header, are covered by the manifest."""
    altered(tmp_path / EVIDENCE, data)
    try:
        bodies, _ = read_log(tmp_path, KEY)
    except IntegrityError:
        return
    assert names(bodies) == list("abcdef")


@pytest.mark.parametrize("at", range(6))
def test_log_with_an_altered_line_cannot_be_resumed(tmp_path, at, file):
    write(tmp_path, file=file)
    lines = lines_of(tmp_path)
    lines[at] = lines[at].replace(b'"request_id":"', b'"request_id":"x')
    replace_lines(tmp_path, lines)
    with pytest.raises(IntegrityError, match=f"{file}:{at + 1}, seq {at}"):
        RunLog(tmp_path, KEY)


@pytest.mark.parametrize("at", range(5))
def test_reordered_lines_are_refused_at_the_first(tmp_path, at, file):
    write(tmp_path, file=file)
    lines = lines_of(tmp_path)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    replace_lines(tmp_path, lines)
    with pytest.raises(IntegrityError, match=f"{file}:{at + 1}, seq {at}"):
        read_log(tmp_path, KEY)


@pytest.mark.parametrize("at", range(5))
def test_line_taken_out_of_the_middle_is_refused(tmp_path, at, file):
    write(tmp_path, file=file)
    lines = lines_of(tmp_path)
    replace_lines(tmp_path, lines[:at] + lines[at + 1 :])
    with pytest.raises(IntegrityError, match=f"{file}:{at + 1}, seq {at}"):
        read_log(tmp_path, KEY)


def test_torn_tail_moves_to_evidence_torn(tmp_path, file):
    write(tmp_path, file=file)
    path = tmp_path / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    log = RunLog(tmp_path, KEY)
    assert names(log.records) == list("abc")
    kept = path.read_bytes()
    assert kept + (tmp_path / "evidence.torn").read_bytes() == whole[:-7]


def test_unfinished_batch_is_cut_off_whole(tmp_path):
    write(tmp_path, file="evidence.jsonl")
    replace_lines(tmp_path, lines_of(tmp_path)[:5])
    log = RunLog(tmp_path, KEY)
    assert names(log.records) == list("abc")
    assert len(lines_of(tmp_path)) == 3


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_log_cut_anywhere_resumes_to_the_same_bytes(tmp_path, data, file):
    if not (tmp_path / "whole").exists():
        write(tmp_path / "source", file=file)
        (tmp_path / "whole").write_bytes((tmp_path / "source" / file).read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / file
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    log = RunLog(tmp_path, KEY)
    finished = set(names(log.records))
    log.close()
    write(tmp_path, [batch for batch in BATCHES if not finished & set(batch)], file)
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
        stream.write(gzip.compress(b"torn")[:-1])
    with lock_run(tmp_path):
        RunLog(tmp_path, KEY).close()
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert set(modes) == {EVIDENCE, "evidence.torn", "run.lock"}
    assert set(modes.values()) == {0o600}
