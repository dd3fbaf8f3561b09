"""A reference catalog tells titles that exist elsewhere from invented ones, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted_recommenders import Clean, chance, new_items, titles
from run_probe import run_probe
from small_world import world

from auditkit.catalog.building.open import load_catalog
from auditkit.errors import CatalogError, ConfigurationError
from auditkit.probes.hallucination.reference_catalog import titles_elsewhere
from auditkit.run.recipe import read_recipe, with_reference
from auditkit.types import RankedItem

PROBE = "hallucination.catalog"
SHARE = 0.3
# Real films of other catalogs: a remake, a sequel, and titles far from all of the small world.
ELSEWHERE = ("Zelig", "Ikiru", "Solaris", "Brazil", "Ran", "Yojimbo", "Metropolis", "Rashomon")


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """A table of 60 films of the small world and 8 others."""
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    rows = [(f"a{item.id}", item.title, item.year) for item in world().catalog.items]
    rows += [(f"b{i}", title, 1950 + i) for i, title in enumerate(ELSEWHERE)]
    rows += [("c1", world().catalog.items[0].title, 2019), ("c2", "Silver Harbor 2", 1999)]
    path = tmp_path / "reference.csv"
    path.write_text("id,title,year\n" + "".join(f"{i},{t},{y}\n" for i, t, y in rows))
    return path


class ListsOthers(Clean):
    """Names real films that are not in the catalog, and invents the same share of titles."""

    def answer(self, request):
        found = []
        for i, title in enumerate(titles(new_items(request)[: request.k])):
            drawn = chance(request.user_id, i)
            if drawn < SHARE:
                at = int(drawn * 1e6) % len(ELSEWHERE)
                title = f"{ELSEWHERE[at]} ({1950 + at})"
            elif drawn > 1 - SHARE:
                title = f"Zzyzx Number {i} (1999)"
            found.append(title)
        return found


def test_invented_rate_falls_by_exactly_the_planted_share(reference):
    plain = run_probe(PROBE, ListsOthers())
    looked_up = run_probe(PROBE, ListsOthers(), reference_file=str(reference))
    before, after = (run.one(f"{PROBE}.invented_rate") for run in (plain, looked_up))
    absent = looked_up.one(f"{PROBE}.absent_rate")
    users = [user for user, _, _ in absent.units]
    planted = np.mean([chance(user, i) < SHARE for user in users for i in range(10)])
    assert absent.estimate.value == pytest.approx(planted)
    assert before.estimate.value - after.estimate.value == pytest.approx(planted)
    assert after.estimate.value > 0.2  # what is in neither catalog still counts as invented
    assert absent.parameters["reference_titles"] == 70
    assert "only in the reference catalog" in absent.evidence[0].what
    assert not any(title in found.what for found in after.evidence for title in ELSEWHERE)
    same = [f"{PROBE}.{name}" for name in ("out_of_catalog_rate", "duplicate_rate")]
    assert [plain.one(m).estimate for m in same] == [looked_up.one(m).estimate for m in same]


def test_without_a_reference_catalog_nothing_is_absent():
    found = run_probe(PROBE, ListsOthers(), n_users=5).findings
    assert not any(one.metric.endswith("absent_rate") for one in found)
    assert not any("reference_catalog" in one.parameters for one in found)


@pytest.mark.parametrize(
    ("written", "elsewhere"),
    [
        ("Solaris (1952)", True),
        ("Solaris", True),
        ("Solarris (1952)", False),  # a misspelled title of the reference is not repaired
        ("Silver Harbr (1950)", False),  # a misspelled title of the catalog
        ("Silver Harbor 2 (1999)", True),  # a real sequel, with its year
        ("Silver Harbor 2", False),
        ("Silver Harbor 3 (1999)", False),  # an invented sequel
        ("Silver Harbor (2019)", True),  # a real remake
        ("Silver Harbor (1987)", False),  # a wrong year
        ("b2", False),  # an id of the reference
    ],
)
def test_only_literal_titles_of_the_reference_exist_elsewhere(reference, written, elsewhere):
    catalog = world().catalog
    (link,) = catalog.link([written])
    item = RankedItem(raw=written, item_id=link.item_id, link=link.reason)
    assert bool(titles_elsewhere([item], load_catalog(reference))) is elsewhere


def test_recipe_key_becomes_a_parameter_whose_file_is_part_of_the_identity(reference):
    recipe = reference.with_name("own.yaml")
    text = f"version: 1\nname: own\nprobes: {{{PROBE}: {{n_users: 5}}}}\n"
    recipe.write_text(text)
    plain = read_recipe(recipe)
    recipe.write_text(text + f"reference_catalog: {reference.name}\n")
    stated = read_recipe(recipe)
    assert stated.model_dump() == with_reference(plain, str(reference)).model_dump()
    assert "reference_catalog" not in json.dumps(plain.model_dump())


def test_reference_without_the_probe_and_missing_file_are_reported(reference):
    recipe = reference.with_name("own.yaml")
    recipe.write_text(
        "version: 1\nname: own\nprobes: {utility.ranking: {}}\nreference_catalog: reference.csv\n"
    )
    with pytest.raises(ConfigurationError, match=f"reference_catalog: needs the probe {PROBE}"):
        read_recipe(recipe)
    with pytest.raises(CatalogError, match=r"no\.csv cannot be read"):
        run_probe(PROBE, ListsOthers(), reference_file="no.csv")
