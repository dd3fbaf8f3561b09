"""Two Ray actors give what one process gives."""

from __future__ import annotations

import json
import sys
from functools import partial

import pytest
from evidence_lines import written_bodies
from small_folder import save
from small_world import world, write_cache

from auditkit.errors import ConfigurationError, MissingDependency, TargetUnavailable
from auditkit.evidence.manifest import read_manifest
from auditkit.recommenders.loading.load import load_recommender
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import read_recipe
from auditkit.run.runner import run_audit

RECIPE = """version: 1
name: workers
batch_size: 8
probes:
  hallucination.catalog: {n_users: 60}
  robustness.prompt.case: {n_users: 30}
  explain.attribution: {n_users: 3}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return read_recipe(tmp_path / "recipe.yaml")


def answers(run):
    """The records without the batch that each was written in."""
    return [body | {"batch": None} for body in written_bodies(run)]


def of(result, metric):
    """Take the only finding of a metric out of a result."""
    (found,) = [finding for finding in result["findings"] if finding["metric"] == metric]
    result["findings"].remove(found)
    return found


@pytest.mark.slow
def test_two_actors_give_the_result_of_one_process(tmp_path, recipe):
    folder = str(save(tmp_path / "model"))
    results = []
    for name, workers in (("one", None), ("two", 2)):
        run_audit(folder, recipe, tmp_path / name, options=AuditOptions(workers=workers))
        results.append(json.loads((tmp_path / name / "result.json").read_text()))
    assert len(results[0]["findings"]) > 10
    # Models with random weights are made of the model, which only one process has.
    for metric in ("explain.randomization", "explain.randomization_excess"):
        alone, there = (of(result, metric) for result in results)
        assert alone["estimate"]["reason"] != there["estimate"]["reason"]
        assert there["estimate"]["value"] is None
    assert results[0] == results[1]
    assert answers(tmp_path / "one") == answers(tmp_path / "two")


@pytest.mark.slow
def test_actors_that_cannot_load_end_the_audit_with_an_explanation():
    cluster = pytest.importorskip("auditkit.recommenders.loading.ray_pool")
    loaded = load_recommender("baseline:popularity", dataset=world())
    load = partial(load_recommender, "baseline:nothing", dataset=world())
    with (
        pytest.raises(TargetUnavailable, match="actor"),
        cluster.spread(loaded, load, workers=1, batch_size=8),
    ):
        pass


def test_second_run_asks_and_computes_nothing(tmp_path, recipe):
    """Neither in the same folder, nor in another that shares the answers."""
    folder, work = str(save(tmp_path / "model")), []
    for out in ("run", "run", "other"):
        run_audit(folder, recipe, tmp_path / out, options=AuditOptions(cache=tmp_path / "answers"))
        work.append(read_manifest(tmp_path / out)["volatile"])
    assert work[0]["computed"]["forwards"] > 0
    assert work[1]["asked"] == 0
    for later in work[1:]:
        assert set(later["computed"].values()) == {0}


def test_missing_ray_names_the_extra(tmp_path, recipe, monkeypatch):
    monkeypatch.delitem(sys.modules, "auditkit.recommenders.loading.ray_pool", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"auditkit\[ray\]"):
        run_audit("baseline:popularity", recipe, tmp_path / "run", options=AuditOptions(workers=2))


def test_templates_of_a_folder_are_not_overruled(tmp_path, recipe):
    (tmp_path / "prompts.yaml").write_text("history: titles\n")
    with pytest.raises(ConfigurationError, match="its own templates"):
        run_audit(
            str(save(tmp_path / "model")),
            recipe,
            tmp_path / "run",
            options=AuditOptions(prompts=tmp_path / "prompts.yaml"),
        )
