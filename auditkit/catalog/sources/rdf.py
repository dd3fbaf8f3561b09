"""Read a catalog from an RDF graph, in a file or on a server, with the same SPARQL queries.

The queries depend only on the mapping and the items, and results have a fixed order. Of the
graph's content, only validated IRIs and escaped literals are inserted into a query. An object
without a label in the requested language becomes an id, which cannot contradict a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from auditkit.catalog.graph.typed_values import canonical
from auditkit.catalog.sources.column_mapping import Iri, RdfMapping
from auditkit.catalog.sources.joins import Join, record_join
from auditkit.catalog.sources.rewritten_numbers import RewrittenNumbers
from auditkit.catalog.sources.unknown_cells import UnknownCells
from auditkit.catalog.storage.draft import CatalogDraft, Source
from auditkit.errors import CatalogError

__all__ = ["BLOCK", "RdfGraph", "RdfTerm", "add_rdf", "iri"]

BLOCK = 500
_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\\ud800-\udfff]*")


class RdfTerm(NamedTuple):
    """An RDF term: text, kind, language and datatype."""

    text: str
    kind: str  # uri, literal or bnode, as in SPARQL's JSON results
    language: str = ""
    datatype: str = ""


class RdfGraph(Protocol):
    """Answers SPARQL SELECT queries."""

    @property
    def source(self) -> Source:
        """Name of the source; for a file, also its hash."""
        ...

    def select(self, query: str) -> Iterable[Mapping[str, RdfTerm]]:
        """Yield the bindings of each result row; unbound variables are absent.

        Raises:
            CatalogError: the graph cannot be queried.
        """
        ...


def iri(text: str) -> str:
    """Format an IRI for SPARQL.

    Raises:
        CatalogError: the text is not an IRI, or contains a character that could end the IRI in a
            query.
    """
    if not _IRI.fullmatch(text):
        raise CatalogError(
            f"{text[:80]!r} is not a valid IRI. Write the full IRI, such as http://example.org/x"
        )
    return f"<{text}>"


def add_rdf(
    draft: CatalogDraft,
    graph: RdfGraph,
    mapping: RdfMapping,
    *,
    progress: Callable[[str, int], None] = lambda what, n: None,
) -> None:
    """Add the graph's items if the draft has none, and the graph's facts about the items.

    Args:
        draft: the catalog draft to extend.
        graph: a file or an endpoint.
        mapping: assigns IRIs to items and predicates.
        progress: called with the current step and the number of subjects since the last call.

    Raises:
        CatalogError: an IRI of the mapping is not valid, or the graph cannot be queried or has no
            items.
    """
    said = f"reading {graph.source.name}"
    genre = mapping.predicates.get("genre")
    known = bool(len(draft))
    rewritten = RewrittenNumbers()
    if known:
        subjects = _known_subjects(draft, graph, mapping, rewritten)
        draft.linked = (draft.linked or set()) | set(subjects.values())
    else:
        if genre is not None:
            draft.describe_genre(genre.predicate("genre"))
        subjects = _new_items(draft, graph, mapping, rewritten, lambda n: progress(said, n))
    described: set[str] = set()
    for name, relation in mapping.predicates.items():
        predicate = relation.predicate(name)
        named = draft.graph.predicate(predicate)
        n_unread, first = 0, ""
        for block in _blocks(list(subjects)):
            progress(said, 0)
            for subject, value in _objects(graph, block, relation, mapping):
                row = subjects[subject]
                described.add(subject)
                if predicate.type == "item" and value.text in subjects:
                    draft.graph.add_item(row, named, subjects[value.text])
                    continue
                text = " ".join(value.text.split())
                if value.kind == "literal" and predicate.type in ("string", "entity"):
                    rewritten.read(f"values of {name}", text, value.datatype)
                if value.kind == "uri" and predicate.kind == "entity":
                    draft.graph.add_nameless(row, named, text)
                    continue
                try:
                    draft.graph.add(row, named, canonical(text, predicate.type))
                except ValueError as error:
                    n_unread, first = n_unread + 1, first or str(error)
        if n_unread:
            draft.warn(f"{name}: {n_unread} values are left out, the first: {first}")
    if known and mapping.predicates:
        _require_described(draft, graph, subjects, described)
    source = graph.source
    if source.sha256 is None:
        for warning in rewritten.warnings():
            draft.warn(f"{source.name}: {warning}")
    given = mapping.source
    draft.sources.append(
        Source(given.name or source.name, source.sha256, given.license, given.attribution)
    )


def _blocks(subjects: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(subjects), BLOCK):
        yield subjects[begin : begin + BLOCK]


def _known_subjects(
    draft: CatalogDraft, graph: RdfGraph, mapping: RdfMapping, rewritten: RewrittenNumbers
) -> dict[str, int]:
    """Catalog row of each subject that is an item of the draft, in the order of the subjects."""
    found: dict[str, int] = {}
    join = Join(graph.source.name, "the catalog", "items")
    if mapping.items.id is None:
        for item_id, row in draft.rows.items():
            subject = mapping.items.prefix + item_id
            iri(subject)
            found[subject] = row
    else:
        for subject, item_id in _subjects(graph, mapping, rewritten):
            matched = join.find(draft.rows, item_id)
            if matched is not None:
                found.setdefault(subject, matched)
        record_join(draft, join, draft.ids)
    return found


def _require_described(
    draft: CatalogDraft, graph: RdfGraph, subjects: Mapping[str, int], described: Collection[str]
) -> None:
    """Count the items with a value in the graph.

    Raises:
        CatalogError: no item has any, so the IRIs of the mapping are probably wrong.
    """
    name = graph.source.name
    counts = f"{name}: {len(described)} of {len(subjects)} items have values in the graph"
    if subjects and not described:
        examples = " and ".join(list(subjects)[:2])
        raise CatalogError(
            f"{counts}; the query used IRIs such as {examples}. Check items.prefix, items.id and "
            "the IRIs of the mapping."
        )
    draft.notes.append(counts)


def _subjects(
    graph: RdfGraph, mapping: RdfMapping, rewritten: RewrittenNumbers
) -> Iterator[tuple[str, str]]:
    """Yield (subject, item id) of every item in the graph."""
    items = mapping.items
    if items.type is None and items.id is None:
        raise CatalogError(
            "the mapping does not say which subjects are items. Give items.type or items.id."
        )
    wanted = f"?s {iri(_RDF_TYPE)} {iri(items.type)} . " if items.type else ""
    wanted += f"?s {iri(items.id)} ?id . " if items.id else ""
    for row in graph.select(f"SELECT DISTINCT * WHERE {{ {wanted}}} ORDER BY ?s ?id"):
        subject = row["s"]
        if subject.kind != "uri":
            continue
        text = row["id"].text if items.id else subject.text.removeprefix(items.prefix)
        rewritten.read("ids", text, row["id"].datatype if items.id else "")
        yield subject.text, " ".join(text.split())


def _new_items(
    draft: CatalogDraft,
    graph: RdfGraph,
    mapping: RdfMapping,
    rewritten: RewrittenNumbers,
    progress: Callable[[int], None],
) -> dict[str, int]:
    """Add the graph's items and return the row of each subject.

    Of several ids or titles the first is used.
    """
    items = mapping.items
    ids: dict[str, str] = {}
    for subject, item_id in _subjects(graph, mapping, rewritten):
        ids.setdefault(subject, item_id)
    rows: dict[str, int] = {}
    unknown = UnknownCells()
    n_untitled = 0
    for block in _blocks(list(ids)):
        title = items.title or mapping.label
        written = _literals(graph, block, title)
        titles = _in_language(written, mapping.language)
        years = _literals(graph, block, items.year) if items.year else {}
        others = _literals(graph, block, items.aliases or mapping.alias)
        for term in (term for terms in (*written.values(), *others.values()) for term in terms):
            rewritten.read("titles and aliases", term.text, term.datatype)
        for subject in block:
            if not titles.get(subject):
                n_untitled += 1
                continue
            year = _first_year(years.get(subject, []), unknown)
            aliases = [" ".join(term.text.split()) for term in others.get(subject, [])]
            if ids[subject] in draft.rows:
                rows[subject] = draft.rows[ids[subject]]
            else:
                rows[subject] = draft.add_item(ids[subject], titles[subject], year, aliases=aliases)
        progress(len(block))
    if n_untitled:
        draft.warn(
            f"{graph.source.name}: {n_untitled} items have no title in {mapping.language!r} and "
            "are left out"
        )
    for warning in unknown.warnings(graph.source.name):
        draft.warn(warning)
    if not rows:
        raise CatalogError(
            f"{graph.source.name} contains no items that the mapping describes. Check items.type, "
            "items.id and items.title."
        )
    return rows


def _first_year(terms: Sequence[RdfTerm], unknown: UnknownCells) -> int | None:
    """The year of the first readable date; unreadable dates are counted."""
    years: list[int] = []
    for term in terms:
        try:
            years.append(int(canonical(term.text, "date")[:4]))
        except ValueError as error:
            unknown.unreadable("year", str(error), line=0)
    return years[0] if years else None


def _literals(graph: RdfGraph, block: Sequence[str], predicate: str) -> dict[str, list[RdfTerm]]:
    """Literal values of `predicate` for each subject, sorted by text and language."""
    found: dict[str, list[RdfTerm]] = {}
    for row in graph.select(_values_query(block, predicate)):
        if row["o"].kind == "literal":
            found.setdefault(row["s"].text, []).append(row["o"])
    for terms in found.values():
        terms.sort(key=lambda term: (term.text, term.language))
    return found


def _values_query(block: Sequence[str], predicate: str) -> str:
    subjects = " ".join(map(iri, block))
    values = f"VALUES ?s {{ {subjects} }}"
    # SPARQL does not define an order of texts in two languages, nor of equal numbers.
    order = "ORDER BY ?s ?o STR(?o) LANG(?o) STR(DATATYPE(?o))"
    return f"SELECT DISTINCT ?s ?o WHERE {{ {values} ?s {iri(predicate)} ?o . }} {order}"


def _in_language(literals: Mapping[str, Sequence[RdfTerm]], language: str) -> dict[str, str]:
    """One name per subject, in the requested language or the best substitute."""
    names: dict[str, str] = {}
    for subject, terms in literals.items():
        ranks = ((_rank(term.language, language), term.text) for term in terms)
        ranked = sorted((rank, text) for rank, text in ranks if rank is not None)
        if ranked and (name := " ".join(ranked[0][1].split())):
            names[subject] = name
    return names


def _rank(language: str, wanted: str) -> int | None:
    """Preference of a language, 0 is best; None for another language.

    The requested language comes first, then languages with the same primary subtag, then `mul`,
    then no language.
    """
    own, asked = language.casefold(), wanted.casefold()
    if own == asked:
        return 0
    if own and own.partition("-")[0] == asked.partition("-")[0]:
        return 1
    return {"mul": 2, "": 3}.get(own)


def _objects(
    graph: RdfGraph, block: Sequence[str], relation: Iri, mapping: RdfMapping
) -> Iterator[tuple[str, RdfTerm]]:
    """Yield (subject, value) of every triple; an IRI with a name is replaced by the name."""
    rows = list(graph.select(_values_query(block, relation.iri)))
    nodes = sorted({row["o"].text for row in rows if row["o"].kind == "uri"})
    names: dict[str, str] = {}
    if relation.type != "item":
        for some in _blocks(nodes):
            names |= _in_language(_literals(graph, some, mapping.label), mapping.language)
    for row in rows:
        term = row["o"]
        if term.kind == "uri" and term.text in names:
            term = RdfTerm(names[term.text], "literal")
        if term.kind == "bnode" or (
            term.kind == "literal" and _rank(term.language, mapping.language) is None
        ):
            continue
        yield row["s"].text, term
