"""The probe of unlearning finds a model that forgot nobody, and is quiet on retrained ones."""

from __future__ import annotations

from functools import cache

import pytest
from planted_forgetting import ascended, forgotten_file, remembering, retrained
from run_probe import run_probe
from small_world import world

from auditkit.errors import ConfigurationError
from auditkit.probes.base import NotAssessable
from auditkit.recommenders.adapters.model_folder import load_folder

PROBE = "privacy.forgetting"


@cache
def found(kind):
    model = load_folder(kind(), world())
    run = run_probe(
        PROBE, model, manifest=model.manifest.model_dump(mode="json"),
        users_file=forgotten_file(), retrained_model=str(retrained()),
    )  # fmt: skip
    return {(f.metric, f.group): f for f in run.findings}


def of(kind, metric, group="all"):
    return found(kind)[f"{PROBE}.{metric}", group].estimate


def retrained_longer():
    return retrained(390)


def test_model_that_forgot_nobody_is_found():
    assert of(remembering, "net_gap").low > 0.3
    assert of(remembering, "auc", "model=audited").low > 0.9
    assert found(remembering)[f"{PROBE}.net_gap", "all"].notes[0].startswith("not forgotten")


@pytest.mark.parametrize("kind", [retrained_longer, ascended])
def test_probe_is_quiet_on_models_that_forgot(kind):
    net = of(kind, "net_gap")
    assert net.low < 0 < net.high
    auc, reference = (of(kind, "auc", f"model={model}") for model in ("audited", "retrained"))
    assert auc.low < 0.6
    assert reference.low < 0.5 < reference.high


def test_equal_models_have_no_interval_of_zero_width():
    net = of(retrained, "net_gap")
    assert (net.value, net.low, net.high) == (0, None, None)


def test_gaps_of_both_groups_add_up():
    gaps = {group: of(remembering, "gap", f"users={group}") for group in ("forgotten", "held_out")}
    assert of(remembering, "net_gap").value == pytest.approx(
        gaps["forgotten"].value - gaps["held_out"].value
    )
    assert {gap.n for gap in gaps.values()} == {25}


def test_without_its_files_the_probe_says_what_to_give():
    model = load_folder(remembering(), world())
    with pytest.raises(NotAssessable, match="--forget and --retrained"):
        run_probe(PROBE, model, manifest=model.manifest.model_dump(mode="json"))


def test_a_retrained_model_with_other_strangers_is_refused():
    model = load_folder(remembering(), world())
    manifest = model.manifest.model_dump(mode="json")
    manifest["training"]["holdout_users"] = manifest["training"]["holdout_users"][1:]
    with pytest.raises(ConfigurationError, match="held out other users"):
        run_probe(
            PROBE, model, manifest=manifest, users_file=forgotten_file(),
            retrained_model=str(retrained()),
        )  # fmt: skip
