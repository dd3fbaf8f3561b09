"""A chat endpoint for the demonstration shop: it recommends from the products named in a prompt.

It writes lists as chat models do, with bold short names, prices and comments. A share of its items
can be invented, so that an audit has a fault to find.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

from auditkit.demo.shop import Product, Shop, words
from auditkit.seeding import generator

__all__ = ["ShopRecommender", "serve_shop"]

_COUNT = re.compile(r"(?<![\w-])(\d{1,2})(?!\d)(?=[^\n]{0,40}products?)", re.IGNORECASE)
_FACTS = re.compile(r"\bstate\b.{0,20}\bbrand\b", re.IGNORECASE)
_TERMS = {
    "brand": re.compile(r"of the brand (\w+)", re.IGNORECASE),
    "category": re.compile(r"of the category (\w+)", re.IGNORECASE),
    "color": re.compile(r"in the color (\w+)", re.IGNORECASE),
    "size": re.compile(r"in size (\w+(?: cm)?)", re.IGNORECASE),
}
_PRICE = re.compile(r"with a price (below|above) (\d+(?:\.\d+)?)", re.IGNORECASE)
_USUAL_PORT = 48_231
_USUAL_COUNT, _ENOUGH = 10, 200
_SHORT_NAMES = 0.5


class ShopRecommender:
    """Answers prompts about the products of a shop.

    Args:
        shop: provides the products and purchases.
        invented: share of listed items that are not in the shop.
    """

    def __init__(self, shop: Shop, *, invented: float = 0.0) -> None:
        self.products, self.invented = shop.products, invented
        self._by_name = {product.name: product for product in shop.products}
        self._bases = {product.base for product in shop.products}
        bought = Counter(sku for _, sku, _ in shop.events)
        most = max(bought.values(), default=1)
        self._fame = {product.sku: bought[product.sku] / most for product in shop.products}
        self._pairs: dict[str, Counter[str]] = {}
        self._by_sku = {product.sku: product for product in shop.products}
        histories: dict[str, list[str]] = {}
        for user, sku, _ in shop.events:
            histories.setdefault(user, []).append(sku)
        for listed in histories.values():
            for before, after in pairwise(listed[:-2]):  # the last two are held out
                self._pairs.setdefault(before, Counter())[after] += 1

    def answer(self, prompt: str) -> str:
        """Answer a prompt with a list or, if the prompt asks about one product, with facts about
        it.
        """
        asked = "\n".join(line for line in prompt.split("\n") if not line.startswith("- "))
        if _FACTS.search(asked):
            named = [product for name, product in self._by_name.items() if name in asked]
            return self._described(named[-1]) if named else "Which product do you mean?"
        blocks = [self._named(block) for block in re.split(r"\n(?!- )", prompt) if "\n- " in block]
        history = blocks[0] if blocks else []
        history = history or [p for name, p in self._by_name.items() if name in asked]
        candidates = blocks[1] if len(blocks) > 1 else list(self.products)
        count = _COUNT.search(asked)
        allowed = [product for product in candidates if _fits(product, asked)]
        k = int(count[1]) if count else _USUAL_COUNT
        return self._listed(history, allowed, k, with_reasons="sentence" in asked.casefold())

    def _named(self, lines: str) -> list[Product]:
        names = (line.removeprefix("- ") for line in lines.split("\n"))
        return [self._by_name[name] for name in names if name in self._by_name]

    def _described(self, product: Product) -> str:
        return (
            f"The {product.base} is made by {product.brand}. It comes in {product.color.lower()} "
            f"and costs ${product.price}."
        )

    def _listed(
        self, history: Sequence[Product], allowed: Sequence[Product], k: int, *, with_reasons: bool
    ) -> str:
        lines, comments = [], words()["comments"]
        for number, product in enumerate(self._ranked(history, allowed)[:k], start=1):
            # One way of writing each product, so that equal lists are equal texts.
            rng = generator(0, "answer", product.sku, *sorted(p.sku for p in history))
            name = product.base if rng.random() < _SHORT_NAMES else product.name
            if rng.random() < self.invented:
                name = self._invented(product, int(rng.integers(1_000, 9_999)))
            comment = comments[int(rng.integers(len(comments)))]
            lines.append(
                f"{number}. **{name}**: It is made by {product.brand} and costs ${product.price}."
                if with_reasons
                else f"{number}. **{name}** \u2013 ${product.price}, {comment}"
            )
        return "Here are my picks for you:\n\n" + "\n".join(lines)

    def _invented(self, product: Product, number: int) -> str:
        name = f"{product.brand} Zephyr {number} {product.category.capitalize()} Station"
        return name if name not in self._bases else f"{name} Q"

    def _ranked(self, history: Sequence[Product], allowed: Sequence[Product]) -> list[Product]:
        """Rank the allowed products, one variant of each: first the same brand and category, then
        the category, by popularity; products that are often bought next get a higher rank.
        """
        own = {product.base for product in history}
        brands = {(product.category, product.brand) for product in history}
        categories = Counter(product.category for product in history)
        near = [product for product in allowed if product.category in categories]
        scores = {
            product.sku: 3.0 * ((product.category, product.brand) in brands)
            + categories[product.category] / max(1, len(history))
            + self._fame[product.sku]
            for product in (near if len(near) >= _ENOUGH else allowed)
            if product.base not in own
        }
        for product in history:
            for sku, count in self._pairs.get(product.sku, Counter()).items():
                if sku in scores:
                    scores[sku] += count
        ranked = sorted(scores, key=lambda sku: (-scores[sku], sku))
        found: dict[str, Product] = {}
        for sku in ranked:
            found.setdefault(self._by_sku[sku].base, self._by_sku[sku])
        return list(found.values())


def _fits(product: Product, asked: str) -> bool:
    """Whether a product satisfies the constraints in the words of a request."""
    for name, pattern in _TERMS.items():
        wanted = pattern.search(asked)
        if wanted and wanted[1].casefold() != getattr(product, name).casefold():
            return False
    prices = _PRICE.findall(asked)
    return all(
        float(product.price) < float(limit)
        if word == "below"
        else float(product.price) > float(limit)
        for word, limit in prices
    )


def _bound(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Start a server at the usual port, so that a repeated audit has the same target; at a free
    port if the usual port is taken.
    """
    try:
        return ThreadingHTTPServer(("127.0.0.1", _USUAL_PORT), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


@contextmanager
def serve_shop(recommender: ShopRecommender) -> Iterator[str]:
    """Serve chat completions on this machine, and yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chat = self.path.endswith("/chat/completions")
            prompt = body["messages"][-1]["content"] if chat else None
            text = "" if prompt is None else recommender.answer(prompt)
            answer = {
                "choices": [
                    {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                ],
                "usage": {
                    "prompt_tokens": len(prompt or "") // 4,
                    "completion_tokens": len(text) // 4,
                },
            }
            written = json.dumps(answer if chat else {"error": {"message": "no such route"}})
            self.send_response(200 if chat else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(written.encode())))
            self.end_headers()
            self.wfile.write(written.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    server = _bound(Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
