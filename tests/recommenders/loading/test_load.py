"""From a TARGET string to a recommender, or to two sentences that help."""

from __future__ import annotations

import pytest
from small_world import world

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender


def load(target, **options):
    return load_recommender(str(target), dataset=world(), **options)


@pytest.mark.parametrize(
    "target", ["gpt", "baselin:popularity", "no/such/folder", "http://localhost"]
)
def test_unknown_target_is_refused_with_the_known_forms(target):
    with pytest.raises(TargetUnavailable, match=r"unknown target.*baseline:popularity"):
        load(target)


def test_code_does_not_run_unless_it_is_allowed():
    with pytest.raises(TargetUnavailable, match="--allow-code"):
        load("python:planted_recommenders:Clean")


def test_allowed_code_is_loaded_and_marked_as_unverified():
    loaded = load("python:planted_recommenders:Clean", allow_code=True)
    assert not loaded.verified
    assert "not verifiable" in loaded.notes[-1]


def test_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(TargetUnavailable, match=r"contains no recommender\.yaml"):
        load(tmp_path)


def test_baseline_is_verified_by_its_data():
    loaded = load("baseline:popularity")
    assert loaded.verified
    assert loaded.fingerprint != load("baseline:random").fingerprint


def test_replay_is_verified_by_its_file(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "text": "x"}\n')
    assert load(f"replay:{path}").kind == "replay"
