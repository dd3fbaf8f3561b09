"""The labeled explanations, the catalog that they speak of, and how readings are scored."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph, Predicate
from auditkit.catalog.items import CatalogItem
from auditkit.claims.reader import ClaimReader

FOLDER = Path(__file__).parent / "claims_data"
CORE = ("genre", "year", "director")
FREE_TEXT = ("award", "based_on", "writer")  # their values are whatever words the text has
COLUMNS = {
    "year": Predicate("year", "functional", type="integer"),
    "genres": Predicate("genre", "closed"),
    "director": Predicate("director", "closed", type="entity"),
    "actors": Predicate("actor", type="entity"),
    "country": Predicate("country"),
    "language": Predicate("language"),
    "runtime": Predicate("runtime", "functional", type="integer"),
}


def film_catalog() -> Catalog:
    """151 films with directors, actors and so on, as `claims_data/README.md` describes them."""
    with (FOLDER / "films.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    items = tuple(
        CatalogItem(row["id"], row["title"], int(row["year"]), tuple(row["genres"].split("|")))
        for row in rows
    )
    triples = [
        (row["id"], predicate.name, value)
        for row in rows
        for column, predicate in COLUMNS.items()
        for value in row[column].split("|")
        if value
    ]

    def graph(_: object) -> KnowledgeGraph:
        return KnowledgeGraph.from_triples([i.id for i in items], list(COLUMNS.values()), triples)

    return Catalog(items, name="films", build_graph=graph, domain="movies")


@dataclass
class Scores:
    """Counts over one labeled part: found, invented and missed claims by relation."""

    hits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    extra: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    missed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    n_supported: int = 0
    supported_called_contradicted: int = 0
    wrong_verdicts: int = 0
    n_factual: int = 0
    n_unparsed: int = 0

    def precision(self, relations: tuple[str, ...]) -> float:
        """Share of found claims that are labeled."""
        hits = sum(self.hits[r] for r in relations)
        return hits / (hits + sum(self.extra[r] for r in relations))

    def recall(self, relations: tuple[str, ...]) -> float:
        """Share of labeled claims that are found."""
        hits = sum(self.hits[r] for r in relations)
        return hits / (hits + sum(self.missed[r] for r in relations))

    @property
    def relations(self) -> tuple[str, ...]:
        """All relations that occur."""
        return tuple(sorted({*self.hits, *self.extra, *self.missed}))

    def __str__(self) -> str:
        every = self.relations
        return (
            f"genre, year, director: P {self.precision(CORE):.3f} R {self.recall(CORE):.3f}; "
            f"all: P {self.precision(every):.3f} R {self.recall(every):.3f}; "
            f"supported called contradicted {self.supported_called_contradicted}"
            f"/{self.n_supported}; wrong verdicts {self.wrong_verdicts}/{sum(self.hits.values())}; "
            f"coverage {1 - self.n_unparsed / self.n_factual:.3f}"
        )


def labeled(part: str) -> list[dict]:
    """The texts of `development` or `unseen`."""
    lines = (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def score(reader: ClaimReader, texts: list[dict]) -> Scores:
    """Compare what is read with the labels; `same:...` is symmetric."""
    found = Scores()
    readings = reader.read([t["text"] for t in texts], [t["item_id"] for t in texts])
    for text, reading in zip(texts, readings, strict=True):
        found.n_factual += reading.n_factual
        found.n_unparsed += len(reading.unparsed)
        wanted = {
            _key(c["item_id"], c["relation"], c["value"], c["negated"]): c["verdict"]
            for c in text["claims"]
        }
        read = {}
        for claim in reading.claims:
            key = _key(*claim.stated)
            turned = (key[2], key[1], key[0], key[3])
            symmetric = claim.relation.startswith("same:") and turned in wanted
            read[turned if symmetric else key] = claim.verdict
        for key in wanted.keys() & read.keys():
            found.hits[key[1]] += 1
            found.wrong_verdicts += wanted[key] != read[key]
        for key in read.keys() - wanted.keys():
            found.extra[key[1]] += 1
        for key in wanted.keys() - read.keys():
            found.missed[key[1]] += 1
        # A supported claim that is missed, while the same words are read as a contradiction.
        contradicted = {
            (k[1], k[0]) for k in read.keys() - wanted.keys() if read[k] == "contradicted"
        }
        for key, verdict in wanted.items():
            if verdict == "supported":
                found.n_supported += 1
                wrong = read.get(key) == "contradicted"
                misread = key not in read and (key[1], key[0]) in contradicted
                found.supported_called_contradicted += wrong or misread
    return found


def _key(item: str, relation: str, value: str, negated: bool) -> tuple[str, str, str, bool]:
    return item, relation, "" if relation in FREE_TEXT else value, negated
