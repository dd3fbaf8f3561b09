"""The nouns: what is written is read back whole, or refused."""

from __future__ import annotations

import json

import pytest
from run_folder import RUN_KEY

from auditkit.errors import IntegrityError
from auditkit.types import (
    RESPONSE_STATUSES,
    AuditResult,
    Binomial,
    Estimate,
    Finding,
    Outcome,
    Status,
    TargetDescription,
)


def result() -> AuditResult:
    estimate = Estimate(
        value=0.25, low=0.1, high=0.4, n=40, unit="fraction of items", direction="lower"
    )
    finding = Finding(
        probe="hallucination.catalog",
        metric="hallucination.catalog.invented_rate",
        estimate=estimate,
        law=Binomial(x=10, n=40, n_eff=40),
        units=(("u1", 0.5, 1.0),),
        parameters={"k": 10},
    )
    return AuditResult(
        run_key=RUN_KEY,
        seed=0,
        target=TargetDescription(name="<b>é\u2028", kind="python", fingerprint="f", verified=False),
        catalog={"items": 3},
        recipe={"name": "quick"},
        environment={"python": "3.12"},
        outcomes=(
            Outcome(probe="hallucination.catalog", status="ran", planned=40, counts={"ok": 40}),
        ),
        findings=(finding,),
    )


def test_result_reads_back_what_it_wrote():
    assert AuditResult.from_json(result().to_json()) == result()


def test_equal_results_have_equal_bytes():
    assert result().to_json() == AuditResult.from_json(result().to_json()).to_json()


def test_result_survives_the_run_folder(tmp_path):
    result().write(tmp_path)
    assert AuditResult.read(tmp_path) == result()


def test_missing_result_says_which_folder_is_needed(tmp_path):
    with pytest.raises(IntegrityError, match="run folder"):
        AuditResult.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"schema_version": "1.0"}'])
def test_text_that_is_no_result_is_refused(text):
    with pytest.raises(IntegrityError):
        AuditResult.from_json(text)


def test_result_of_another_major_version_is_refused_with_both_versions():
    loaded = json.loads(result().to_json()) | {"schema_version": "2.0"}
    with pytest.raises(IntegrityError, match=r"2\.0.*1\.0"):
        AuditResult.from_json(json.dumps(loaded))


def test_damaged_field_is_named():
    loaded = json.loads(result().to_json())
    loaded["findings"][0]["estimate"]["n"] = "many"
    with pytest.raises(IntegrityError, match=r"findings\.0\.estimate\.n"):
        AuditResult.from_json(json.dumps(loaded))


@pytest.mark.parametrize(
    "fields",
    [
        {"value": None},
        {"value": None, "status": "undefined"},
        {"value": 0.5, "status": "undefined", "reason": "nothing was asked"},
        {"value": None, "reason": "nothing was asked"},
    ],
)
def test_estimate_without_a_value_carries_status_and_reason(fields):
    with pytest.raises(ValueError, match="reason"):
        Estimate(low=None, high=None, n=0, unit="", direction="lower", **fields)


def test_undefined_estimate_in_a_file_needs_a_reason_too():
    loaded = json.loads(result().to_json())
    loaded["findings"][0]["estimate"]["value"] = None
    with pytest.raises(IntegrityError, match="estimate"):
        AuditResult.from_json(json.dumps(loaded))


def test_listed_statuses_are_those_of_the_type():
    assert set(RESPONSE_STATUSES) == set(Status.__args__)
