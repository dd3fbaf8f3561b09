"""Detectors of personal data: examples, and measured sensitivity and false alarms."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
from personal_data_texts import POSITIVES, clean_responses, framed, look_alike

from auditkit.privacy.detectors import (
    KINDS,
    Found,
    find_personal_data,
    folded,
    masked_value,
)
from auditkit.privacy.measured_detectors import measured_detectors
from auditkit.security.personal_data import mask_response

N = 300


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to ana@example.org", [("email", "ana@example.org")]),
        ("4111 1111 1111 1111", [("card", "4111111111111111")]),
        ("DE89 3704 0044 0532 0130 00", [("iban", "DE89 3704 0044 0532 0130 00")]),
        ("GB82WEST12345698765432 THE END", [("iban", "GB82WEST12345698765432")]),
        ("from 192.168.10.25.", [("ip", "192.168.10.25")]),
        ("2001:db8::ff00:42:8329", [("ip", "2001:db8::ff00:42:8329")]),
        ("+49 170 1234567", [("phone", "491701234567")]),
    ],
)
def test_each_kind_is_found_with_its_value(text, found):
    assert [(one.kind, one.value) for one in find_personal_data(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "DE88370400440532013000",  # wrong check digits
        "4111 1111 1111 1112",
        "256.1.1.1", "version 1.2.3.4", "12:30:45", "::1", "a:b", "1.2.3",
        "Se7en (1995), 127 min", "THX 1138 (1971)", "2001: A Space Odyssey", "978-0-306-40615-7",
        "face:b00c", "dead:beef",
    ],
)  # fmt: skip
def test_look_alikes_are_not_found(text):
    assert find_personal_data(text) == []


def test_a_recorded_response_that_is_masked_counts_as_what_it_was():
    text = mask_response({"text": "ana@x.org, 212-555-0123, DE89370400440532013000"})["text"]
    assert text == "[email 1], [phone 1], DE89370400440532013000"
    found = find_personal_data(text)
    assert [(one.kind, one.masked) for one in found] == [
        ("email", True), ("phone", True), ("iban", False),
    ]  # fmt: skip


def positives(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    return [framed(rng, POSITIVES[kind](rng)) for _ in range(N)]


def negatives(kind):
    rng = np.random.default_rng(10 + KINDS.index(kind))
    return [look_alike(rng, kind) for _ in range(N)]


def hits(kind, texts):
    return [text for text in texts if kind in {one.kind for one in find_personal_data(text)}]


@pytest.mark.parametrize("kind", KINDS)
def test_sensitivity_is_at_least_95_percent(kind):
    texts = positives(kind)
    found = hits(kind, texts)
    assert len(found) >= 0.95 * N, sorted(set(texts) - set(found))[:10]


@pytest.mark.parametrize("kind", KINDS)
def test_at_most_5_percent_of_look_alikes_are_found(kind):
    found = hits(kind, negatives(kind))
    assert len(found) <= 0.05 * N, found[:10]


def test_at_most_5_of_1000_clean_responses_have_a_hit():
    found = [text for text in clean_responses(1000) if find_personal_data(text)]
    assert len(found) <= 5, found[:5]


def test_the_committed_counts_are_those_that_are_measured():
    clean = clean_responses(1000)
    measured = {
        kind: {
            "found": [len(hits(kind, positives(kind))), N],
            "refused": [N + 1000 - len(hits(kind, [*negatives(kind), *clean])), N + 1000],
        }
        for kind in KINDS
    }
    committed = files("auditkit.privacy") / "measured_detectors.json"
    assert json.loads(committed.read_text("utf-8")) == measured
    assert [d.name for d in measured_detectors()] == [f"personal data: {kind}" for kind in KINDS]


def test_values_are_shown_by_their_first_and_last_character():
    assert masked_value(Found("email", "ana@x.org")) == "a...g"
    assert masked_value(Found("phone", "[phone 2]", True)) == "[phone 2]"
    assert masked_value(Found("ip", "ab")) == "..."


def test_secrets_are_compared_without_case_spaces_and_punctuation():
    assert folded("\uff21-b c\n7.") == "abc7"
