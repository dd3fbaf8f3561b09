"""Long values that records share: written once, read back equal."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.errors import EvidenceError, IntegrityError
from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.run_log import RunLog, read_log
from auditkit.evidence.shared_values import SharedValues, with_shared_values

KEY = "k" * 64
HISTORIES = [[{"id": str(i), "title": f"Title {i} of {user}"} for i in range(9)] for user in "ab"]
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "request": st.fixed_dictionaries(
                {
                    "history": st.sampled_from([*HISTORIES, [], HISTORIES[0][:1]]),
                    "prompt": st.sampled_from([None, "", "short", "long " * 40, "other " * 40]),
                    "candidates": st.none() | st.sampled_from(HISTORIES),
                }
            ),
            "items": st.sampled_from([[], HISTORIES[0], HISTORIES[1]]),
            "text": st.none() | st.sampled_from(["long " * 40, "x"]),
        }
    ),
    max_size=12,
)


@given(records=RECORDS)
@settings(max_examples=80, deadline=None)
def test_records_read_back_equal(records):
    shared, written = SharedValues(), []
    for seq, record in enumerate(records):
        written.append(json.loads(json.dumps(shared.replace(record, seq))))
    read = []
    for record in written:
        read.append(with_shared_values(record, read))
    assert read == records


def test_a_repeated_history_is_written_once_and_references_the_first(tmp_path):
    log = RunLog(tmp_path, KEY)
    for _ in range(3):
        log.append([{"request": {"history": HISTORIES[0]}, "text": "x"}])
    lines = gzip.decompress((tmp_path / EVIDENCE).read_bytes()).splitlines()
    written = [json.loads(line)["body"]["request"]["history"] for line in lines]
    assert written == [HISTORIES[0], {"same_as": 0}, {"same_as": 0}]
    assert [r["request"]["history"] for r in log.records] == [HISTORIES[0]] * 3
    assert read_log(tmp_path, KEY) == (log.records, log.root)


def test_equal_values_of_different_fields_are_not_mixed_up():
    shared = SharedValues()
    long = "word " * 40
    shared.replace({"request": {"prompt": long}, "text": None}, 0)
    second = {"request": {"instruction": long}, "text": long}
    assert shared.replace(second, 1) == second


def test_a_batch_that_could_not_be_written_gives_no_values(tmp_path, monkeypatch):
    log = RunLog(tmp_path, KEY)
    record = {"request": {"history": HISTORIES[0]}, "text": "x"}
    with monkeypatch.context() as patched:
        patched.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(EvidenceError):
            log.append([{"request": {"history": HISTORIES[1]}, "text": "x"}, record])
    log.append([record])
    log.append([record])
    assert read_log(tmp_path, KEY) == (log.records, log.root)


@pytest.mark.parametrize("reference", [{"same_as": 1}, {"same_as": -1}, {"same_as": True}, {}])
def test_a_reference_to_no_earlier_record_is_refused(reference):
    earlier = [{"request": {"history": HISTORIES[0]}}]
    with pytest.raises(ValueError, match="history refers to a record"):
        with_shared_values({"request": {"history": reference}}, earlier)


def test_a_chain_with_a_false_reference_is_damage(tmp_path):
    log = RunLog(tmp_path, KEY)
    log.append([{"request": {"history": {"same_as": 7}}, "text": "x"}])
    with pytest.raises(
        IntegrityError, match=r"evidence\.jsonl\.gz:1, seq 0: the line is not a valid record"
    ):
        read_log(tmp_path, KEY)
