"""A recommender is loaded, asked once, and its duration estimated."""

from __future__ import annotations

import pytest
from audited_runs import CLEAN, CODE, INVENTS
from small_world import world, write_cache

from auditkit.errors import TargetUnavailable
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.target_check import check_target

RECIPE = AuditRecipe(version=1, name="small", probes={"hallucination.catalog": {"n_users": 30}})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))


def test_the_response_is_parsed_and_linked():
    found = check_target(CLEAN, RECIPE, options=CODE)
    assert found.answer.status == "ok"
    assert found.n_items == found.n_linked == 10
    assert "Recommends" in found.capabilities
    assert not found.failed
    assert found.overlap is None


def test_titles_that_are_not_in_the_catalog_are_not_counted_as_linked():
    found = check_target(INVENTS, RECIPE, options=CODE)
    assert found.n_linked < found.n_items


def test_minutes_are_the_planned_calls_at_the_measured_speed():
    found = check_target("baseline:popularity", RECIPE)
    assert found.calls >= 30
    assert found.minutes == pytest.approx(found.calls * found.request_seconds / 60)


def test_a_recommender_that_raises_is_reported_and_no_minutes_are_invented(tmp_path):
    (tmp_path / "broken.py").write_text(
        "class Broken:\n"
        "    name = 'broken'\n"
        "    def recommend(self, requests):\n"
        "        raise RuntimeError('no model behind this door')\n"
    )
    found = check_target(f"python:{tmp_path / 'broken.py'}:Broken", RECIPE, options=CODE)
    assert found.failed
    assert "no model behind this door" in found.error
    assert found.minutes is None


def test_code_that_is_not_allowed_is_not_run():
    with pytest.raises(TargetUnavailable, match="--allow-code"):
        check_target(CLEAN, RECIPE)


def _catalog(path, rows):
    path.write_text("item_id,title\n" + "".join(f'{i},"{title}"\n' for i, title in rows))
    return str(path)


def test_the_overlap_with_a_catalog_is_counted_by_id_and_title(tmp_path):
    items = world().catalog.items
    half = _catalog(tmp_path / "half.csv", [(i.id, i.display_title) for i in items[15:]])
    found = check_target("baseline:popularity", RECIPE, options=AuditOptions(catalog=half))
    assert (found.overlap.items, found.overlap.shared, found.overlap.same_title) == (60, 45, 45)
    assert not found.overlap.fault
    assert found.n_linked < found.n_items == 10  # popular items are among the first

    other = _catalog(tmp_path / "other.csv", [(f"x{i}", f"Nothing {i}") for i in range(40)])
    found = check_target("baseline:popularity", RECIPE, options=AuditOptions(catalog=other))
    assert found.overlap.fault
    assert found.catalog == "ml-100k"  # the response is read with the catalog of the data
