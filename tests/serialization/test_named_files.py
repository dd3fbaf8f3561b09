"""Files that recipes and data descriptions name: beside them, or allowed."""

from __future__ import annotations

import pytest

from auditkit.catalog.datasets.user_tables import load_own_data
from auditkit.errors import ConfigurationError
from auditkit.run.recipe import read_recipe
from auditkit.shipped_recipes import find_recipe
from auditkit.training.recipe_checks import read_training_recipe

AUDIT = "version: 1\nname: shop\ndata: {data}\nprobes:\n  hallucination.catalog: {{}}\n"
SHOP = """version: 1
name: shop
interactions: {{file: {events}}}
items: {{file: {items}}}
"""
EVENTS, ITEMS = "user,item,timestamp\nu,1,5\nu,2,6\nu,1,7\n", "id,title\n1,Heat\n2,Ronin\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of one's own, which is the current one, beside a foreign one."""
    for name in ("own", "foreign"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.csv").write_text(EVENTS)
        (tmp_path / name / "items.csv").write_text(ITEMS)
        (tmp_path / name / "shop.yaml").write_text(
            SHOP.format(events="events.csv", items="items.csv")
        )
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def shipped(name):
    return find_recipe(name, kind="train").read_text()


def outside(own):
    """Names that lead out of the folder: upwards, absolute, by links, and mixed."""
    (own / "linked.yaml").symlink_to(own.parent / "foreign" / "shop.yaml")
    (own / "linked").symlink_to(own.parent / "foreign")
    return [
        "../foreign/shop.yaml",
        str(own.parent / "foreign" / "shop.yaml"),
        "linked.yaml",
        "linked/shop.yaml",
        "./linked/../foreign/shop.yaml",
        "../own/../foreign/shop.yaml",
    ]


def test_recipe_reads_nothing_outside(own):
    for named in outside(own):
        (own / "audit.yaml").write_text(AUDIT.format(data=named))
        with pytest.raises(ConfigurationError, match=r"audit\.yaml:3: data: .*--allow-outside"):
            read_recipe(own / "audit.yaml")
        assert read_recipe(own / "audit.yaml", allow_outside=True).data == named


@pytest.mark.parametrize("entry", ["catalog: ../foreign/items.csv", "catalog: /etc/passwd"])
def test_catalog_of_a_recipe_is_checked_with_its_line(own, entry):
    (own / "audit.yaml").write_text(AUDIT.format(data="ml-100k") + entry + "\n")
    with pytest.raises(ConfigurationError, match=r"audit\.yaml:6: catalog: .* outside"):
        read_recipe(own / "audit.yaml")


def test_file_of_a_probe_is_checked(own):
    probe = "  fairness.counterfactual: {attributes_file: ../foreign/diet.yaml}\n"
    (own / "audit.yaml").write_text(AUDIT.format(data="ml-100k") + probe)
    with pytest.raises(ConfigurationError, match=r"attributes_file: .* outside"):
        read_recipe(own / "audit.yaml")


def test_model_folders_of_a_probe_are_checked_with_their_position(own):
    probe = "  privacy.canary: {base_model: ../foreign}\n"
    (own / "audit.yaml").write_text(AUDIT.format(data="ml-100k") + probe)
    with pytest.raises(ConfigurationError, match=r"base_model: .* outside"):
        read_recipe(own / "audit.yaml")


@pytest.mark.parametrize(
    "named", ["shop.yaml", "./shop.yaml", "part/../shop.yaml", "ml-100k", "no-such-file.yaml"]
)
def test_recipe_reads_files_of_its_folder_and_the_current_one(own, named):
    (own / "part").mkdir()
    (own / "part" / "audit.yaml").write_text(AUDIT.format(data=named))
    assert read_recipe(own / "part" / "audit.yaml").data == named


def test_absolute_path_and_link_within_the_folder_are_read(own):
    (own / "again.yaml").symlink_to(own / "shop.yaml")
    for named in (str(own / "shop.yaml"), "again.yaml"):
        (own / "audit.yaml").write_text(AUDIT.format(data=named))
        assert read_recipe(own / "audit.yaml").data == named


def test_file_beside_the_recipe_is_found_from_another_folder(own, monkeypatch):
    (own / "audit.yaml").write_text(AUDIT.format(data="shop.yaml"))
    (own / "elsewhere").mkdir()
    monkeypatch.chdir(own / "elsewhere")
    assert read_recipe(own / "audit.yaml").data == str(own / "shop.yaml")
    assert len(load_own_data(own / "shop.yaml").catalog) == 2


def test_link_in_the_current_folder_does_not_hide_behind_the_folder_of_the_recipe(own):
    (own / "part").mkdir()
    (own / "linked").symlink_to(own.parent / "foreign")
    (own / "part" / "audit.yaml").write_text(AUDIT.format(data="linked/shop.yaml"))
    with pytest.raises(ConfigurationError, match="outside"):
        read_recipe(own / "part" / "audit.yaml")


@pytest.mark.parametrize("table", ["events", "items"])
def test_data_description_reads_nothing_outside(own, table):
    (own / "linked.csv").symlink_to(own.parent / "foreign" / f"{table}.csv")
    for named in (f"../foreign/{table}.csv", str(own.parent / "foreign" / f"{table}.csv"),
                  "linked.csv", f"../own/../foreign/{table}.csv"):  # fmt: skip
        files = {"events": "events.csv", "items": "items.csv", table: named}
        (own / "shop.yaml").write_text(SHOP.format(**files))
        with pytest.raises(ConfigurationError, match=r"file: .*--allow-outside"):
            load_own_data(own / "shop.yaml")
        assert len(load_own_data(own / "shop.yaml", allow_outside=True).interactions) == 3


def test_data_description_is_bound_to_its_own_folder_only(own):
    (own / "part").mkdir()
    (own / "part" / "shop.yaml").write_text(
        SHOP.format(events="../events.csv", items="../items.csv")
    )
    with pytest.raises(ConfigurationError, match="2 errors"):
        load_own_data(own / "part" / "shop.yaml")


def test_training_recipe_reads_nothing_outside(own):
    changes = {"ml-100k": "../foreign/shop.yaml", "base: p5-mini": "base: ../foreign/model"}
    for before, after in changes.items():
        (own / "train.yaml").write_text(shipped("p5-mini-consistent").replace(before, after))
        with pytest.raises(ConfigurationError, match="--allow-outside"):
            read_training_recipe(own / "train.yaml")
        assert read_training_recipe(own / "train.yaml", allow_outside=True)


def test_base_recipe_of_a_training_recipe_is_checked_too(own):
    (own / "base.yaml").write_text(shipped("p5-mini").replace("ml-100k", "../foreign/shop.yaml"))
    (own / "train.yaml").write_text(
        shipped("p5-mini-consistent").replace("base: p5-mini", "base: base.yaml")
    )
    with pytest.raises(ConfigurationError, match=r"base\.yaml:\d+: data\.dataset: .* outside"):
        read_training_recipe(own / "train.yaml")
