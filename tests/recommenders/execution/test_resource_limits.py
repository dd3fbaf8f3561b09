"""Limits of time, memory, disk and nesting: each has a stated behavior."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import pytest
import torch
from planted_recommenders import Clean
from run_probe import RUN_KEY, target_for
from small_folder import save
from small_world import world

from auditkit.errors import EvidenceError, TargetUnavailable
from auditkit.evidence.free_space import TO_RECORD, TO_START
from auditkit.evidence.run_log import read_log
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.adapters.replay import ReplayRecommender
from auditkit.recommenders.execution.memory import is_out_of_memory
from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.recommenders.prompting.answers import read_list
from auditkit.serialization.canonical_json import read_json
from auditkit.types import Request

TITLES = [item.display_title for item in world().catalog.items]


def requests(n):
    return [Request(user_id=str(i)) for i in range(n)]


def statuses(responses):
    return [r.reason or r.status for r in responses]


class Sized(Clean):
    """Answers at most `room` requests at once; `error` says that there is no memory for more."""

    def __init__(self, room, error=MemoryError):
        self.room, self.error, self.sizes = room, error, []

    def recommend(self, requests):
        self.sizes.append(len(requests))
        if len(requests) > self.room:
            raise self.error()
        return [[TITLES[int(request.user_id)]] for request in requests]


def cuda_error():
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def cpu_error():
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory"
    )


# --- memory


@pytest.mark.parametrize("error", [MemoryError, cuda_error, cpu_error])
def test_batch_without_memory_is_halved_until_it_fits(tmp_path, error):
    recommender = Sized(4, error)
    target = target_for(recommender, tmp_path, batch_size=16)
    assert statuses(target.recommend(requests(40))) == ["ok"] * 40
    assert recommender.sizes == [16, 8, 4, 4, 8, 4, 4, 4, 4, 4, 4, 4, 4]


def test_later_batches_begin_with_the_size_that_fits(tmp_path):
    recommender = Sized(5)
    target = target_for(recommender, tmp_path, batch_size=20)
    target.recommend(requests(20))
    recommender.sizes.clear()
    target.recommend([Request(user_id=str(i), k=3) for i in range(20)])
    assert recommender.sizes == [5, 5, 5, 5]


@pytest.mark.parametrize("n", [1, 3])
def test_single_request_without_memory_is_an_error_with_its_reason(tmp_path, n):
    target = target_for(Sized(0), tmp_path, batch_size=4)
    assert statuses(target.recommend(requests(n))) == ["oom"] * n


def test_other_errors_are_still_sent_one_by_one(tmp_path):
    recommender = Sized(1, lambda: RuntimeError("shape mismatch"))
    target_for(recommender, tmp_path, batch_size=6).recommend(requests(6))
    assert recommender.sizes == [6, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("error", "found"),
    [(MemoryError(), True), (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
     (RuntimeError("index out of range"), False), (ValueError("out of memory"), False)],
)  # fmt: skip
def test_errors_of_memory_are_recognized(error, found):
    assert is_out_of_memory(error) is found


def test_model_folder_without_memory_gives_the_same_lists(tmp_path, monkeypatch):
    recommender = load_folder(save(tmp_path / "model"))
    asked = [Request(user_id=str(i), k=3) for i in range(6)]
    expected = target_for(recommender, tmp_path / "whole", batch_size=6).recommend(asked)
    rank = recommender.recommend

    def scarce(requests):
        if len(requests) > 2:
            raise cuda_error()
        return rank(requests)

    monkeypatch.setattr(recommender, "recommend", scarce)
    found = target_for(recommender, tmp_path / "halved", batch_size=6).recommend(asked)
    assert [[i.item_id for i in r.items] for r in found] == [
        [i.item_id for i in r.items] for r in expected
    ]


# --- time


class Clock:
    """Seconds that pass only while the recommender works."""

    now = 0.0

    def __call__(self):
        return self.now


class Slow(Sized):
    """Works for a minute per request."""

    def __init__(self, clock, room=1000):
        super().__init__(room)
        self.clock = clock

    def recommend(self, requests):
        self.clock.now += 60 * len(requests)
        return super().recommend(requests)


@pytest.mark.parametrize(("minutes", "answered"), [(1, 4), (4, 4), (5, 8), (1000, 12)])
def test_minutes_stop_between_batches_and_a_batch_is_finished(tmp_path, minutes, answered):
    clock = Clock()
    stop = StopRule(Budget(minutes=minutes), clock=clock)
    target = target_for(Slow(clock), tmp_path, batch_size=4, stop=stop)
    found = statuses(target.recommend(requests(12)))
    assert found == ["ok"] * answered + ["not_run"] * (12 - answered)
    assert len(read_log(tmp_path, RUN_KEY)[0]) == answered


def test_minutes_stop_between_the_parts_of_a_batch_too(tmp_path):
    clock = Clock()
    stop = StopRule(Budget(minutes=10), clock=clock)
    recommender = Slow(clock, room=1)
    found = statuses(
        target_for(recommender, tmp_path, batch_size=8, stop=stop).recommend(requests(8))
    )
    assert recommender.sizes == [8, 4]  # the minutes are used up before one fits
    assert found == ["not_run"] * 8


def test_run_that_the_minutes_stopped_is_resumed(tmp_path):
    clock = Clock()
    stop = StopRule(Budget(minutes=1), clock=clock)
    target_for(Slow(clock), tmp_path, batch_size=4, stop=stop).recommend(requests(12))
    recommender = Sized(1000)
    assert (
        statuses(target_for(recommender, tmp_path, batch_size=4).recommend(requests(12)))
        == ["ok"] * 12
    )
    assert recommender.sizes == [4, 4]


# --- disk


@pytest.fixture
def disk(monkeypatch):
    """Sets the free space that the system reports, in bytes."""
    usage = namedtuple("usage", "total used free")

    def set_free(n_bytes):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, 0, n_bytes))

    return set_free


@pytest.mark.parametrize("free", [0, TO_START - 1])
def test_run_does_not_begin_without_space(tmp_path, disk, free):
    disk(free)
    with pytest.raises(
        EvidenceError, match=r"MiB of free space, but a run needs 64 MiB.*Free some"
    ):
        target_for(Clean(), tmp_path)


def test_run_stops_before_the_disk_is_full_and_is_resumed(tmp_path, disk):
    disk(TO_START)
    target = target_for(Sized(9), tmp_path, batch_size=4)
    target.recommend(requests(4))
    disk(TO_RECORD)
    with pytest.raises(EvidenceError, match="is then resumed"):
        target.recommend(requests(8))
    assert len(read_log(tmp_path, RUN_KEY)[0]) == 4
    disk(TO_START)
    recommender = Sized(9)
    assert (
        statuses(target_for(recommender, tmp_path, batch_size=4).recommend(requests(8)))
        == ["ok"] * 8
    )
    assert recommender.sizes == [4]


# --- nesting


@pytest.mark.parametrize("nested", ["[" * 10_000, '{"a":' * 10_000, "[" * 10_000 + "]" * 10_000])
@pytest.mark.parametrize("field", ["items", "text", "extra"])
def test_nested_brackets_in_a_recorded_response_are_refused_with_their_line(
    tmp_path, nested, field
):
    file = tmp_path / "answers.jsonl"
    record = '{"id": "b", "text": "x", "FIELD": NESTED}'.replace("FIELD", field)
    file.write_text('{"id": "a", "text": "Heat"}\n' + record.replace("NESTED", nested) + "\n")
    with pytest.raises(TargetUnavailable, match=r"answers\.jsonl:2 .* nested too deeply"):
        ReplayRecommender(file)


@pytest.mark.parametrize("text", ["[" * 10_000, '{"items": ' + "[" * 10_000 + "]" * 10_000 + "}"])
def test_nested_brackets_in_the_text_of_a_response_are_text(tmp_path, text):
    (tmp_path / "answers.jsonl").write_text(json.dumps({"id": "a", "text": text}) + "\n")
    assert ReplayRecommender(tmp_path / "answers.jsonl").recommend([Request(id="a")]) == [text]
    assert read_list(text).status in ("ok", "parse_error")


def test_usual_nesting_is_read():
    assert read_json("[" * 100 + "]" * 100)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json("[" * 100_000)
