"""The Freebase triples that travel with MovieLens-100k, attached to the right films.

The wheel's `ml-100k.link` is keyed by MovieLens-1M ids, so a plain join on item_id gives nearly
every film another film's director (also reported as RecSysDatasets#130). A table of id pairs
(`ml1m_to_ml100k.csv`) re-keys it, and the agreement of catalog genres with graph genres is checked
before any triple is used: a link that agrees no better than twice a shuffled one is refused.
Entities have ids and no names, so the predicates carry the prefix `fb:` and can never contradict a
name.

Source: KB4Rec (Zhao et al. 2019), files as in RecBole 1.2.1; id pairs by title and year.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auditkit.catalog.catalog import ITEM_PREDICATES, CatalogItem, item_triples
from auditkit.catalog.graph import KnowledgeGraph, Predicate
from auditkit.errors import CatalogError

__all__ = ["Agreement", "film_graph", "link_agreement", "read_crosswalk"]

# Most relations come in both directions; we keep the one whose head is the film.
PREDICATES: Mapping[str, Predicate] = {
    "film.film.directed_by": Predicate("fb:director", "closed", labelled=False),
    "film.film.actor": Predicate("fb:actor", labelled=False),
    "film.film.written_by": Predicate("fb:writer", labelled=False),
    "film.film.produced_by": Predicate("fb:producer", labelled=False),
    "film.film.cinematography": Predicate("fb:cinematographer", labelled=False),
    "film.film.production_companies": Predicate("fb:production_company", labelled=False),
    "film.film.genre": Predicate("fb:genre", labelled=False),
    "film.film.language": Predicate("fb:language", labelled=False),
    "film.film.country": Predicate("fb:country", labelled=False),
    "film.film.rating": Predicate("fb:content_rating", labelled=False),
    "film.film.subjects": Predicate("fb:subject", labelled=False),
    "film.film.award_won": Predicate("fb:award_won", labelled=False),
    "film.film.award_nomination": Predicate("fb:award_nomination", labelled=False),
    "film.film.sequel": Predicate("fb:sequel", labelled=False),
    "film.film.prequel": Predicate("fb:prequel", labelled=False),
}
GENRE_RELATION = "film.film.genre"
BETWEEN_FILMS = frozenset({"film.film.sequel", "film.film.prequel"})
MIN_GENRE_ITEMS = 20
N_SHUFFLES = 5
LEAST_RATIO = 2.0


class Agreement(NamedTuple):
    """Mean best Dice overlap of catalog and graph genres, for the link and for shuffled ones."""

    link: float
    shuffled: float


def read_crosswalk() -> tuple[tuple[str, str], ...]:
    """Pairs (MovieLens-1M id, MovieLens-100k id); one 1M id may serve two twins."""
    text = (files("auditkit.catalog") / "ml1m_to_ml100k.csv").read_text(encoding="utf-8")
    return tuple((row["ml1m_id"], row["ml100k_id"]) for row in csv.DictReader(text.splitlines()))


def film_graph(
    items: Sequence[CatalogItem],
    *,
    folder: Path,
    crosswalk: Iterable[tuple[str, str]] | None = None,
) -> KnowledgeGraph:
    """Build the knowledge graph of MovieLens-100k.

    Args:
        items: the catalog's items.
        folder: with `ml-100k.kg` and `ml-100k.link`.
        crosswalk: pairs (id in `.link`, item id); by default those that auditkit ships.

    Returns:
        Year, decade and genre, and the Freebase triples if the link passes the agreement check;
        `graph.link` and `graph.warnings` say what became of it.
    """
    entity_of_link = {row[0]: row[1] for row in _table(folder / "ml-100k.link", 2)}
    pairs = read_crosswalk() if crosswalk is None else crosswalk
    entity_of = {
        item: entity_of_link[foreign] for foreign, item in pairs if foreign in entity_of_link
    }
    kg = [(h, r, t) for h, r, t in _table(folder / "ml-100k.kg", 3) if r in PREDICATES]
    item_ids = [item.id for item in items]
    entity_of = {item: entity_of[item] for item in item_ids if item in entity_of}
    own = item_triples(items)
    agreement = link_agreement(items, entity_of, [(h, t) for h, r, t in kg if r == GENRE_RELATION])
    if agreement is None:
        warning = "the Freebase link could not be checked: catalog or graph has no genres"
    elif agreement.link < LEAST_RATIO * agreement.shuffled:
        warning = (
            f"the Freebase link is refused: genre agreement {agreement.link:.3f}, shuffled "
            f"{agreement.shuffled:.3f}; "
            "its triples are left out"
        )
        return KnowledgeGraph(item_ids, ITEM_PREDICATES, own, warnings=(warning,), link="refused")
    items_of: dict[str, list[str]] = {}
    for item, entity in entity_of.items():
        items_of.setdefault(entity, []).append(item)
    values: list[tuple[str, str, str]] = []
    between: list[tuple[str, str, str]] = []
    for head, relation, tail in kg:
        for item in items_of.get(head, ()):
            name = PREDICATES[relation].name
            if relation in BETWEEN_FILMS and tail in items_of:
                between.extend((item, name, other) for other in items_of[tail])
            else:
                values.append((item, name, tail))
    return KnowledgeGraph(
        item_ids,
        (*ITEM_PREDICATES, *PREDICATES.values()),
        own + values,
        item_triples=between,
        warnings=() if agreement else (warning,),
        link="checked" if agreement else "unchecked",
    )


def link_agreement(
    items: Sequence[CatalogItem],
    entity_of: Mapping[str, str],
    graph_genres: Iterable[tuple[str, str]],
) -> Agreement | None:
    """How well do the genres of linked entities fit those of the catalog, beside shuffled links?

    Mean over catalog genres with at least 20 linked items of the largest Dice overlap 2|A n B| /
    (|A| + |B|), A the items of the catalog genre, B those of a graph genre. Range [0, 1]; a right
    link is far above a shuffled one.

    Args:
        items: the catalog's items.
        entity_of: entity by item id.
        graph_genres: (entity, genre) pairs.

    Returns:
        The agreement of the link and the mean over 5 shuffles; None if either side has no genres.
    """
    linked = [item for item in items if item.id in entity_of]
    genres_of: dict[str, list[str]] = {}
    for entity, genre in graph_genres:
        genres_of.setdefault(entity, []).append(genre)
    catalog = _membership([item.genres for item in linked])
    graph = _membership([genres_of.get(entity_of[item.id], ()) for item in linked])
    catalog = catalog[:, catalog.sum(axis=0) >= MIN_GENRE_ITEMS]
    if not catalog.shape[1] or not graph.shape[1]:
        return None
    rng = np.random.default_rng(0)
    shuffled = [_dice(catalog, rng.permutation(graph)) for _ in range(N_SHUFFLES)]
    return Agreement(_dice(catalog, graph), float(np.mean(shuffled)))


def _membership(sets: Sequence[Sequence[str]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    columns = {
        name: column
        for column, name in enumerate(sorted({name for names in sets for name in names}))
    }
    matrix = np.zeros((len(sets), len(columns)))
    for row, names in enumerate(sets):
        matrix[row, [columns[name] for name in names]] = 1.0
    return matrix


def _dice(
    a: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    b: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> float:
    overlap = 2 * (a.T @ b) / (a.sum(axis=0)[:, None] + b.sum(axis=0)[None, :])
    return float(overlap.max(axis=1).mean())


def _table(path: Path, n_columns: int) -> list[tuple[str, ...]]:
    """Rows of a RecBole atomic file without its header."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(
            f"{path} cannot be read ({error}). Run: auditkit data get ml-100k"
        ) from None
    rows = [tuple(line.split("\t")) for line in lines if line]
    faulty = next(
        (number for number, row in enumerate(rows, start=2) if len(row) != n_columns), None
    )
    if faulty is not None:
        raise CatalogError(
            f"{path}:{faulty} does not have {n_columns} columns. Get the data set again."
        )
    return rows
