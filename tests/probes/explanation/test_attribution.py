"""The attribution probe on a small model, whose weights can be drawn again."""

from __future__ import annotations

import pytest
from run_probe import run_probe
from small_folder import save
from small_world import world

from auditkit.errors import InvalidArgument
from auditkit.probes.explanation.attribution import AttributionProbe
from auditkit.recommenders.adapters.model_folder import load_folder

SMALL = {"n_users": 9, "n_spans": 6, "n_orders": 2, "n_card": 1, "n_tables": 1, "n_random": 9}


def test_probe_compares_with_random_weights(tmp_path):
    model = load_folder(save(tmp_path), world())
    run = run_probe("explain.attribution", model, **SMALL)
    random = run.one("explain.randomization")
    assert 0 <= random.estimate.value <= 1
    # Six spans have 720 rankings: 95 % of them correlate by at most 0.83.
    assert random.baseline.value == pytest.approx(0.83, abs=0.03)
    assert random.notes[0].startswith("test of weights: ")
    assert run.one("explain.lds").estimate.n_missing + run.one("explain.lds").estimate.n == 1
    assert run.one("explain.sufficiency").estimate.n == 9


def test_parts_of_the_card_can_be_left_out(tmp_path):
    model = load_folder(save(tmp_path), world())
    run = run_probe(
        "explain.attribution", model, **{**SMALL, "n_card": 0, "n_tables": 0, "n_random": 0}
    )
    assert {f.metric.rsplit(".", 1)[1] for f in run.findings} == {
        "comprehensiveness", "sufficiency", "top_effect",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"n_spans": 2}, {"explainer": "gradient"}, {"n_card": -1}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidArgument, match=r"explain\.attribution"):
        AttributionProbe(**wrong)
