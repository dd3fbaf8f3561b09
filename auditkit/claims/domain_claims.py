"""Typed claims about the items of one catalog with their verdicts, with or without the film
rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Verdict
from auditkit.claims.claim import Claim, Reading, Strength
from auditkit.claims.typed.candidates import Option
from auditkit.claims.typed.clauses import Mention
from auditkit.claims.typed.language import language_of, words_of
from auditkit.claims.typed.quantities import quantities_in
from auditkit.claims.typed.reading import TypedClaim, read_typed
from auditkit.claims.typed.verdicts import decide, fits, key_of
from auditkit.claims.typed.vocabulary import Known, OwnWords, Vocabulary, own_words
from auditkit.domains.pack import DomainPack, Language

__all__ = ["DomainClaims", "combined"]

_PREFERENCE: tuple[Verdict, ...] = ("supported", "unverifiable", "contradicted")
# What the film rules read; names and words of films are left to them.
_OF_FILMS = frozenset(("year", "runtime"))
_NUMBERS = ("integer", "real")


class DomainClaims:
    """Reads typed claims about the items of a catalog.

    Attributes:
        adds_to_films: whether the catalog has predicates that the film rules do not read.
    """

    def __init__(self, catalog: Catalog, pack: DomainPack) -> None:
        self._catalog, self._pack = catalog, pack
        self._vocabulary = Vocabulary(catalog.graph, pack)
        self._numeric = {p.name for p in catalog.graph.predicates if p.type in _NUMBERS}
        self.adds_to_films = any(_is_besides_films(known) for known in self._vocabulary.known)

    def is_read_as_film(self, text: str) -> bool:
        """Whether the film rules apply to a text, which they do to English texts on films."""
        return self._pack.grammar == "films" and language_of(words_of(text)) == "en"

    def strength_of(self, relation: str, words: str) -> Strength:
        """Return `stated` if the words contain a cue phrase of the relation, else `implied`."""
        known = next((k for k in self._vocabulary.known if k.name == relation), None)
        if known is None:
            return "stated"  # awards, sequels and shared attributes are found by their phrase
        inside = words_of(words)
        named = any(
            next(known.cues("en", side).places(inside), None) for side in ("before", "after")
        )
        return "stated" if named else "implied"

    def read(
        self,
        text: str,
        mentions: Sequence[Mention],
        own: tuple[int, ...],
        subject: str | None,
        *,
        besides_films: bool,
    ) -> Reading:
        """Read and verify the typed claims of a text.

        Args:
            own: catalog entries of the known subject; empty if unknown. subject: item id of the
                known subject; None if unknown.
            besides_films: whether to omit predicates that the film rules read.
        """
        typed = read_typed(text, mentions, own, self._vocabulary, self._owned, self._own_words)
        claims: dict[tuple[str, str, str, bool], Claim] = {}
        for one in typed.claims:
            if besides_films and not _is_besides_films(one.known):
                continue
            items = [subject] if subject and one.entries == own else self._items(one.entries)
            claim = self._decided(one, items)
            claims.setdefault(claim.stated, claim)
        unparsed = tuple(text[begin:end] for begin, end in typed.unparsed)
        n_factual = len(typed.parsed) + len(typed.unparsed)
        return Reading(tuple(claims.values()), unparsed, n_factual)

    def _items(self, entries: tuple[int, ...]) -> list[str]:
        linker = self._catalog.linker
        return [item for entry in entries for item in linker.item_ids_of(entry)[:1]]

    def _owned(self, entries: tuple[int, ...], language: Language, option: Option) -> bool:
        """Whether an item of these entries has the value."""
        if not option.known.in_graph:
            return False
        held = (
            value
            for item in self._items(entries)
            for value in self._catalog.graph.values(item, option.known.name)
        )
        if option.known.is_label:
            return any(key_of(option.known, value) == option.key for value in held)
        return any(fits(option.known, option.value, "", value, language) for value in held)

    def _own_words(self, entries: tuple[int, ...]) -> OwnWords:
        """Words of the titles and categories of the items of these entries."""
        names: list[str] = []
        for item in self._items(entries):
            row = self._catalog.items[self._catalog.index[item]]
            names += [row.title, *row.aliases]
            for known in self._vocabulary.kinds:
                names += self._catalog.graph.values(item, known.name)
        return own_words(names)

    def _decided(self, one: TypedClaim, items: Sequence[str]) -> Claim:
        """Verify the claim; of several items of one title, the one with the best verdict counts."""
        judged = [self._judged(one, item) for item in items]
        best = min(range(len(items)), key=lambda i: _PREFERENCE.index(judged[i][0]))
        verdict, evidence = judged[best]
        return Claim(
            items[best], one.known.name, _value_text(one), one.negated, verdict, one.span,
            evidence, one.strength,
        )  # fmt: skip

    def _judged(
        self, one: TypedClaim, item: str
    ) -> tuple[Verdict, tuple[tuple[str, str, str], ...]]:
        name = one.known.name
        if not one.known.in_graph:
            return "unverifiable", ()
        graph = self._catalog.graph
        held = graph.values(item, name)
        spelled: Language = "en" if name in self._numeric else one.language
        fitting = [fits(one.known, one.value, one.operator, value, spelled) for value in held]
        verdict = decide(fitting, graph.worlds[name], negated=one.negated)
        shown = [v for v, fit in zip(held, fitting, strict=True) if fit or not any(fitting)]
        evidence = tuple((item, name, value) for value in shown)
        return verdict, evidence if verdict != "unverifiable" else ()


def _is_besides_films(known: Known) -> bool:
    return known.in_graph and not known.is_label and known.name not in _OF_FILMS


def _value_text(one: TypedClaim) -> str:
    """The value with its comparison; years as the graph writes them: `=1995`, `>1994`."""
    if one.known.spec.type != "year":
        return f"{one.operator}{one.value}"
    year = next(quantities_in(one.value, "en")).numbers[0]
    return f">{year - 1:.0f}" if one.operator == ">=" else f"{one.operator or '='}{year:.0f}"


def combined(films: Reading | None, typed: Reading) -> Reading:
    """Merge two readings of one text. A clause counts as unparsed only if neither reading has a
    claim in it.
    """
    if films is None:
        return typed
    known = {claim.stated for claim in films.claims}
    added = tuple(claim for claim in typed.claims if claim.stated not in known)
    return Reading((*films.claims, *added), films.unparsed, films.n_factual)
