"""The domain of a run: from the mapping of the catalog, or from --domain."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from auditkit.catalog.building.build import Inputs, build_catalog
from auditkit.catalog.building.open import load_catalog
from auditkit.cli import app
from auditkit.errors import ConfigurationError
from auditkit.evidence.manifest import read_manifest

ITEMS = "".join(f"{n},Drill number {n},Torvald,{10 + n}.50,SKU{n}\n" for n in range(1, 31))
CSV = f"id,title,brand,price,sku\n{ITEMS}"
MAPPING = "predicates: {brand: {column: brand, type: entity, world: functional}}\n"


@pytest.fixture
def shop(tmp_path):
    """Folder with a table of drills, events and the description of these data."""
    (tmp_path / "items.csv").write_text(CSV)
    events = [f"u{u},{1 + (u * 3 + t) % 30},{t}" for u in range(20) for t in range(6)]
    (tmp_path / "events.csv").write_text("user,item,time\n" + "\n".join(events))
    (tmp_path / "shop.yaml").write_text(
        "version: 1\nname: shop\n"
        "interactions: {file: events.csv, user: user, item: item, timestamp: time}\n"
        "items: {file: items.csv, id: id, title: title}\n"
    )
    return tmp_path


def built(folder, mapping):
    path = folder / "mapping.yaml"
    path.write_text(mapping)
    build_catalog(Inputs(sources=(str(folder / "items.csv"),), mapping=path), folder / "shop.akg")
    return load_catalog(folder / "shop.akg")


def test_the_mapping_names_the_domain_of_the_built_catalog(shop):
    assert built(shop, f"domain: products\n{MAPPING}").domain == "products"
    assert built(shop, MAPPING).domain is None
    assert load_catalog(shop / "items.csv").domain is None


def test_an_unknown_domain_in_a_mapping_is_an_error_with_its_line(shop):
    with pytest.raises(ConfigurationError, match=r"mapping.yaml:1: domain: there is no"):
        built(shop, f"domain: product\n{MAPPING}")


def plan(shop, *options):
    """Prompts that an audit of a server would send, and what the terminal says."""
    file = shop / "plan.jsonl"
    recipe = shop / "recipe.yaml"
    recipe.write_text(
        f"version: 1\nname: r\ndata: {shop}/shop.yaml\nseed: 0\n"
        "probes: {hallucination.catalog: {n_users: 6, k: 2}}\n"
    )
    said = CliRunner().invoke(
        app,
        ["audit", "openai:http://127.0.0.1:9/v1#m", "--recipe", str(recipe), "--dry-run",
         "--plan", str(file), "--allow-outside", *options],
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    return file.read_text(encoding="utf-8")


def test_requests_speak_of_the_chosen_domain_and_never_of_films_by_accident(shop):
    films = re.compile("movie|film|watch", re.IGNORECASE)
    neutral = plan(shop)
    assert "items" in neutral
    products = plan(shop, "--domain", "products")
    assert "products that I have not bought" in products
    assert not films.search(neutral + products)
    assert "movies" in plan(shop, "--domain", "movies")


def audited(shop, out, *options):
    recipe = shop / "recipe.yaml"
    recipe.write_text(
        f"version: 1\nname: r\ndata: {shop}/shop.yaml\nseed: 0\n"
        "probes: {hallucination.catalog: {n_users: 5, k: 2}}\n"
    )
    said = CliRunner().invoke(
        app,
        ["audit", "baseline:popularity", "--recipe", str(recipe), "--out", str(shop / out),
         "--allow-outside", "--quiet", *options],
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    result = json.loads((shop / out / "result.json").read_text(encoding="utf-8"))
    return read_manifest(shop / out)["fingerprints"], result["notes"]


def test_only_another_domain_than_movies_is_in_the_identity_and_misfits_are_noted(shop):
    built(shop, f"domain: products\nitems: {{id: id, title: title}}\n{MAPPING}")
    movies, notes = audited(shop, "a", "--domain", "movies", "--catalog", str(shop / "items.csv"))
    assert "domain" not in movies
    assert any("belong to the domain products, but the domain is movies" in note for note in notes)
    products, notes = audited(shop, "b", "--catalog", str(shop / "shop.akg"))
    assert "domain" in products
    assert not any(note.startswith("domain:") for note in notes)
