"""Labeled sentences on films and products, the catalogs that they are about, and their scores.

Each line of `claims_data/domains/SET.PART.tsv` has an item id, a sentence and its claims, separated
by semicolons: `+brand=Bosch` is supported, `-` contradicted and `?` unverifiable; `!` in front of
the predicate negates it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph, Predicate
from auditkit.catalog.items import CatalogItem
from auditkit.claims.reader import ClaimReader
from auditkit.claims.typed.quantities import quantities_in
from tests.support.labeled_claims import FREE_TEXT, film_catalog

FOLDER = Path(__file__).parent / "claims_data" / "domains"
VERDICTS = {"+": "supported", "-": "contradicted", "?": "unverifiable"}
WORLDS = {
    "brand": "functional",
    "category": "closed",
    "color": "closed",
    "material": "closed",
    "price": "functional",
    "weight": "functional",
    "size": "closed",
    "power": "functional",
    "capacity": "functional",
    "year": "functional",
    "availability": "functional",
    "country": "open",
}


class Key(NamedTuple):
    relation: str
    value: str
    negated: bool


@dataclass(frozen=True)
class Sentence:
    item_id: str
    text: str
    claims: dict[Key, str]


@cache
def catalog_of(name: str) -> Catalog:
    """The catalog of a set: `films_en`, `products_en` or `products_de`."""
    if name == "films_en":
        return film_catalog()
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    items = tuple(CatalogItem(row["id"], row["title"]) for row in rows)
    predicates = [
        Predicate(
            predicate,
            world,
            type="integer" if predicate == "year" else "string",
        )
        for predicate, world in WORLDS.items()
    ]
    triples = [
        (row["id"], name, value)
        for row in rows
        for name in WORLDS
        for value in row[name].split("|")
        if value
    ]

    def graph(_: object) -> KnowledgeGraph:
        return KnowledgeGraph.from_triples([i.id for i in items], predicates, triples)

    return Catalog(items, name=name, build_graph=graph, domain="products")


def sentences(name: str, part: str) -> list[Sentence]:
    """The sentences of one part, `dev` or `heldout`."""
    lines = (FOLDER / f"{name}.{part}.tsv").read_text(encoding="utf-8").splitlines()
    return [_sentence(line) for line in lines]


def _sentence(line: str) -> Sentence:
    item_id, text, labels = line.split("\t")
    return Sentence(item_id, text, dict(_label(label) for label in labels.split(";") if label))


def _label(label: str) -> tuple[Key, str]:
    relation, _, value = label[1:].partition("=")
    negated = relation.startswith("!")
    return key(relation.removeprefix("!"), value, negated), VERDICTS[label[0]]


def key(relation: str, value: str, negated: bool) -> Key:
    """A claim with its value in one spelling, so that `1.2 kg` and `1200 g` are equal."""
    if relation in FREE_TEXT:
        return Key(relation, "", negated)
    operator = value[:1] if value[:1] in "<>=" else ""
    quantity = next(quantities_in(value, "en"), None)
    if relation in ("price", "weight", "size", "power", "capacity") and quantity is not None:
        amounts = " x ".join(f"{amount:.6g}" for amount in quantity.amounts)
        unit = quantity.unit.dimension if quantity.unit else ""
        value = f"{operator}{amounts} {unit}"
    return Key(relation, value.casefold(), negated)


@dataclass
class SentenceScores:
    """Counts over one part: claims that were read and labeled, and only one of the two."""

    hits: int = 0
    extra: int = 0
    missed: int = 0
    wrong_verdicts: int = 0
    n_supported: int = 0
    supported_called_contradicted: int = 0
    faults: list[str] = field(default_factory=list, repr=False)

    @property
    def precision(self) -> float:
        return self.hits / (self.hits + self.extra)

    @property
    def recall(self) -> float:
        return self.hits / (self.hits + self.missed)

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f} of "
            f"{self.hits + self.missed} claims; wrong verdicts {self.wrong_verdicts}; supported "
            f"called contradicted {self.supported_called_contradicted} of {self.n_supported}"
        )


def score(name: str, part: str) -> SentenceScores:
    """Read a part and compare with its labels."""
    found, rows = SentenceScores(), sentences(name, part)
    reader = ClaimReader(catalog_of(name))
    for row, reading in zip(
        rows, reader.read([r.text for r in rows], [r.item_id for r in rows]), strict=True
    ):
        read = {key(c.relation, c.value, c.negated): c.verdict for c in reading.claims}
        hits, extra, missed = (
            read.keys() & row.claims.keys(),
            read.keys() - row.claims.keys(),
            row.claims.keys() - read.keys(),
        )
        wrong = [one for one in hits if read[one] != row.claims[one]]
        found.hits += len(hits)
        found.extra += len(extra)
        found.missed += len(missed)
        found.wrong_verdicts += len(wrong)
        accused = {one.relation for one in extra if read[one] == "contradicted"}
        for one, verdict in row.claims.items():
            if verdict == "supported":
                found.n_supported += 1
                misread = one in missed and one.relation in accused
                found.supported_called_contradicted += read.get(one) == "contradicted" or misread
        if extra or missed or wrong:
            found.faults.append(f"{row.text}\n  extra {extra}\n  missed {missed}\n  wrong {wrong}")
    return found
