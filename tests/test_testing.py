"""`assert_gate` in a test suite: it passes, fails with the rule table, and writes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from policies import OUT, judging, result_of
from run_folder import AS_OF, rate, write_policy, write_run

from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.testing import assert_gate

RULE = f"  - {{id: real-items, metric: {OUT}, max: 0.05, severity: blocker}}"


def test_a_result_within_its_limits_gives_the_decision(tmp_path):
    decision = assert_gate(result_of(rate(OUT, 0, 200)), judging(tmp_path, RULE), as_of=AS_OF)
    assert (decision.verdict, decision.exit_code) == ("pass", 0)


@pytest.mark.parametrize(("x", "n", "word"), [(60, 200, "FAIL"), (4, 100, "INCONCLUSIVE")])
def test_a_fail_and_an_inconclusive_verdict_raise_with_the_rule_table(tmp_path, x, n, word):
    with pytest.raises(AssertionError) as error:
        assert_gate(result_of(rate(OUT, x, n)), judging(tmp_path, RULE), as_of=AS_OF)
    table = str(error.value)
    assert table.startswith(word)
    assert "real-items" in table
    assert "at most 0.05" in table


def test_a_run_folder_is_verified_and_not_changed(tmp_path):
    run = write_run(tmp_path / "run", result_of(rate(OUT, 0, 200)))
    judging(tmp_path, RULE)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    decision = assert_gate(run, tmp_path / "policy.yaml")
    assert decision.evidence_root is not None
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    result = run / "result.json"
    result.write_text(result.read_text().replace('"seed": 20260601', '"seed": 1'))
    with pytest.raises(IntegrityError):
        assert_gate(str(run), tmp_path / "policy.yaml")


def test_the_baseline_of_a_rule_is_required(tmp_path):
    policy = judging(tmp_path, f"  - {{id: r, metric: {OUT}, baseline: {{non_inferior: 0.01}}}}")
    with pytest.raises(ConfigurationError, match="no baseline was given"):
        assert_gate(result_of(rate(OUT, 0, 200)), policy)


def test_it_imports_no_model_library(tmp_path):
    run = write_run(tmp_path / "run", policy=write_policy(tmp_path))
    code = (
        "import sys\n"
        "from auditkit.testing import assert_gate\n"
        f"try: assert_gate({str(run)!r}, 'release')\n"
        "except AssertionError: pass\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
