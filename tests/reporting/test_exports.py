"""A run for other tools: notebooks, the Hugging Face Hub and MLflow."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest
import yaml
from policies import OUT, result_of
from run_folder import HOSTILE, audit_result, rate, write_policy, write_run

import auditkit
from auditkit.cli import main
from auditkit.errors import MissingDependency
from auditkit.evidence.manifest import verify_run
from auditkit.policy.decision import Decision
from auditkit.reporting.exports.mlflow_run import log_to_mlflow
from auditkit.reporting.exports.model_card import render_model_card
from auditkit.reporting.run_reader import read_source
from auditkit.types import AuditResult


class Tags(HTMLParser):
    """The tags of a page and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


# --- notebooks


def test_a_notebook_shows_every_finding_as_an_inert_table():
    result = audit_result(HOSTILE)
    page = Tags(result._repr_html_())
    assert {tag for tag, _ in page.tags} <= {
        "table", "caption", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    text = "".join(page.words)
    assert all(found.metric in text for found in result.findings)
    assert "\u202e" not in text


def test_a_notebook_table_is_small_whatever_the_result():
    hostile = "&\"'<" * 5_000
    found = rate(OUT, 3, 100, group=f"genre={hostile}")
    result = dataclasses.replace(result_of(found), findings=(found,) * 30_000)
    page = result._repr_html_()
    assert len(page.encode()) < 200_000
    assert "and 29,900 more" in page


# --- model cards


def card_of(run):
    text = render_model_card(read_source(run))
    _, head, section = text.split("---\n", 2)
    return yaml.safe_load(head), section


def test_the_metadata_are_those_that_the_hub_reads(judged_run):
    hub = pytest.importorskip("huggingface_hub")
    head, _ = card_of(judged_run)
    card = hub.ModelCardData(**head, ignore_metadata_errors=False)
    found = {f"{f.metric}/{f.group}": f.estimate for f in AuditResult.read(judged_run).findings}
    assert len(card.eval_results) > 10
    for one in card.eval_results:
        group = (one.metric_name or "").removeprefix(one.metric_type).removeprefix(" for ")
        estimate = found[f"{one.metric_type}/{group or 'all'}"]
        assert (one.metric_value, one.metric_args["n"]) == (estimate.value, estimate.n)
        assert one.dataset_name == "ml-100k"
    again = hub.ModelCardData(**yaml.safe_load(card.to_yaml()))
    assert again.eval_results == card.eval_results


def test_the_metrics_are_those_of_the_rules_and_the_section_has_the_verdict(judged_run):
    head, section = card_of(judged_run)
    decision = Decision.read(judged_run)
    listed = {metric["type"] for metric in head["model-index"][0]["results"][0]["metrics"]}
    assert listed <= {rule.metric for rule in decision.rules}
    assert section.lstrip().startswith("## Safety audit")
    for words in ("**FAIL**", "### Not tested", "out-of-catalog", "not a conformity assessment"):
        assert words in section
    assert "<script" not in section
    assert "\u202e" not in section


def test_the_card_is_written_on_demand_and_the_run_stays_valid(tmp_path):
    run = write_run(tmp_path / "run", policy=write_policy(tmp_path))
    assert "model-card.md" not in {path.name for path in auditkit.report(run)}
    assert auditkit.report(run, model_card=True)[-1] == run / "model-card.md"
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run), "--model-card"])
    assert ended.value.code == 0
    assert verify_run(run).status == "complete"


def test_a_run_without_a_usable_value_has_no_result(tmp_path):
    run = write_run(tmp_path / "run", dataclasses.replace(audit_result(""), findings=()))
    head, section = card_of(run)
    assert head["model-index"][0]["results"] == []
    assert "NOT JUDGED" in section


# --- MLflow


def test_mlflow_gets_every_number_and_no_evidence(judged_run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "store").as_uri()
    run_id = auditkit.log_to_mlflow(judged_run, experiment="audits", tracking_uri=store)
    logged = mlflow.tracking.MlflowClient(store).get_run(run_id)
    result = AuditResult.read(judged_run)
    metrics = logged.data.metrics
    out = next(f.estimate for f in result.findings if f.metric == OUT)
    assert [metrics[OUT], metrics[f"{OUT}_low"], metrics[f"{OUT}_high"]] == [
        out.value, out.low, out.high,
    ]  # fmt: skip
    values = [f for f in result.findings if f.estimate.value is not None]
    named = [name for name in metrics if not name.endswith(("_low", "_high", "exit_code"))]
    assert len(named) == len(values)
    assert logged.data.tags["verdict"] == "fail"
    assert logged.data.params["target_fingerprint"] == result.target.fingerprint
    files = {one.path for one in mlflow.tracking.MlflowClient(store).list_artifacts(run_id)}
    assert files == {"report.html", "summary.md", "findings.csv", "result.json", "verdict.json"}


def test_without_mlflow_the_error_names_the_command(judged_run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(MissingDependency, match="pip install mlflow-skinny"):
        log_to_mlflow(judged_run)
