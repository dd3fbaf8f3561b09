"""Names that the graph knows: persons, genres, countries and languages, by how texts write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.linking.normalize import fold
from auditkit.claims.lexicon import lexicon, tokenize

__all__ = ["PERSON_RELATIONS", "Names", "name_key"]

PERSON_RELATIONS = ("director", "actor", "writer", "producer")


class Names:
    """What a graph calls its values, ready to be found in a text.

    Attributes:
        people: labels by relation, by full name.
        surnames: the same, by last name.
        genres: labels by token run; one run may stand for two (`romcom`).
        places: token run to the labels of `country` and `language` that it may mean.
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        known = {
            predicate.name: graph.labels(predicate.name)
            for predicate in graph.predicates
            if predicate.labelled
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
    """A person's name without marks and case."""
    return " ".join(fold(name.replace("_", " ")))


def _add(table: dict[str, dict[str, list[str]]], key: str, relation: str, label: str) -> None:
    table.setdefault(key, {}).setdefault(relation, []).append(label)


def _surname(label: str) -> str:
    """The last name, with the particles in front of it: `Jan de Bont` -> `de bont`."""
    parts = [name_key(part) for part in label.replace("_", " ").split()]
    at = len(parts) - 1
    while at > 1 and parts[at - 1] in ("de", "van", "von", "der", "del", "di", "la", "le"):
        at -= 1
    return " ".join(parts[at:]).strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(token.lower for token in tokenize(text))


def _genres(labels: Sequence[str]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Token runs of every label, its plural, and the synonyms whose genres the catalog has."""
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
    """Adjectives, and the labels themselves."""
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
