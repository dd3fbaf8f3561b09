"""What every registered probe promises, whoever wrote it."""

from __future__ import annotations

import inspect
from functools import cache

import pytest
from planted_assistants import CleanAssistant, FailsEveryThirdTurn
from planted_forgetting import some_users_file, untrained_folder
from planted_layers import tiny_model
from planted_leakage import FailsOnEveryThirdText, canaries_file
from planted_recommenders import HELD_OUT, Clean, FailsEveryThird, FindsEveryTestItem
from planted_stages import Asks, Keeps, Searches, pipeline, searching
from planted_windows import CountsAndFails, ReportsTokens
from run_probe import ProbeRun, run_probe

from auditkit.probes.base import NotAssessable
from auditkit.recommenders.protocols import CAPABILITIES
from auditkit.registry import load_object, metric_spec, probe_spec, probes

CLAIM = {
    "claim": "dp",
    "epsilon": 8.0,
    "epsilon_rdp": 9.0,
    "delta": 1e-5,
    "unit": "example",
    "n_units": 1000,
    "accountant": "prv",
    "mechanism": "dp_sgd",
    "noise_multiplier": 0.8,
    "not_covered": ["evaluation"],
}
MANIFEST = {"training": {"holdout_users": list(HELD_OUT), "fit": "all_but_test"}, "privacy": CLAIM}
VALIDATION = {"training": {**MANIFEST["training"], "fit": "all_but_validation"}}
# Of one held-out item recall@10 is hr@10; `tests/probes/utility/test_ranking.py` holds out several.
OF_SEVERAL = {"utility.ranking.recall@10", "utility.validation.recall@10"}
# Crossed attributes and further wordings: `tests/probes/fairness/counterfactual/test_probe.py`;
# sampled lists: `tests/probes/hallucination/test_sampled_lists.py`; rarer false positives:
# `tests/probes/privacy/test_membership.py`.
ON_REQUEST = {
    "fairness.counterfactual.interaction",
    "fairness.counterfactual.snsr_wording",
    "hallucination.mitigation.sample_agreement",
    "privacy.membership.tpr_at_fpr_0.001",
}
# Only for a catalog with variants: `tests/demo/test_shop.py`.
OF_VARIANTS = {"hallucination.catalog.ambiguous_variant_rate"}
# Only with a reference catalog: `tests/probes/hallucination/test_reference_catalog.py`.
OF_REFERENCE = {"hallucination.catalog.absent_rate"}
# Counted over the data, whatever was answered.
OF_DATA = {"utility.ranking.held_out_in_training"}
# A judge is a server that a recipe must name; `tests/probes/hallucination/test_judge.py` runs one.
OWN = [p for p in probes() if p != "hallucination.judge"]
EVERY_PROBE = pytest.mark.parametrize("probe_id", OWN)
ASKS = pytest.mark.parametrize("probe_id", [p for p in OWN if p != "privacy.claim"])


def clean_for(probe_id: str) -> object:
    if probe_id == "explain.layers":
        return tiny_model()
    if probe_id == "utility.stages":
        return searching(Asks(), Searches(), Keeps())
    if probe_id == "robustness.overflow":
        return ReportsTokens()
    if probe_id.startswith("conversation."):
        return CleanAssistant()
    return FindsEveryTestItem() if probe_id == "fairness.group_utility" else Clean()


def manifest_for(probe_id: str) -> dict[str, object]:
    return VALIDATION if probe_id == "utility.validation" else MANIFEST


def parameters_for(probe_id: str) -> dict[str, object]:
    """What a recipe must name, because it is not in the model folder, and what saves time."""
    if probe_id == "explain.layers":
        return {"attributes": ("gender",), "permutations": 19, "draws": 99}
    if probe_id == "privacy.forgetting":
        return {"users_file": some_users_file(), "retrained_model": untrained_folder()}
    return {"canaries_file": canaries_file()} if probe_id == "privacy.canary" else {}


@cache
def clean_run(probe_id: str) -> ProbeRun:
    """One run with the default parameters; tests only read it."""
    parameters = parameters_for(probe_id)
    return run_probe(probe_id, clean_for(probe_id), manifest=manifest_for(probe_id), **parameters)


@EVERY_PROBE
def test_probe_says_what_it_asks_and_where_it_comes_from(probe_id):
    spec = probe_spec(probe_id)
    kind = load_object(spec.path)
    assert "?" in spec.about
    assert spec.source
    assert inspect.getdoc(kind)
    assert inspect.getdoc(kind.run)
    assert inspect.getdoc(inspect.getmodule(kind))


@EVERY_PROBE
def test_probe_declares_what_it_needs(probe_id):
    assert set(load_object(probe_spec(probe_id).path).needs) <= set(CAPABILITIES)


@ASKS
def test_probe_asks_at_least_thirty_requests_by_default(probe_id):
    run = clean_run(probe_id)
    assert sum(run.counts.values()) >= 30


@EVERY_PROBE
def test_probe_is_deterministic_under_a_seed(probe_id):
    parameters = parameters_for(probe_id)
    again = run_probe(probe_id, clean_for(probe_id), manifest=manifest_for(probe_id), **parameters)
    assert again == clean_run(probe_id)


@EVERY_PROBE
def test_probe_yields_its_registered_metrics_with_their_units(probe_id):
    run = clean_run(probe_id)
    registered = {metric.id for metric in probe_spec(probe_id).metrics}
    others = OF_SEVERAL | ON_REQUEST | OF_VARIANTS | OF_REFERENCE
    assert {f.metric for f in run.findings} == registered - others
    for finding in run.findings:
        spec = metric_spec(finding.metric)
        assert finding.probe == probe_id
        assert (finding.estimate.unit, finding.estimate.direction) == (spec.unit, spec.direction)


@EVERY_PROBE
def test_probe_orders_the_ends_of_its_intervals(probe_id):
    for finding in clean_run(probe_id).findings:
        e = finding.estimate
        if e.value is not None and e.low is not None and e.high is not None:
            assert e.low <= e.value <= e.high


class FailsAndFinds(FailsEveryThird, FindsEveryTestItem):
    pass


@pytest.mark.parametrize(
    "probe_id", [p for p in OWN if p not in ("privacy.claim", "fairness.counterfactual")]
)
def test_probe_counts_as_missing_what_a_failing_target_did_not_answer(probe_id):
    failing = FailsAndFinds() if probe_id == "fairness.group_utility" else FailsEveryThird()
    if probe_id in ("privacy.canary", "privacy.extraction", "explain.saydo", "fairness.words"):
        failing = FailsOnEveryThirdText()
    if probe_id == "utility.stages":
        failing = pipeline(FailsEveryThird(), Keeps())
    if probe_id.startswith("conversation."):
        failing = FailsEveryThirdTurn()
    if probe_id == "robustness.overflow":
        failing = CountsAndFails()
    if probe_id == "explain.layers":
        failing = tiny_model(fails=True)
    # Every request is sent, however many fail: the circuit breaker has tests of its own.
    parameters = parameters_for(probe_id)
    run = run_probe(
        probe_id, failing, manifest=manifest_for(probe_id), max_error_rate=1.0, **parameters
    )
    failed = run.counts["target_error"]
    asked = sum(run.counts.values()) - run.counts["not_run"]  # the stop rule ends a long probe
    assert 0.1 < failed / asked < 0.6
    for finding in run.findings:
        control = finding.group == "attack=blind" or finding.group.startswith("baseline=")
        examples = finding.parameters.get("n_examples_missing", 0)  # of users who have others
        missing = finding.estimate.n_missing + examples
        assert missing > 0 or control or finding.metric in OF_DATA, (finding.metric, finding.group)


def test_counterfactual_probe_does_not_judge_a_target_that_fails_a_third_of_its_requests():
    with pytest.raises(NotAssessable, match="of the responses contain at least"):
        run_probe("fairness.counterfactual", FailsEveryThird())


@ASKS
def test_probe_shows_only_requests_that_were_asked_as_evidence(probe_id):
    run = clean_run(probe_id)
    for finding in run.findings:
        for evidence in finding.evidence:
            assert evidence.what
            assert set(evidence.requests) <= run.asked
