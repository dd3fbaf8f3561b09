"""Extract the claims of explanations and verify each with the graph, without a language model.

Typed values are read in any domain and language of the packs (`domain_claims`); English texts about
films are read with the film rules of this package, which also know relations between films.

A claim is (item, relation, value, negated) with its span in the text. Verdicts follow the world
assumption of the predicate: a fact that an open predicate does not contain is unverifiable, never
false. Rules and verdicts are described in docs/explain/hallucination.md, section Claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Verdict
from auditkit.claims.annotate import spans_of
from auditkit.claims.claim import Claim, Reading
from auditkit.claims.clauses import Clause, Topic, clauses_of
from auditkit.claims.domain_claims import DomainClaims, combined
from auditkit.claims.entity_names import Names
from auditkit.claims.lexicon import Token, tokenize
from auditkit.claims.propagation import statements_of
from auditkit.claims.span import Span
from auditkit.claims.statements import Stated
from auditkit.claims.subject_resolution import find_topics
from auditkit.claims.title_mentions import Window, mentions_of, windows
from auditkit.domains.shipped import domain_pack
from auditkit.errors import CatalogError

__all__ = ["ClaimReader"]

_PREFERENCE: tuple[Verdict, ...] = ("supported", "unverifiable", "contradicted")
_FACTUAL = ("genre", "person", "year", "range", "runtime", "place")


class ClaimReader:
    """Reads claims about the items of one catalog, with the domain pack of this catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.names = Names(catalog.graph)
        self.domain = DomainClaims(catalog, domain_pack(catalog.domain))

    def read(
        self, texts: Sequence[str], item_ids: Sequence[str | None] | None = None
    ) -> list[Reading]:
        """Extract and verify the claims of many texts in one pass.

        Args:
            texts: explanations, in English or German.
            item_ids: id of the known subject of each text, or None; knowing it prevents most claims
                about the wrong item.

        Returns:
            One `Reading` per text, in order.

        Raises:
            CatalogError: an id is not in the catalog.
        """
        subjects = item_ids if item_ids is not None else [None] * len(texts)
        unknown = [one for one in subjects if one is not None and one not in self.catalog.index]
        if unknown:
            raise CatalogError(
                f"the catalog {self.catalog.name} has no item {unknown[0]!r}. Give ids of items "
                "in the catalog."
            )
        tokens = [tokenize(text) for text in texts]
        spans = [windows(text, row) for text, row in zip(texts, tokens, strict=True)]
        keys = list(dict.fromkeys(window.key for row in spans for window in row))
        entries = dict(zip(keys, self.catalog.linker.link_texts(keys), strict=True))
        return [
            self._read(text, row, [(w, entries[w.key]) for w in found if entries[w.key]], subject)
            for text, row, found, subject in zip(texts, tokens, spans, subjects, strict=True)
        ]

    def _read(
        self,
        text: str,
        tokens: Sequence[Token],
        titles: Sequence[tuple[Window, Topic]],
        subject: str | None,
    ) -> Reading:
        own = None
        if subject is not None:
            own = (int(self.catalog.linker.entry_of[self.catalog.index[subject]]),)
        films = self.domain.is_read_as_film(text)
        found = self._read_film(text, tokens, titles, own, subject) if films else None
        if films and not self.domain.adds_to_films:
            return found or Reading((), (), 0)
        mentions = mentions_of(text, tokens, titles, own)
        typed = self.domain.read(text, mentions, own or (), subject, besides_films=films)
        return combined(found, typed)

    def _read_film(
        self,
        text: str,
        tokens: Sequence[Token],
        titles: Sequence[tuple[Window, Topic]],
        own: Topic | None,
        subject: str | None,
    ) -> Reading:
        pieces = spans_of(text, tokens, titles, self.names, lambda entry: own == (entry,))
        self._choose_by_year(pieces, own)
        clauses = clauses_of(pieces)
        find_topics(clauses, own)
        claims: dict[tuple[str, str, str, bool], Claim] = {}
        unparsed: list[str] = []
        n_factual = 0
        for clause, said in statements_of(clauses):
            made = [
                claim
                for statement in said
                for claim in self._claims(statement, clause, own, subject)
            ]
            words = _text_of(clause, text)
            for claim in made:
                strength = self.domain.strength_of(claim.relation, words)
                claims.setdefault(claim.stated, replace(claim, strength=strength))
            if _is_factual(clause):
                n_factual += 1
                if not made:
                    unparsed.append(words)
        return Reading(tuple(claims.values()), tuple(unparsed), n_factual)

    def _choose_by_year(self, pieces: Sequence[Span], own: Topic | None) -> None:
        """Choose among entries of one title by a year near the title or, without one, choose the
        known subject.
        """
        years = self.catalog.linker.index.years
        for place, piece in enumerate(pieces):
            if piece.kind != "title":
                continue
            around = [*pieces[max(0, place - 3) : place], *pieces[place + 1 : place + 4]]
            stated = piece.values or [p.values[0] for p in around if p.kind == "year"]
            near = [int(year[1:]) for year in stated]
            dated = tuple(entry for entry in piece.entries if int(years[entry]) in near)
            if dated:
                piece.entries = dated
            elif own is not None and set(own) & set(piece.entries):
                piece.entries = own

    def _claims(
        self, statement: Stated, clause: Clause, own: Topic | None, subject: str | None
    ) -> list[Claim]:
        """Turn a statement into one claim about each of its films."""
        topics = clause.topics if statement.topics is None else statement.topics
        found = []
        for topic in topics:
            if not topic:
                continue  # a film that the catalog does not have
            known = subject is not None and topic == own
            items = [subject] if known and subject else [self._item(entry) for entry in topic]
            value = self._value(statement, topic, items)
            if value is not None:
                found.append(self._decided(statement, items, value))
        return found

    def _value(self, statement: Stated, topic: Topic, items: Sequence[str]) -> str | None:
        """Claimed value as a label of the graph; None if a surname is ambiguous."""
        if statement.value.startswith("entry:"):
            other = int(statement.value.removeprefix("entry:"))
            return None if other in topic else self._item(other)
        if not statement.labels:
            return statement.value
        all_labels = [label for known in statement.labels.values() for label in known]
        labels = list(dict.fromkeys(statement.labels.get(statement.relation) or all_labels))
        if len(labels) == 1:
            return labels[0]
        if statement.relation not in self.catalog.graph.worlds:
            return statement.value
        own = {v for item in items for v in self.catalog.graph.values(item, statement.relation)}
        meant = [label for label in labels if label in own]
        return meant[0] if len(meant) == 1 else None

    def _item(self, entry: int) -> str:
        return self.catalog.linker.item_ids_of(entry)[0]

    def _decided(self, statement: Stated, items: Sequence[str], value: str) -> Claim:
        """Verify the claim; of several items of one title, the one with the best verdict counts."""
        relation, negated, span = (
            statement.relation, statement.negated, (statement.begin, statement.end),
        )  # fmt: skip
        about_film = relation == "sequel_of" or relation.startswith("same:")
        if about_film and value not in self.catalog.index:
            return Claim(items[0], relation, value, negated, "unverifiable", span)
        judged = [
            self.catalog.graph.judge(item, relation, value, negated=negated) for item in items
        ]
        best = min(range(len(items)), key=lambda i: _PREFERENCE.index(judged[i].verdict))
        verdict, evidence = judged[best]
        return Claim(items[best], relation, value, negated, verdict, span, evidence)


def _text_of(clause: Clause, text: str) -> str:
    return text[clause.pieces[0].begin : clause.pieces[-1].end] if clause.pieces else ""


def _is_factual(clause: Clause) -> bool:
    """Whether the clause has a topic and a fact outside its silent part."""
    spoken = clause.pieces[: clause.silent_from]
    return bool(clause.topics) and any(piece.kind in _FACTUAL for piece in spoken)
