"""Recorded answers as a recommender."""

from __future__ import annotations

import json

import pytest
from run_probe import target_for

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.replay import ReplayRecommender
from auditkit.recommenders.protocols import NOT_RUN
from auditkit.types import Request


def recorded(folder, *lines):
    path = folder / "answers.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ask(path, *ids):
    return ReplayRecommender(path).recommend([Request(id=request_id) for request_id in ids])


def test_texts_and_lists_are_found_by_request_id(tmp_path):
    path = recorded(tmp_path, '{"id": "a", "text": "1. Heat"}', '{"id": "b", "items": ["Fargo"]}')
    assert ask(path, "b", "a") == [["Fargo"], "1. Heat"]


def test_answers_that_nobody_asked_for_are_remarked(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n')
    replay = ReplayRecommender(tmp_path / "r.jsonl")
    assert replay.run_notes(["a", "b", "c"]) == []
    (remark,) = replay.run_notes(["a"])
    assert remark.startswith("1 of 2 recorded responses were not requested, such as 'b'")


def test_request_without_a_record_was_never_asked(tmp_path):
    assert ask(recorded(tmp_path, '{"id": "a", "text": null}'), "b", "a") == [NOT_RUN, None]


def test_empty_file_answers_nothing(tmp_path):
    assert ask(recorded(tmp_path), "a") == [NOT_RUN]


def test_unicode_line_separator_inside_a_title_is_part_of_it(tmp_path):
    line = json.dumps({"id": "a", "items": ["one\u2028two\x85three"]}, ensure_ascii=False)
    assert ask(recorded(tmp_path, line), "a") == [["one\u2028two\x85three"]]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", '{"id": "a"}', '{"text": "x"}', '{"id": "a", "items": "Heat"}',
     '{"id": "a", "items": [1]}', '{"id": "a", "text": 5}', '{"id": "a", "id": "b", "text": ""}'],
)  # fmt: skip
def test_line_that_is_no_answer_is_refused_with_its_number(tmp_path, line):
    with pytest.raises(TargetUnavailable, match=r"answers\.jsonl:2 "):
        ReplayRecommender(recorded(tmp_path, '{"id": "z", "text": ""}', line))


def test_file_in_another_encoding_is_refused_with_the_line(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_bytes('{"id": "a", "text": "é"}'.encode("latin-1"))
    with pytest.raises(TargetUnavailable, match=r"answers\.jsonl:1 "):
        ReplayRecommender(path)


def test_two_answers_to_one_request_are_refused_with_both_lines(tmp_path):
    with pytest.raises(TargetUnavailable, match="lines 1 and 3"):
        ReplayRecommender(
            recorded(
                tmp_path, '{"id":"a","text":""}', '{"id":"b","text":""}', '{"id":"a","text":"x"}'
            )
        )


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(TargetUnavailable, match="does not exist"):
        ReplayRecommender(tmp_path / "none.jsonl")


def test_fingerprint_changes_with_the_answers(tmp_path):
    prints = {
        ReplayRecommender(recorded(tmp_path, line)).fingerprint()
        for line in ('{"id":"a","text":""}', "")
    }
    assert len(prints) == 2


def test_recording_of_a_run_gives_the_same_responses(tmp_path):
    from planted_recommenders import Clean

    asked = [Request(user_id=str(i), k=5) for i in range(1, 5)]
    first = target_for(Clean(), tmp_path / "a").recommend(asked)
    lines = [json.dumps({"id": r.request_id, "items": [i.raw for i in r.items]}) for r in first]
    replay = ReplayRecommender(recorded(tmp_path, *lines[:3]))
    again = target_for(replay, tmp_path / "b")
    assert again.recommend(asked)[:3] == first[:3]
    assert again.status_counts()["not_run"] == 1


@pytest.mark.parametrize("value", ["5", '["a"]', "null"])
def test_id_that_is_no_text_is_refused_with_its_line(tmp_path, value):
    with pytest.raises(TargetUnavailable, match=r"answers\.jsonl:1 .*is not a string"):
        ReplayRecommender(recorded(tmp_path, f'{{"id": {value}, "text": "x"}}'))


def test_deeply_nested_line_is_refused_with_its_number(tmp_path):
    with pytest.raises(TargetUnavailable, match=r"answers\.jsonl:1 "):
        ReplayRecommender(recorded(tmp_path, '{"id": "a", "items": ' + "[" * 5000))
