"""Names to code."""

from __future__ import annotations

import pytest
import yaml

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.registry import load_object, metric_spec, metrics, probe_spec, probes


@pytest.mark.parametrize("probe_id", list(probes()))
def test_every_registered_path_can_be_imported(probe_id):
    spec = probe_spec(probe_id)
    assert callable(load_object(spec.path)(**spec.preset).run)


def test_metric_ids_are_unique():
    listed = [metric.id for probe in probes().values() for metric in probe.metrics]
    assert len(listed) == len(set(listed)) == len(metrics())


def test_every_metric_is_within_the_dimension_of_its_probe():
    for metric in metrics().values():
        assert metric.id.split(".")[0] == probe_spec(metric.probe).dimension.split(".")[0] or (
            metric.id.split(".")[0] == metric.probe.split(".")[0]
        )


def test_probe_ids_occur_once_in_the_file():
    from importlib.resources import files

    text = (files("auditkit") / "registry.yaml").read_text(encoding="utf-8")
    written = [
        line.strip(" :\n") for line in text.splitlines() if line[:2] == "  " and line[2] != " "
    ]
    assert sorted(written) == sorted(yaml.safe_load(text)["probes"])


def test_misspelled_probe_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match=r"Did you mean 'hallucination\.catalog'"):
        probe_spec("halucination.catalog")


def test_misspelled_metric_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match=r"Did you mean 'privacy\.membership\.auc'"):
        metric_spec("privacy.membership.auk")


def test_nothing_is_suggested_for_a_name_that_resembles_none():
    assert did_you_mean("qqqq", probes()) == ""
