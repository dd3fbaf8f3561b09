"""`auditkit list` and `auditkit recipes`."""

from __future__ import annotations

import json

import pytest

from auditkit.registry import metrics, probes
from auditkit.shipped_recipes import shipped_recipes


@pytest.mark.parametrize(
    ("what", "known"), [("probes", probes), ("metrics", metrics), ("recipes", shipped_recipes)]
)
def test_list_names_everything_there_is(call, what, known):
    code, out, _ = call("list", what)
    assert code == 0
    assert all(name in out for name in known())


@pytest.mark.parametrize(("what", "known"), [("probes", probes), ("metrics", metrics)])
def test_list_as_json_has_every_id_in_order(call, what, known):
    assert [entry["id"] for entry in json.loads(call("list", what, "--json")[1])] == list(known())


def test_list_of_something_else_exits_with_two(call):
    assert call("list", "models")[0] == 2


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_recipe_can_be_copied(call, tmp_path, name):
    copy = tmp_path / "copy.yaml"
    assert call("recipes", "copy", name, "--to", str(copy))[0] == 0
    assert copy.read_text() == shipped_recipes()[name].read_text()


def test_copy_keeps_an_existing_file_unless_forced(call, tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text("mine")
    assert call("recipes", "copy", "audit/quick", "--to", str(copy))[0] == 2
    assert copy.read_text() == "mine"
    assert call("recipes", "copy", "audit/quick", "--to", str(copy), "--force")[0] == 0
    assert copy.read_text() != "mine"


def test_unknown_recipe_exits_with_two_and_the_nearest_name(call):
    code, _, err = call("recipes", "copy", "audit/quik")
    assert code == 2
    assert "Did you mean 'audit/quick'" in err
