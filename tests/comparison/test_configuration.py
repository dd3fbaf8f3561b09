"""What differs between two configurations, named by its path."""

from __future__ import annotations

from paired_runs import write_pair

from auditkit.comparison.configuration import Changed
from auditkit.comparison.diff import diff_runs


def test_only_the_target_differs_between_two_versions_of_a_model(tmp_path):
    rows = diff_runs(*write_pair(tmp_path)).settings
    assert rows == (
        Changed("target.fingerprint", "sha256:11", "sha256:22"),
        Changed("target.name", "films-v1", "films-v2"),
    )


def test_settings_are_named_by_their_path_and_conditions_are_marked(tmp_path):
    recipe = {
        "name": "nightly", "data": "films",
        "probes": {"hallucination.catalog": {"n_users": 41}, "utility.ranking": {}},
    }  # fmt: skip
    diff = diff_runs(*write_pair(tmp_path, seed=8, recipe=recipe))
    rows = {row.name: row for row in diff.settings}
    assert rows["seed"] == Changed("seed", "7", "8", comparable=False)
    assert rows["recipe.probes.hallucination.catalog.n_users"][1:] == ("40", "41", True)
    assert rows["recipe.probes.utility.ranking"][1:] == ("not stated", "{}", True)
    assert diff.obstacles == ("seed",)
    assert "recipe.seed" not in rows
