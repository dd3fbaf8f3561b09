"""The shop of the demonstration: seeded tables, and an endpoint that an audit can judge."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from auditkit import load_catalog
from auditkit.catalog.building.build import Inputs, build_catalog
from auditkit.cli import main
from auditkit.demo.shop import make_shop, write_shop
from auditkit.demo.shop_server import ShopRecommender, serve_shop
from auditkit.evidence.manifest import read_manifest
from auditkit.evidence.run_log import read_log
from auditkit.recommenders.prompting.parsing import parse_list
from auditkit.types import AuditResult

RECIPE = """version: 1
name: shop
probes:
  utility.ranking: {}
  hallucination.catalog: {n_users: 60}
  hallucination.claims: {n_items: 10}
"""
RATE = "hallucination.catalog.out_of_catalog_rate"


@pytest.fixture(scope="module")
def shop():
    return make_shop(n_items=800, n_users=120)


@pytest.fixture(scope="module")
def folder(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    write_shop(shop, folder)
    inputs = Inputs(items=folder / "products.csv", mapping=folder / "catalog.yaml")
    build_catalog(inputs, folder / "shop.akg")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


def asked(shop, user):
    """A user's history as a prompt, without the last purchase, and that purchase."""
    names = {product.sku: product.name for product in shop.products}
    bought = [names[sku] for who, sku, _ in shop.events if who == user]
    return "I bought:\n" + "\n".join(f"- {name}" for name in bought[:-1]), bought[-1]


def test_the_same_seed_gives_the_same_shop(shop):
    assert make_shop(n_items=800, n_users=120) == shop
    assert make_shop(n_items=800, n_users=120, seed=1) != shop
    assert len({product.sku for product in shop.products}) == len(shop.products) == 800


def test_variants_share_a_base_and_are_declared(shop, folder):
    assert max(Counter(product.base for product in shop.products).values()) > 1
    catalog = load_catalog(folder / "shop.akg")
    assert catalog.variants == ("color", "size")
    assert catalog.domain == "products"


def test_a_history_is_answered_better_than_by_popularity(shop):
    recommender = ShopRecommender(shop)
    famous = {sku for sku, _ in Counter(sku for _, sku, _ in shop.events).most_common(10)}
    of_name = {product.name: product for product in shop.products}
    hits = popular = 0
    for user, *_ in shop.users:
        prompt, last = asked(shop, user)
        answer = recommender.answer(f"{prompt}\nRecommend 10 products.")
        listed = parse_list(answer, k=10).titles
        hits += any(of_name[last].base in title for title in listed)
        popular += of_name[last].sku in famous
    assert hits > popular + 10


def test_constraints_and_candidates_are_kept(shop):
    recommender = ShopRecommender(shop)
    prompt, _ = asked(shop, "u0")
    brand = Counter(product.brand for product in shop.products).most_common(1)[0][0]
    text = recommender.answer(f"{prompt}\nRecommend 5 products, all of them of the brand {brand}.")
    assert all(title.startswith(brand) for title in parse_list(text, k=5).titles)
    chosen = [product.name for product in shop.products[::100]]
    listed = "\n".join(f"- {name}" for name in chosen)
    text = recommender.answer(
        f"{prompt}\nChoose the 3 products from the list:\n{listed}\nNothing else."
    )
    titles = parse_list(text, k=3).titles
    assert len(titles) == 3
    assert all(any(name.startswith(title) for name in chosen) for title in titles)


def test_the_endpoint_speaks_the_protocol(shop):
    with serve_shop(ShopRecommender(shop)) as url:
        body = {"messages": [{"role": "user", "content": "Recommend 3 products."}]}
        answer = httpx.post(f"{url}/chat/completions", json=body).json()
        assert len(parse_list(answer["choices"][0]["message"]["content"], k=3).titles) == 3
        assert httpx.post(f"{url}/completions", json={"prompt": "x"}).status_code == 404


def test_an_audit_finds_the_planted_share_within_its_interval(shop, folder, tmp_path):
    out = tmp_path / "run"
    with serve_shop(ShopRecommender(shop, invented=0.2)) as url, pytest.raises(SystemExit):
        main(["audit", f"openai:{url}#shop", "--recipe", str(folder / "recipe.yaml"), "--data",
              str(folder / "shop.yaml"), "--catalog", str(folder / "shop.akg"), "--out", str(out),
              "--quiet"])  # fmt: skip
    result = AuditResult.read(out)
    found = {(f.metric, f.group): f for f in result.findings}
    rate = found[RATE, "all"].estimate
    assert rate.low <= 0.2 <= rate.high
    assert found["utility.ranking.hr@10", "all"].estimate.value > 0
    assert found["hallucination.catalog.ambiguous_variant_rate", "all"].estimate.value > 0.1
    log, _ = read_log(out, result.run_key)
    prompts = [record["request"]["prompt"] for record in log]
    assert all("product" in prompt and "movie" not in prompt for prompt in prompts)
    assert read_manifest(out)["status"] == "complete"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_of_the_shop_ends_with_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--domain", "products", "--quiet"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "FAIL          invented-items" in shown
    assert "PASS          gender-gap[gender]" in shown
    assert shown.splitlines()[-1] == str(tmp_path / "reports" / "demo-products" / "report.html")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sound_shop_passes_the_shipped_policy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shop = make_shop()
    write_shop(shop, tmp_path / "data")
    inputs = Inputs(
        items=tmp_path / "data" / "products.csv", mapping=tmp_path / "data" / "catalog.yaml"
    )
    build_catalog(inputs, tmp_path / "shop.akg")
    with serve_shop(ShopRecommender(shop)) as url, pytest.raises(SystemExit) as ended:
        main(["audit", f"openai:{url}#shop", "--data", "data/shop.yaml", "--catalog", "shop.akg",
              "--policy", "release", "--out", "run", "--quiet"])  # fmt: skip
    assert ended.value.code == 0, capsys.readouterr().out
