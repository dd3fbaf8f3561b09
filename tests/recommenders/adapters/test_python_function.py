"""Python callables as recommenders."""

from __future__ import annotations

import pytest
from run_probe import target_for

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.python_function import FunctionRecommender, import_recommender
from auditkit.recommenders.protocols import Recommends
from auditkit.types import Request


def test_function_is_called_with_the_requests(tmp_path):
    recommender = FunctionRecommender(
        "f", lambda requests: [[f"for {r.user_id}"] for r in requests]
    )
    responses = target_for(recommender, tmp_path).recommend(
        [Request(user_id="u"), Request(user_id="v")]
    )
    assert [r.items[0].raw for r in responses] == ["for u", "for v"]


def test_class_is_imported_and_instantiated():
    assert isinstance(import_recommender("planted_recommenders:Clean"), Recommends)


def test_plain_function_becomes_a_recommender():
    recommender = import_recommender("planted_recommenders:new_items")
    assert recommender.name == "planted_recommenders:new_items"


@pytest.mark.parametrize(
    "path", ["no_such_module:f", "planted_recommenders:absent", "planted_recommenders", "", ":x"]
)
def test_name_that_cannot_be_imported_is_refused(path):
    with pytest.raises(TargetUnavailable, match="MODULE:NAME"):
        import_recommender(path)


def test_object_that_cannot_recommend_is_refused_with_its_type():
    with pytest.raises(TargetUnavailable, match="is a tuple"):
        import_recommender("planted_recommenders:HELD_OUT")


ENDS_WHEN_MADE = "class Shop:\n    def __init__(self):\n        raise SystemExit(0)"


@pytest.mark.parametrize("code", ["raise SystemExit(0)", ENDS_WHEN_MADE])
def test_module_that_ends_the_process_is_refused(tmp_path, monkeypatch, code):
    name = f"ending_{len(code)}"
    (tmp_path / f"{name}.py").write_text(code + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TargetUnavailable, match=r"calls sys\.exit"):
        import_recommender(f"{name}:Shop")
