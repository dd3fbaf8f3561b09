"""Claims about a product that a text names without its variant."""

from __future__ import annotations

import pytest

from auditkit import load_catalog
from auditkit.catalog.building.build import Inputs, build_catalog
from auditkit.claims.reader import ClaimReader

SHOP = """sku,name,brand,color,size,price
SKU-10001,"Nordal Trail Jacket, Blue, M",Nordal,Blue,M,99.00
SKU-10002,"Nordal Trail Jacket, Blue, L",Nordal,Blue,L,109.00
SKU-10003,"Nordal Trail Jacket, Red, M",Nordal,Red,M,99.00
SKU-10004,"Korvo Town Bag, Green",Korvo,Green,,59.00
"""
MAPPING = """domain: products
items: {id: sku, title: name, variant: [color, size]}
predicates:
  brand: {column: brand, type: entity, world: closed}
  color: {column: color, world: closed}
  price: {column: price, type: real, world: functional}
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.csv").write_text(SHOP, encoding="utf-8")
    (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")
    built = folder / "shop.akg"
    build_catalog(Inputs(items=folder / "shop.csv", mapping=folder / "map.yaml"), built)
    return ClaimReader(load_catalog(built))


@pytest.mark.parametrize(
    ("text", "relation", "verdict"),
    [
        ("Nordal Trail Jacket: It is made by Nordal.", "brand", "supported"),
        ("Nordal Trail Jacket: It is made by Korvo.", "brand", "contradicted"),
        ("Nordal Trail Jacket: It costs $99.", "price", "supported"),
        ("Nordal Trail Jacket: It costs $109.", "price", "supported"),
        ("Nordal Trail Jacket: It costs $59.", "price", "contradicted"),
        ("Nordal Trail Jacket: It comes in red.", "color", "supported"),
        ("Nordal Trail Jacket: It comes in green.", "color", "contradicted"),
        ("Nordal Trail Jacket, Blue, L: It costs $99.", "price", "contradicted"),
        ("Korvo Town Bag: It costs $59.", "price", "supported"),
    ],
)
def test_a_claim_about_a_product_holds_if_a_variant_has_the_value(reader, text, relation, verdict):
    (reading,) = reader.read([text])
    assert [claim.verdict for claim in reading.claims if claim.relation == relation] == [verdict]


def test_words_of_a_product_in_lower_case_text_name_no_product(reader):
    (reading,) = reader.read(["A town bag should cost $20 at most, and Korvo makes good ones."])
    assert not reading.claims
