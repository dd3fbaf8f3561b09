"""Products with variants, duplicate titles, short titles and ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit import load_catalog
from auditkit.catalog.building.build import Inputs, build_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.items import CatalogItem
from auditkit.catalog.linking.item_codes import coded, is_code
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker

SHOP = """sku,name,brand,colour,size,price
SKU-10001,"Nordal Trail Jacket, Blue, M",Nordal,Blue,M,99
SKU-10002,"Nordal Trail Jacket, Blue, L",Nordal,Blue,L,99
SKU-10003,"Nordal Trail Jacket, Red, M",Nordal,Red,M,99
SKU-10004,"Sony WH-1000XM4 Wireless Headphones, Black",Sony,Black,,299
SKU-10005,"Blue Yeti Microphone, Silver",Blue,Silver,,100
SKU-10006,"Blue Yeti Microphone, Silver",Blue,Silver,,105
SKU-10007,"Tefal Pan (28 cm, Black)",Tefal,Black,28 cm,40
SKU-10008,"Tefal Pan (24 cm, Black)",Tefal,Black,24 cm,35
SKU-10009,Anker Cable,Anker,,,9
SKU-10010,Laufschuh Pegasus,Nike,Rot,43,90
SKU-10011,Laufschuh Pegasus,Nike,Rot,44,90
SKU-10012,Voltix Orbit Navy Tablet 64GB,Voltix,Navy Blue,64 GB,300
SKU-10013,Voltix Orbit Space Gray Tablet 128GB,Voltix,Space Gray,128 GB,350
"""
MAPPING = """items: {id: sku, title: name, variant: [colour, size]}
predicates:
  brand: {column: brand, type: entity}
  shade: {column: colour}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.csv").write_text(SHOP, encoding="utf-8")
    (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")
    build_catalog(
        Inputs(items=folder / "shop.csv", mapping=folder / "map.yaml"), folder / "shop.catalog"
    )
    return load_catalog(folder / "shop.catalog")


LINKS = [
    ("Nordal Trail Jacket, Blue, M", "exact", "SKU-10001"),
    ("Nordal Trail Jacket", "ambiguous_variant", None),
    ("Nordal Trail Jacket Blue", "ambiguous_variant", None),
    ("Nordal Trail Jacket in Blue, size L", "variant", "SKU-10002"),
    ("Nordal Trail Jacket (Red)", "variant", "SKU-10003"),
    ("Nordal Trail Jacket, Red, L", "near_miss", None),
    ("Nordal Trail Jacket, Blue, XL", "near_miss", None),
    ("Nordal Trail Jacket Pro", "near_miss", None),
    ("Nordal Trail", "ambiguous_variant", None),
    ("Sony WH-1000XM4", "variant", "SKU-10004"),
    ("Sony WH-1000XM5", "none", None),
    ("Blue Yeti Microphone", "duplicate_title", "SKU-10005"),
    ("Blue Yeti Microphone, Silver", "duplicate_title", "SKU-10005"),
    ("Tefal Pan", "ambiguous_variant", None),
    ("Tefal Pan 24 cm", "variant", "SKU-10008"),
    ("Tefal Pan 30 cm", "near_miss", None),
    ("Laufschuh Pegasus", "ambiguous_variant", None),
    ("Laufschuh Pegasus, Größe 44", "variant", "SKU-10011"),
    ("Laufschuh Pegasus Gr. 45", "near_miss", None),
    ("Anker Cable, 2400W", "near_miss", None),
    ("Anker Cable - ZK-9000", "near_miss", None),
    ("Anker Cable (990ml)", "near_miss", None),
    ("Nordal Trail Jacket (Blue, Large)", "variant", "SKU-10002"),
    ("Trail Jacket Red", "variant", "SKU-10003"),
    ("Tefal Pan, 28cm", "variant", "SKU-10007"),
    ("Voltix Orbit Tablet", "ambiguous_variant", None),
    ("Voltix Orbit Tablet 64GB", "variant", "SKU-10012"),
    ("Orbit Tablet, Space Grey", "variant", "SKU-10013"),
    ("Voltix Orbit Tablet 32 GB", "near_miss", None),
    ("[3] Anker Cable", "exact", "SKU-10009"),
    ("Anker Cabel", "typo", "SKU-10009"),
    ("Anker Toaster", "none", None),
    ("SKU-10004", "id", "SKU-10004"),
    ("sku-10004", "id", "SKU-10004"),
    ("SKU-10009: Anker Cable", "id", "SKU-10009"),
    ("[SKU-10009] Anker Kabel schwarz", "id", "SKU-10009"),
    ("Anker Cable (SKU-10009)", "id", "SKU-10009"),
    ("Artikelnummer: SKU-10009", "id", "SKU-10009"),
    ("SKU-10009: Sony WH-1000XM4", "ambiguous", None),
    ("SKU-99999", "none", None),
    ("SKU-99999: Anker Cable", "none", None),
    ("4006381333931: Anker Cable", "exact", "SKU-10009"),
]


@pytest.mark.parametrize(("title", "reason", "item_id"), LINKS)
def test_products_are_linked_with_a_reason(shop, title, reason, item_id):
    (link,) = shop.link([title])
    assert (link.reason, link.item_id) == (reason, item_id)


def test_variants_come_from_the_mapping_and_a_stored_index_gives_the_same_links(shop):
    assert shop.variants == ("shade", "size")
    titles = [title for title, *_ in LINKS]
    items = [shop.items[row] for row in range(len(shop))]
    in_memory = Catalog(items, build_graph=lambda _: shop.graph, variants=shop.variants)
    assert in_memory.link(titles) == shop.link(titles)


def test_usual_column_names_need_no_mapping(tmp_path):
    (tmp_path / "shop.csv").write_text(SHOP.replace("sku,name", "id,title"), encoding="utf-8")
    catalog = load_catalog(tmp_path / "shop.csv")
    assert catalog.variants == ("colour", "size")
    assert catalog.link(["Nordal Trail Jacket"])[0].reason == "ambiguous_variant"


def test_without_variants_a_shortened_title_is_another_title():
    titles = ["Alien: Resurrection", "Sony WH-1000XM4 Wireless Headphones, Black"]
    linker = TitleLinker(["1", "2"], TitleIndex.build(titles, [1997, None]))
    assert [link.item_id for link in linker.link(["Sony WH-1000XM4", "Resurrection"])] == [None] * 2


words = st.sampled_from(["Nordal", "Trail", "Jacket", "Pan", "Lamp", "Desk", "Sony", "X9", "700"])
colors = st.sampled_from(["Blue", "Red", "Dark Blue"])


@given(st.lists(st.tuples(st.lists(words, min_size=2, max_size=4), colors), min_size=1, max_size=8))
def test_every_whole_title_and_every_base_is_in_the_catalog(products):
    titles = [f"{' '.join(base)}, {color}" for base, color in products]
    values = {row: color for row, (_, color) in enumerate(products)}
    index = TitleIndex.build(titles, [None] * len(titles), variants=[values])
    linker = TitleLinker([str(n) for n in range(len(titles))], index)
    for link in linker.link(titles):
        assert titles[int(link.item_id)] == link.title
    known = {"exact", "duplicate_title", "variant", "ambiguous_variant", "ambiguous", "word_order"}
    assert {link.reason for link in linker.link([" ".join(base) for base, _ in products])} <= known


@pytest.mark.parametrize(
    ("text", "code"),
    [("B0863TXGM3", True), ("123456", True), ("1984", False), ("300", False), ("WH-1000XM4", True),
     ("Heat", False), ("12 34", False)],
)  # fmt: skip
def test_codes_have_digits_and_letters_or_many_digits(text, code):
    assert is_code(text) is code or " " in text


def test_short_numbers_are_ids_only_after_a_word():
    ids = {"50": 0, "300": 1}
    assert coded("300", ids) == []
    assert coded("id: 300", ids)[0].item_id == "300"
    assert coded("Apollo 50", ids) == []


def test_ids_of_films_never_win_over_titles():
    items = [CatalogItem("300", "Air Force One", 1997), CatalogItem("2", "1984", 1984)]
    catalog = Catalog(items)
    assert [link.item_id for link in catalog.link(["300", "1984"])] == [None, "2"]
