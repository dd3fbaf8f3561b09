"""recommender.yaml: read back whole, and never leads out of its folder."""

from __future__ import annotations

import json
import re

import pytest

from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.manifest import MANIFEST, CatalogReference, RecommenderManifest

GOOD = "version: 1\nname: m\nkind: causal\nstyle: rank\n"


def read(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return RecommenderManifest.read(folder)


def test_manifest_reads_back_what_it_wrote(tmp_path):
    manifest = RecommenderManifest(
        version=1,
        name="é",
        kind="causal",
        style="generate",
        catalog=CatalogReference(name="ml-100k"),
    )
    manifest.write(tmp_path)
    assert RecommenderManifest.read(tmp_path) == manifest


@pytest.mark.parametrize("entry", ["weights", "tokenizer", "adapter", "prompt"])
@pytest.mark.parametrize("path", ["..", "../other", "/etc", "a/../../other"])
def test_path_that_leaves_the_folder_is_refused(tmp_path, entry, path):
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigurationError, match=r"outside the folder|does not exist"):
        read(tmp_path / "model", f"{GOOD}{entry}: {path}\n")


def test_link_that_leaves_the_folder_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "inner").symlink_to(tmp_path / "other")
    with pytest.raises(ConfigurationError, match="outside the folder"):
        read(tmp_path / "model", GOOD + "weights: inner\n")


def test_path_to_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        read(tmp_path, GOOD + "prompt: prompts.yaml\n")


def test_missing_manifest_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=MANIFEST):
        RecommenderManifest.read(tmp_path)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("wieghts: .\n", "5: wieghts"),
        ("decoding: {history_window: 0}\n", "5: decoding.history_window"),
        ("decoding: {exclude_history: yes}\n", "5: decoding.exclude_history"),
        ("adapter: 3\n", "5: adapter"),
    ],
)
def test_wrong_key_or_value_is_refused_with_its_line(tmp_path, line, place):
    with pytest.raises(ConfigurationError, match=re.escape(f"{MANIFEST}:{place}")):
        read(tmp_path, GOOD + line)


def test_a_claim_with_a_missing_field_counts_as_none_and_says_why(tmp_path):
    manifest = read(tmp_path, GOOD + "privacy: {mechanism: dp_sgd, claim: dp, epsilon: 1.0}\n")
    assert manifest.privacy is None
    assert "delta" in manifest.privacy_fault


def claim(**changed):
    fields = {
        **{"mechanism": "dp_sgd", "claim": "dp", "epsilon": 8.0, "epsilon_rdp": 8.1},
        **{
            "delta": 1e-4,
            "unit": "example",
            "n_units": 9,
            "records_per_unit": 1,
            "adjacency": "add_remove",
        },
        **{"sampling": "poisson", "sample_rate": 0.1, "steps": 3, "noise_multiplier": 1.0},
        **{"clip_norm": 1.0, "gradient_path": "hooks", "self_test": {}, "noise_source": "os"},
        **{"accountant": "prv", "libraries": {}, "not_covered": []},
    }
    return f"{GOOD}privacy: {json.dumps({**fields, **changed})}\n"


def test_a_whole_claim_is_read_without_a_fault(tmp_path):
    manifest = read(tmp_path, claim())
    assert manifest.privacy is not None
    assert manifest.privacy_fault is None


@pytest.mark.parametrize(
    "name", ["records_per_unit", "gradient_path", "self_test", "noise_source", "libraries"]
)
def test_a_claim_without_a_field_of_its_training_counts_as_none(tmp_path, name):
    fields = json.loads(claim().split("privacy: ")[1])
    del fields[name]
    manifest = read(tmp_path, f"{GOOD}privacy: {json.dumps(fields)}\n")
    assert manifest.privacy is None
    assert name in manifest.privacy_fault


@pytest.mark.parametrize("changed", [{"epsilon": "8.0"}, {"steps": "3"}, {"n_units": 9.0}])
def test_a_claim_with_a_value_of_another_type_counts_as_none(tmp_path, changed):
    manifest = read(tmp_path, claim(**changed))
    assert manifest.privacy is None
    assert next(iter(changed)) in manifest.privacy_fault


def test_every_fault_is_reported_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, "version: 2\nname: m\nkind: decoder\nstyle: rank\nsize: 3\n")
    assert all(f":{line}: " in str(caught.value) for line in (1, 3, 5))
