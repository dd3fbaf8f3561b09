"""Mapping of Freebase's film relations to predicates of the catalog.

Most relations exist in both directions; we keep the direction whose head is the film. Entities have
ids and no names, so the predicates have the prefix `fb:` and can never contradict a name. The file
`ml-100k.link` of the wheel is keyed by MovieLens-1M ids; `ml1m_to_ml100k.csv` maps them to
MovieLens-100k ids, matched by title and year.

Source: KB4Rec (Zhao et al. 2019), files as in RecBole 1.2.1.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files

from auditkit.catalog.graph.schema import Predicate, ValueType, World

__all__ = ["IGNORED", "RELATIONS", "read_crosswalk"]


def _of_film(
    name: str, inverse_of: str | None = None, world: World = "open", *, film: bool = False
) -> Predicate:
    kind: ValueType = "item" if film else "entity"
    return Predicate(f"fb:{name}", world, labeled=False, type=kind, inverse_of=inverse_of)


RELATIONS: Mapping[str, Predicate] = {
    "film.film.directed_by": _of_film("director", "film.director.film", "closed"),
    "film.film.actor": _of_film("actor", "film.actor.film"),
    "film.film.written_by": _of_film("writer", "film.writer.film"),
    "film.film.produced_by": _of_film("producer", "film.producer.film"),
    "film.film.cinematography": _of_film("cinematographer", "film.cinematographer.film"),
    "film.film.production_companies": _of_film(
        "production_company", "film.production_company.films"
    ),
    "film.film.genre": _of_film("genre", "film.film_genre.films_in_this_genre"),
    "film.film.language": _of_film("language"),
    "film.film.country": _of_film("country"),
    "film.film.rating": _of_film("content_rating", "film.content_rating.film"),
    "film.film.subjects": _of_film("subject", "film.film_subject.films"),
    "film.film.award_won": _of_film("award_won"),
    "film.film.award_nomination": _of_film("award_nomination"),
    "film.film.sequel": _of_film("sequel", "film.film.prequel", film=True),
    "film.film.prequel": _of_film("prequel", "film.film.sequel", film=True),
}
# Inverse relations of the same facts.
IGNORED = frozenset(p.inverse_of for p in RELATIONS.values() if p.type != "item")


def read_crosswalk() -> tuple[tuple[str, str], ...]:
    """Read the shipped pairs (MovieLens-1M id, MovieLens-100k id); a 1M id may occur in several
    pairs.
    """
    text = (files("auditkit.catalog.sources") / "ml1m_to_ml100k.csv").read_text(encoding="utf-8")
    return tuple((row["ml1m_id"], row["ml100k_id"]) for row in csv.DictReader(text.splitlines()))
