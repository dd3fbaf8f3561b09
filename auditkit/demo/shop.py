"""Generate a small shop: products with variants, users with country and plan, and purchases.

Users prefer two categories and a few brands, so that a recommender which reads their history is
better than the most popular products. The tables are the same for the same seed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from auditkit.seeding import generator

__all__ = ["Product", "Shop", "make_shop", "write_shop"]

_FIRST_SKU = 10_000
_START, _SECONDS = 1_700_000_000, 31_536_000  # purchases of one year
_FROM_TASTE, _SAME_LINE = 0.85, 0.5
_FEWEST, _MOST = 6, 20  # purchases of a user
_DATA = """version: 1
name: demo-shop
interactions: {file: events.csv, user: user, item: sku, timestamp: time}
items: {file: products.csv, id: sku, title: name}
users: {file: users.csv, id: user, attributes: [country, plan]}
"""
_MAPPING = """version: 1
domain: products
source: {name: demo-shop, license: CC0 1.0}
items: {id: sku, title: name, variant: [color, size]}
predicates:
  brand: {column: brand, type: entity, world: closed}
  category: {column: category, world: closed}
  price: {column: price, type: real, world: functional}
"""


@dataclass(frozen=True)
class Product:
    """One item; `base` is its name without color and size."""

    sku: str
    name: str
    base: str
    brand: str
    category: str
    color: str
    size: str
    price: str


@dataclass(frozen=True)
class Shop:
    """The tables of a generated shop.

    Attributes:
        users: (id, country, plan) of each user. events: (user, SKU, time in seconds) of each
            purchase.
    """

    products: tuple[Product, ...]
    users: tuple[tuple[str, str, str], ...]
    events: tuple[tuple[str, str, int], ...]


@cache
def words() -> dict[str, Any]:
    """Load the words of which names of products and brands are composed."""
    text = (files("auditkit.demo") / "shop_words.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def make_shop(*, n_items: int = 5_000, n_users: int = 1_500, seed: int = 0) -> Shop:
    """Generate products, users and purchases.

    Args:
        n_items: number of products, counting each variant. n_users: number of users.
    """
    rng = generator(seed, "demo shop", str(n_items), str(n_users))
    products = _products(n_items, rng)
    given = words()
    users = tuple(
        (
            f"u{n}",
            str(rng.choice(given["countries"])),
            str(rng.choice(given["plans"], p=(0.7, 0.3))),
        )
        for n in range(n_users)
    )
    return Shop(products, users, tuple(_events(products, [user for user, *_ in users], rng)))


def _products(n_items: int, rng: np.random.Generator) -> tuple[Product, ...]:
    given, found, taken = words(), list[Product](), set[str]()
    brands = _names(given["syllables"], 60, rng)
    lines = _names(given["syllables"], 120, rng)
    while len(found) < n_items:
        category = str(rng.choice(list(given["categories"])))
        kind = str(rng.choice(given["categories"][category]))
        series = str(rng.choice(given["series"]))
        brand, line = str(rng.choice(brands)), str(rng.choice(lines))
        base = " ".join(word for word in (brand, line, series, kind) if word)
        if base in taken:
            continue
        taken.add(base)
        price = f"{rng.integers(9, 400)}.{rng.choice(['00', '49', '90', '99'])}"
        sizes = given["sizes"].get(category, [""])
        for color in rng.choice(given["colors"], size=int(rng.integers(1, 3)), replace=False):
            for size in rng.choice(sizes, size=min(len(sizes), 2), replace=False):
                values = ", ".join(value for value in (str(color), str(size)) if value)
                found.append(
                    Product(
                        f"SKU-{_FIRST_SKU + len(found)}",
                        f"{base}, {values}",
                        base,
                        brand,
                        category,
                        str(color),
                        str(size),
                        price,
                    )
                )
    return tuple(found[:n_items])


def _names(syllables: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    pairs = [f"{a}{b}".capitalize() for a in syllables for b in syllables if a != b]
    return [str(name) for name in rng.choice(pairs, size=n, replace=False)]


def _events(
    products: Sequence[Product], users: Iterable[str], rng: np.random.Generator
) -> Iterable[tuple[str, str, int]]:
    """Purchases: mostly from two categories, and often several products of one brand in turn."""
    rows = {name: [i for i, p in enumerate(products) if p.category == name] for name in
            dict.fromkeys(p.category for p in products)}  # fmt: skip
    fame = {name: _popularity(len(of)) for name, of in rows.items()}
    mates: dict[tuple[str, str], list[int]] = {}
    for i, product in enumerate(products):
        mates.setdefault((product.category, product.brand), []).append(i)
    categories = sorted(rows)
    for user in users:
        tastes = rng.choice(categories, size=2, replace=False)
        times = np.sort(rng.integers(_START, _START + _SECONDS, int(rng.integers(_FEWEST, _MOST))))
        bought, last = set[int](), -1
        for time in times.tolist():
            taste = str(rng.choice(tastes if rng.random() < _FROM_TASTE else categories))
            near = [] if last < 0 else mates[(products[last].category, products[last].brand)]
            near = [i for i in near if i not in bought]
            if near and rng.random() < _SAME_LINE:
                chosen = int(rng.choice(near))
            else:
                chosen = int(rng.choice(rows[taste], p=fame[taste]))
            if chosen not in bought:
                bought.add(chosen)
                last = chosen
                yield user, products[chosen].sku, time


def _popularity(n: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, n + 1) ** 0.7
    return np.asarray(weights / weights.sum())


def write_shop(shop: Shop, folder: Path) -> Path:
    """Write the tables, the description of the data `shop.yaml` and the mapping `catalog.yaml`.

    Returns:
        Path of `shop.yaml`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "products.csv",
        ("sku", "name", "brand", "category", "color", "size", "price"),
        ((p.sku, p.name, p.brand, p.category, p.color, p.size, p.price) for p in shop.products),
    )
    _write(folder / "users.csv", ("user", "country", "plan"), shop.users)
    _write(folder / "events.csv", ("user", "sku", "time"), shop.events)
    (folder / "catalog.yaml").write_text(_MAPPING, encoding="utf-8")
    (folder / "shop.yaml").write_text(_DATA, encoding="utf-8")
    return folder / "shop.yaml"


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
