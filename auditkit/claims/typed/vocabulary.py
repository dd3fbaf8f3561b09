"""What a catalog and its pack know: predicates with their types, and the words of their values.

A predicate of the graph that the pack does not describe is read too: as a quantity if most of its
values are numbers with one unit, else as a text whose cue is its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.claims.typed.language import PhraseSet, Word, grammar, stems, words_of
from auditkit.claims.typed.quantities import quantities_in
from auditkit.domains.pack import Cues, DomainPack, Language, PackPredicate

__all__ = ["Known", "OwnWords", "Parts", "Vocabulary", "group_key", "own_words"]

_SAMPLE = 200
_LANGUAGES: tuple[Language, ...] = ("en", "de")
_TITLE_ENDS = frozenset(("with", "mit", "for", "f\u00fcr", ",", "(", "-", "\u2013"))
_SHORTEST_HEAD = 4  # letters of the last word of a compound
_DERIVED = ("decade",)  # the graph's own values of another predicate


@dataclass(frozen=True, eq=False)
class Known:
    """One predicate that texts may state.

    Attributes:
        name: name of the predicate in the graph or, if the graph lacks it, in the pack.
        spec: type, cue phrases and words of the predicate.
        in_graph: whether the catalog has the predicate.
        dimensions: physical dimensions of its numbers; empty for predicates without numbers.
        groups: key of every spelling of a value -> key of the value.
        labels: key of a value -> the catalog's spelling of it.
    """

    name: str
    spec: PackPredicate
    in_graph: bool
    dimensions: frozenset[str] = frozenset()
    groups: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def is_label(self) -> bool:
        """Whether the values of the predicate are names or words."""
        return self.spec.type in ("entity", "text")

    def cues(self, language: Language, side: str) -> PhraseSet:
        """Cue phrases of the predicate before a value or after it; `side` may also be `nouns` or
        `apart`, see `PackPredicate`.
        """
        return _phrases(self, language, side)


@lru_cache(maxsize=512)
def _phrases(known: Known, language: Language, side: str) -> PhraseSet:
    spec = known.spec
    if side in ("nouns", "apart"):
        everywhere = grammar(language, "apart")
        return PhraseSet(spec.nouns if side == "nouns" else [*spec.apart, *everywhere], language)
    cues = spec.cues.get(language, Cues())
    names = (known.name, *spec.names)
    own = [name.replace("_", " ").casefold() for name in names]
    return PhraseSet([*cues.before, *own] if side == "before" else cues.after, language)


def group_key(text: str) -> str:
    """A value in lower case and without punctuation, to compare spellings."""
    return " ".join(word.lower for word in words_of(text) if word.lower[0].isalnum())


class OwnWords(NamedTuple):
    """Stems of words in an item's titles and categories.

    Attributes:
        main: of the main noun of each title or category.
        words: of all alphabetic words of at least three letters before "with" or a punctuation
            mark.
    """

    main: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()


def own_words(names: Sequence[str]) -> OwnWords:
    """Collect the words of titles and categories. The main noun is the last word before "with" or a
    punctuation mark.
    """
    main: set[str] = set()
    every: set[str] = set()
    for name in names:
        words = [word.lower for word in words_of(name.replace("_", " "))]
        end = next((i for i, w in enumerate(words) if i and w in _TITLE_ENDS), len(words))
        nouns = [w for w in words[:end] if w.isalpha() and len(w) > 2]
        main.update(s for w in nouns[-1:] for language in _LANGUAGES for s in stems(w, language))
        every.update(s for w in nouns for language in _LANGUAGES for s in stems(w, language))
    return OwnWords(frozenset(main), frozenset(every))


class Parts:
    """Words that denote parts of items; in German, also as the end of a compound.

    Attributes:
        heads: the words of each language in lower case.
    """

    def __init__(self, heads: Mapping[Language, Sequence[str]]) -> None:
        self.heads = {one: frozenset(words) for one, words in heads.items() if words}
        self._lengths = {
            one: sorted({len(word) for word in words}) for one, words in self.heads.items()
        }

    def has(self, word: str, language: Language, *, compounds: bool = True) -> bool:
        """Whether a word denotes a part; with `compounds`, also a German compound that ends with
        such a word.
        """
        heads = self.heads.get(language, frozenset())
        ways = stems(word, language)
        if any(way in heads for way in ways):
            return True
        if language != "de" or not compounds:
            return False
        lengths = [n for n in self._lengths.get(language, ()) if n >= _SHORTEST_HEAD]
        return any(way[-n:] in heads for way in ways for n in lengths if len(way) > n + 1)


class Vocabulary:
    """The predicates of one catalog with the words and phrases of its domain pack.

    Attributes:
        known: all predicates, beginning with the predicates of the pack.
        item_words: words that denote the item: nouns of the pack and categories of the catalog.
        pack_words: the nouns of the pack alone.
        parts: words that denote parts of an item.
        kinds: predicates that say what an item is, such as its category.
    """

    def __init__(self, graph: KnowledgeGraph, pack: DomainPack) -> None:
        self.pack = pack
        named = {p.name.casefold(): p.name for p in graph.predicates if p.labeled}
        self.known: list[Known] = []
        taken: set[str] = set()
        for name, spec in pack.predicates.items():
            found = [named[n] for n in (name, *spec.names) if n in named and named[n] not in taken]
            taken.update(found)
            self.known += [_known(graph, one, spec) for one in found] or [_absent(name, spec)]
        for predicate in graph.predicates:
            if predicate.labeled and predicate.name not in (*taken, *_DERIVED):
                self.known += _described(graph, predicate.name)
        free = (k for k in self.known if k.spec.free and k.spec.type == "text")
        self.kinds = [known for known in free if known.in_graph and not known.spec.values]
        categories = [key for known in self.kinds for key in known.labels]
        nouns = (pack.nouns.item, pack.nouns.items, *pack.item_words)
        self.pack_words = frozenset(word for text in nouns for word in text.split())
        self.item_words = self.pack_words | {word for text in categories for word in text.split()}
        self.parts = Parts(pack.parts)
        self._spellings = self._by_first()

    def _by_first(self) -> dict[str, list[tuple[tuple[str, ...], Known, str]]]:
        """Spellings of all values by each stem of their first word."""
        found: dict[str, list[tuple[tuple[str, ...], Known, str]]] = {}
        for known in self.known:
            for spelling, group in known.groups.items():
                run = tuple(spelling.split())
                firsts = {s for language in _LANGUAGES for s in stems(run[0], language)}
                for first in firsts if run else ():
                    found.setdefault(first, []).append((run, known, group))
        return found

    def values_at(
        self, words: Sequence[Word], place: int, language: Language
    ) -> Iterator[tuple[int, Known, str]]:
        """Yield (end, predicate, value key) of every value that begins at a word."""
        for first in stems(words[place].lower, language):
            for run, known, group in self._spellings.get(first, ()):
                end = _end_of(run, words, place, language)
                if end and not (known.spec.type == "entity" and words[place].raw.islower()):
                    yield end, known, group


def _end_of(run: tuple[str, ...], words: Sequence[Word], place: int, language: Language) -> int:
    """End of the spelling at `place`, ignoring marks between its words; 0 if it is not there."""
    at = place
    for number, wanted in enumerate(run):
        if number and at < len(words) and words[at].lower in ("-", "&", "'"):
            at += 1
        if at >= len(words):
            return 0
        last = number == len(run) - 1
        same = words[at].lower == wanted or (
            len(wanted) > 2
            and (last or number == 0)
            and bool(
                {words[at].lower, *stems(words[at].lower, language)} & set(stems(wanted, language))
            )
        )
        if not same:
            return 0
        at += 1
    return at


def _known(graph: KnowledgeGraph, name: str, spec: PackPredicate) -> Known:
    """A predicate of the pack that the catalog has."""
    labels = graph.labels(name)
    if spec.type not in ("entity", "text"):
        return Known(name, spec, True, _dimensions(labels, spec))
    groups: dict[str, str] = {}
    for canonical, words in spec.values.items():
        groups |= {group_key(word): group_key(canonical) for word in (canonical, *words)}
    shown: dict[str, str] = {}
    for label in labels:
        key = group_key(label.replace("_", " "))
        group = groups.setdefault(key, key)
        shown.setdefault(group, label)
    return Known(name, spec, True, groups={k: g for k, g in groups.items() if k}, labels=shown)


def _absent(name: str, spec: PackPredicate) -> Known:
    """A predicate of the pack that the catalog lacks: its claims are unverifiable."""
    groups = {
        group_key(word): group_key(canonical)
        for canonical, words in spec.values.items()
        for word in (canonical, *words)
    }
    return Known(name, spec, False, _dimensions((), spec), groups=groups)


def _described(graph: KnowledgeGraph, name: str) -> Iterator[Known]:
    """A predicate that the pack does not describe."""
    labels = graph.labels(name)
    spelled = name.replace("_", " ").casefold()
    cues = {language: Cues(after=(spelled,)) for language in _LANGUAGES}
    dimensions = _dimensions(labels, PackPredicate(type="quantity"))
    if dimensions:
        yield Known(name, PackPredicate(type="quantity", cues=cues), True, dimensions)
    elif labels:
        yield _known(graph, name, PackPredicate(type="text", cues=cues))


def _dimensions(labels: Sequence[str], spec: PackPredicate) -> frozenset[str]:
    """Dimensions of the catalog's numbers; for bare numbers, that of the pack's unit."""
    read = [next(quantities_in(label, "en"), None) for label in labels[:_SAMPLE]]
    found = {q.unit.dimension for q in read if q is not None and q.unit is not None}
    unit = next(quantities_in(f"1 {spec.unit}", "en")).unit if spec.unit else None
    return frozenset(found | ({unit.dimension} if unit is not None else set()))
