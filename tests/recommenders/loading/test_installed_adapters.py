"""An installed package adds an adapter by an entry point."""

from __future__ import annotations

import sys

import pytest
from small_world import world

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender
from auditkit.types import Request

SOURCE = """
class Echo:
    name = "echo"
    def __init__(self, rest, dataset):
        self.titles = [item.title for item in dataset.catalog.items[: int(rest)]]
    def recommend(self, requests):
        return [self.titles for _ in requests]
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    (tmp_path / "echo_adapter.py").write_text(SOURCE)
    info = tmp_path / "echo_adapter-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-adapter\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[auditkit.adapters]\necho = echo_adapter:Echo\nreplay = echo_adapter:Echo\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("echo_adapter", None)


@pytest.mark.usefixtures("installed")
def test_installed_adapter_loads_by_its_name_and_says_where_it_is_from():
    loaded = load_recommender("echo:2", dataset=world())
    assert loaded.notes == ("Loaded by the adapter 'echo' of echo-adapter 1.2.",)
    assert len(loaded.recommender.recommend([Request()])[0]) == 2
    assert loaded.fingerprint != load_recommender("echo:3", dataset=world()).fingerprint


@pytest.mark.usefixtures("installed")
def test_built_in_adapter_cannot_be_replaced():
    with pytest.raises(TargetUnavailable, match="does not exist"):
        load_recommender("replay:2", dataset=world())


def test_unknown_target_lists_what_there_is():
    with pytest.raises(TargetUnavailable, match=r"'nothing'.*smollm2.*openai:BASE_URL#MODEL"):
        load_recommender("nothing", dataset=world())


def test_hub_name_is_refused_because_nothing_is_downloaded():
    with pytest.raises(TargetUnavailable, match="never downloaded from a hub"):
        load_recommender("hf:someone/model", dataset=world())
