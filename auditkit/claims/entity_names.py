"""Lookup tables from the names that texts use to the graph's persons, genres and places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.linking.normalize import fold
from auditkit.claims.lexicon import lexicon, tokenize

__all__ = ["PERSON_RELATIONS", "Names", "name_key"]

PERSON_RELATIONS = ("director", "actor", "writer", "producer")


class Names:
    """Lookup tables from the usual spellings of names to a graph's labels.

    Attributes:
        people: full name -> relation -> labels.
        surnames: last name -> relation -> labels.
        genres: token run -> labels; one run may mean two genres (`romcom`).
        places: token run -> the labels of `country` and `language` that it may mean.
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        known = {
            predicate.name: graph.labels(predicate.name)
            for predicate in graph.predicates
            if predicate.labeled
        }
        self.people: dict[str, dict[str, list[str]]] = {}
        self.surnames: dict[str, dict[str, list[str]]] = {}
        for relation in PERSON_RELATIONS:
            for label in known.get(relation, ()):
                key = name_key(label)
                _add(self.people, key, relation, label)
                _add(self.surnames, _surname(label), relation, label)
        self.genres = _genres(known.get("genre", ()))
        self.places = _places(known)


def name_key(name: str) -> str:
    """Normalize a person's name: lower case, without punctuation."""
    return " ".join(fold(name.replace("_", " ")))


def _add(table: dict[str, dict[str, list[str]]], key: str, relation: str, label: str) -> None:
    table.setdefault(key, {}).setdefault(relation, []).append(label)


def _surname(label: str) -> str:
    """Last name with its particles: `Jan de Bont` -> `de bont`."""
    parts = [name_key(part) for part in label.replace("_", " ").split()]
    at = len(parts) - 1
    while at > 1 and parts[at - 1] in ("de", "van", "von", "der", "del", "di", "la", "le"):
        at -= 1
    return " ".join(parts[at:]).strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(token.lower for token in tokenize(text))


def _genres(labels: Sequence[str]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Map the token runs of genre labels, plurals and synonyms to the labels that they mean."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for words, meant in lexicon()["genres"].items():
        values = tuple(value for value in meant if value in labels)
        if values:
            found[_words(words)] = values
    for label in labels:
        for form in (label, label.replace("-", " "), label + "s"):
            found.setdefault(_words(form), (label,))
    return found


def _places(known: Mapping[str, Iterable[str]]) -> dict[tuple[str, ...], dict[str, str]]:
    """Map the token runs of labels and nationality adjectives to a label per relation."""
    labels = {relation: set(known.get(relation, ())) for relation in ("country", "language")}
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for words, meant in lexicon()["nationalities"].items():
        found[_words(words)] = {
            relation: next((v for v in values if v in labels[relation]), values[0])
            for relation, values in meant.items()
        }
    for meant in lexicon()["nationalities"].values():
        for name in meant.get("country", ()):
            found.setdefault(_words(name.replace("_", " ")), {"country": name})
    for relation, values in labels.items():
        for label in sorted(values):
            found.setdefault(_words(label.replace("_", " ")), {}).setdefault(relation, label)
    return found
