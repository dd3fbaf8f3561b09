"""The policy file: every error with its line, no key and no metric id without effect."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies import DUP, OUT, judging

from auditkit.errors import ConfigurationError
from auditkit.policy.schema import Policy


def test_every_fault_of_a_policy_is_listed_with_its_line(tmp_path):
    rules = (
        "  - {id: a, metric: hallucination.catalog.out_of_catalog_rat, max: 0.05}\n"
        f"  - {{id: b, metric: {OUT}, max: 0.05, min: 0.01}}\n"
        f"  - {{id: c, metric: {OUT}, maxx: 0.05}}\n"
        f'  - {{id: d, metric: {OUT}, group: "baseline=popularity", max: 0.1}}'
    )
    with pytest.raises(ConfigurationError) as error:
        judging(tmp_path, rules)
    text = str(error.value)
    assert f"policy.yaml:4: rules[0].metric: unknown metric. Did you mean '{OUT}'?" in text
    assert "policy.yaml:5: rules[1]: give exactly one of max, min, range, baseline" in text
    assert "policy.yaml:6: rules[2].maxx: unknown key. Did you mean 'max'?" in text
    assert "policy.yaml:7: rules[3].group: results of reference baselines" in text


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            f"  - {{id: a, metric: {OUT}, max: 0.1}}\n  - {{id: a, metric: {DUP}, max: 0.1}}",
            "occur more than once: a",
        ),
        (f"  - {{id: a, metric: {OUT}, max: 0.1, severity: info}}", "so no run could fail"),
        (f"  - {{id: a, metric: {OUT}, range: [0.2, 0.1]}}", "low < high"),
        (f'  - {{id: a, metric: {OUT}, max: "0.1"}}', "valid number"),
    ],
)
def test_a_policy_that_could_not_decide_is_refused(tmp_path, rules, message):
    with pytest.raises(ConfigurationError, match=message):
        judging(tmp_path, rules)


def test_every_mutated_metric_id_and_key_of_the_shipped_policy_is_an_error(tmp_path):
    text = Path("recipes/policy/release.yaml").read_text(encoding="utf-8")
    policy = Policy.read(Path("recipes/policy/release.yaml"))
    words = {rule.metric for rule in policy.file.rules} | {
        "severity",
        "max_error_rate",
        "confidence",
    }
    for word in sorted(words):
        path = tmp_path / "mutated.yaml"
        path.write_text(text.replace(f"{word}:", f"{word}x:").replace(f" {word},", f" {word}x,"))
        with pytest.raises(ConfigurationError, match="unknown"):
            Policy.read(path)
