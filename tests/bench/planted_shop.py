"""Reported and planted share of invented items on a large shop, in five ways of writing.

For each way and share, lists of ten items are parsed and linked as an audit does; the largest
difference between the reported rate and the planted share of the same lists is printed, and how
often the interval covers the share. Run: python tests/bench/planted_shop.py [--items N] [--seeds N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from auditkit import load_catalog
from auditkit.catalog.building.build import Inputs, build_catalog
from auditkit.demo.shop import make_shop, words, write_shop
from auditkit.probes.hallucination.item_checks import item_rates
from auditkit.recommenders.execution.readable_form import unreadable_form
from auditkit.recommenders.execution.response_checks import link_items
from auditkit.recommenders.prompting.answers import read_list
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Response

WAYS = ("whole titles", "bold and price", "plain and comment", "JSON of SKUs", "SKU and name")
SHARES = (0.0, 0.02, 0.1, 0.5)
K = 10
COMMENTS = ("great sound", "ideal für den Alltag", "sehr beliebt", "Tolle Qualität", "Bestseller")


def invented(shop, known, rng):
    """A name in the words of the shop, with a variant or without, that the shop does not have."""
    while True:
        kinds = words()["categories"]
        brand = shop.products[rng.integers(len(shop.products))].brand
        line = shop.products[rng.integers(len(shop.products))].base.split()[1]
        kind = rng.choice(kinds[rng.choice(list(kinds))])
        series = rng.choice(["", "Ultra", "X9", str(rng.integers(1000, 9999))])
        base = " ".join(word for word in (brand, line, str(series), str(kind)) if word)
        if base not in known:
            return base + str(rng.choice(["", ", Black", " (Blue, M)"]))


def written(way, picks, rng):
    """An answer that lists (sku, whole name, short name) in one of the ways."""
    short = [base if rng.random() < 0.6 else name for _, name, base in picks]
    if way == WAYS[0]:
        return "\n".join(f"{n}. {name}" for n, (_, name, _) in enumerate(picks, 1))
    if way == WAYS[1]:
        lines = [f"**{t}** \u2013 €{rng.integers(5, 300)}, {rng.choice(COMMENTS)}" for t in short]
        return "Here you go:\n\n" + "\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1))
    if way == WAYS[2]:
        return "\n".join(f"- {t} \u2013 {rng.choice(COMMENTS)}" for t in short)
    if way == WAYS[3]:
        return json.dumps({"recommendations": [{"sku": sku, "why": "fits"} for sku, *_ in picks]})
    return json.dumps({"items": [{"sku": sku, "name": base} for sku, _, base in picks]})


def measured(catalog, shop, known, way, share, seed, n_lists=60):
    """Reported estimate, planted share, and whether the form was called unreadable, of one seed."""
    rng = np.random.default_rng([seed, WAYS.index(way), int(1000 * share)])
    rates, planted, lists = [], [], []
    for _ in range(n_lists):
        picks = []
        for _ in range(K):
            if rng.random() < share:
                name = invented(shop, known, rng)
                picks.append((f"SKU-{rng.integers(500_000, 999_999)}", name, name))
            else:
                product = shop.products[rng.integers(len(shop.products))]
                picks.append((product.sku, product.name, product.base))
        answer = read_list(written(way, picks, rng), k=K)
        items = link_items(Response(request_id="r", status="ok", items=answer.items), catalog).items
        assert len(items) == K
        lists.append(items)
        rates.append(
            item_rates(items, catalog=catalog, history=(), wanted=K)["out_of_catalog_rate"]
        )
        known_skus = catalog.index
        planted.append(sum(sku not in known_skus for sku, *_ in picks) / K)
    found = bootstrap_mean(
        rates, rng=rng, unit="fraction", direction="lower", limits=(0, 1)
    ).estimate
    return found, float(np.mean(planted)), bool(unreadable_form(lists, catalog))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=200_000)
    options.add_argument("--seeds", type=int, default=5)
    given = options.parse_args()
    shop = make_shop(n_items=given.items, n_users=100)
    known = {product.base for product in shop.products}
    with tempfile.TemporaryDirectory() as folder:
        write_shop(shop, Path(folder))
        inputs = Inputs(items=Path(folder) / "products.csv", mapping=Path(folder) / "catalog.yaml")
        started = time.process_time()
        build_catalog(inputs, Path(folder) / "shop.catalog")
        catalog = load_catalog(Path(folder) / "shop.catalog")
        print(f"{given.items:,} products built in {time.process_time() - started:.0f} CPU s")
        for way in WAYS:
            for share in SHARES:
                runs = [measured(catalog, shop, known, way, share, s) for s in range(given.seeds)]
                off = max(abs(found.value - planted) for found, planted, _ in runs)
                covered = sum(found.low <= share <= found.high for found, *_ in runs)
                refused = sum(unreadable for *_, unreadable in runs)
                print(
                    f"{way:18} share {share:4.2f}: at most {off:.4f} off, covered {covered} of "
                    f"{given.seeds}, called unreadable {refused}"
                )


if __name__ == "__main__":
    main()
