"""RecBole atomic files of any data set: `.item`, and a graph in `.kg` linked to items by `.link`.

A link file may be keyed by the ids of another data set. The link file of MovieLens-100k is, and it
gives nearly every film the director of another film (RecSysDatasets#130). Therefore every link is
checked: the genres of catalog and graph must agree at least twice as well as under shuffled links.
Entities have ids and no names, so their facts can support "shares a director" but cannot contradict
a name.

Source: KB4Rec (Zhao et al. 2019); RecBole 1.2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from auditkit.catalog.graph.schema import Predicate
from auditkit.catalog.sources.column_mapping import SourceSection
from auditkit.catalog.sources.freebase import IGNORED, RELATIONS
from auditkit.catalog.sources.joins import Join, record_join
from auditkit.catalog.sources.table_reader import COLUMNS, separate_year
from auditkit.catalog.sources.table_source import Facts, file_source
from auditkit.catalog.sources.unknown_cells import SENTINELS
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.errors import CatalogError

__all__ = ["Agreement", "add_graph", "add_items", "link_agreement", "read_atomic"]

MIN_GENRE_ITEMS = 20
N_SHUFFLES = 5
LEAST_RATIO = 2.0
_NO_GENRES = frozenset({"unknown", *SENTINELS})
_PROGRESS_ROWS = 100_000
_EXAMPLES = 2

Matrix: TypeAlias = sparse.csr_array


class Agreement(NamedTuple):
    """Mean of the best Dice overlaps between catalog genres and graph genres, in [0, 1], for the
    link and for shuffled links.
    """

    link: float
    shuffled: float


def read_atomic(path: Path) -> tuple[list[tuple[str, str]], Iterator[tuple[int, list[str]]]]:
    """Read an atomic file: name and type of every column, line number and cells of every row.

    Raises:
        CatalogError: the file cannot be read, has no `name:type` header, or the number of cells of
            a row differs from the header.
    """
    rows = _lines(path)
    _, header = next(rows, (1, [""]))
    columns = [name.partition(":") for name in header]
    if not all(kind for _, _, kind in columns):
        raise CatalogError(
            f"{path} does not begin with a header of name:type columns. Add the header."
        )
    return [(name, kind) for name, _, kind in columns], rows


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    width = 0
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            for number, line in enumerate(stream, start=1):
                text = line.rstrip("\r\n")
                if not text:
                    continue
                cells = text.split("\t")
                width = width or len(cells)
                if len(cells) != width:
                    raise CatalogError(
                        f"{path}:{number} has {len(cells)} columns instead of {width}. Correct or "
                        "drop the line."
                    )
                yield number, cells
    except OSError as error:
        raise CatalogError(f"{path} cannot be read ({error.strerror}). Check the path.") from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path} is not UTF-8 ({error.reason}). Save it as UTF-8.") from None


def add_items(draft: CatalogDraft, path: Path) -> None:
    """Add the items of an `.item` file, with all its columns.

    Invalid years are replaced by the year in brackets after the title. The genre "unknown" is
    dropped.

    Raises:
        CatalogError: the file has no column of ids or titles, or has an invalid row.
    """
    columns, rows = read_atomic(path)
    place = {
        ours: next((i for i, (name, _) in enumerate(columns) if name in names), None)
        for ours, names in COLUMNS.items()
    }
    if place["id"] is None or place["title"] is None:
        raise CatalogError(
            f"{path} has the columns {', '.join(name for name, _ in columns)}. Name one column "
            f"{' or '.join(COLUMNS['id'])} and one column {' or '.join(COLUMNS['title'])}."
        )
    others = [
        (i, _predicate(name, kind), kind)
        for i, (name, kind) in enumerate(columns)
        if i not in place.values() and not kind.startswith("float_seq")
    ]
    facts = Facts(draft)
    for line, cells in rows:
        written = cells[place["year"]] if place["year"] is not None else ""
        title, year = " ".join(cells[place["title"]].split()), _year(written)
        if year is None:
            title, year = separate_year(title)
            if written.strip("0"):
                facts.unknown.unreadable("year", f"{written[:40]!r} is not a year", line=line)
        genres = cells[place["genres"]].split() if place["genres"] is not None else []
        try:
            if not title or not cells[place["id"]]:
                raise ValueError("empty id or title")
            row = draft.add_item(
                cells[place["id"]], title, year, [name for name in genres if name not in _NO_GENRES]
            )
            for i, predicate, kind in others:
                for text in cells[i].split() if kind.endswith("_seq") else [cells[i].strip()]:
                    if text:
                        facts.add_known(row, predicate, text, line)
        except (ValueError, CatalogError) as error:
            raise CatalogError(
                f"{path}:{line}: {str(error).rstrip('.')}. Correct or drop the line."
            ) from None
    facts.finish(path.name)
    draft.sources.append(file_source(path, SourceSection()))


def _year(text: str) -> int | None:
    """A year from 1 to 9999; None if the cell has none."""
    year = int(text) if text.isdecimal() and len(text) < 5 else 0
    return year or None


def _predicate(name: str, kind: str) -> Predicate:
    clean = "_".join(name.split()) or "column"
    return Predicate(clean, type="real") if kind == "float" else Predicate(clean)


def add_graph(
    draft: CatalogDraft,
    kg: Path,
    link: Path,
    *,
    crosswalk: Iterable[tuple[str, str]] | None = None,
    source: SourceSection | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> Agreement | None:
    """Add the triples of `.kg` whose head is an item, if the link passes the agreement check.

    The result is recorded in the draft's `link`, `agreement`, `linked` and warnings.

    Args:
        draft: the catalog draft with its items.
        kg: file with the columns head, relation, tail.
        link: file with the columns item id, entity id.
        crosswalk: pairs (id in `link`, item id), if the link is keyed by other ids.
        source: license and attribution.
        progress: called with the number of triples since the last call.

    Returns:
        The genre agreement; None if the catalog or the graph has no genres.

    Raises:
        CatalogError: a file cannot be read.
    """
    entity_of = _entities(draft, link, crosswalk)
    rows_of: dict[str, list[int]] = {}
    for row, entity in sorted(entity_of.items()):
        rows_of.setdefault(entity, []).append(row)
    relations, genre_pairs, heads = _survey(kg, rows_of)
    _require_heads(draft, rows_of, heads, link=link, kg=kg)
    agreement = link_agreement(draft, entity_of, genre_pairs)
    draft.agreement = agreement.link if agreement else None
    draft.sources += [file_source(path, source or SourceSection()) for path in (kg, link)]
    if agreement is None:
        draft.link = "unchecked"
        draft.warn(
            f"{link.name} could not be checked, because the catalog or the graph has no genres"
        )
    elif agreement.link < LEAST_RATIO * agreement.shuffled:
        draft.link = "refused"
        draft.linked = draft.linked or set()
        draft.warn(
            f"{link.name} is rejected: its genre agreement is {agreement.link:.3f}, that of "
            f"shuffled links is {agreement.shuffled:.3f}; its triples are left out"
        )
        return agreement
    else:
        draft.link = "checked"
    draft.linked = (draft.linked or set()) | set(entity_of)
    codes = {name: draft.graph.predicate(_relation(name)) for name in relations}
    for number, (head, relation, tail) in enumerate(_triples(kg), start=1):
        if number % _PROGRESS_ROWS == 0:
            progress(_PROGRESS_ROWS)
        if relation in codes and head in rows_of:
            code = codes[relation]
            others = rows_of.get(tail) if draft.graph.predicates[code].type == "item" else None
            for row in rows_of[head]:
                if others is None:
                    draft.graph.add(row, code, tail)
                else:
                    for other in others:
                        draft.graph.add_item(row, code, other)
    return agreement


def _entities(
    draft: CatalogDraft, link: Path, crosswalk: Iterable[tuple[str, str]] | None
) -> dict[int, str]:
    """Entity id of each linked item, by catalog row."""
    entity_of_link: dict[str, str] = {}
    _, rows = read_atomic(link)
    for number, cells in rows:
        if len(cells) != 2:
            raise CatalogError(
                f"{link}:{number} does not have 2 columns. Give the columns item_id and entity_id."
            )
        entity_of_link[cells[0]] = cells[1]
    if crosswalk is None:
        join = Join(link.name, "the catalog", "items")
        found = {item: join.find(draft.rows, item) for item in entity_of_link}
        record_join(draft, join, draft.ids)
        return {row: entity_of_link[item] for item, row in found.items() if row is not None}
    return {
        draft.rows[item]: entity_of_link[foreign]
        for foreign, item in crosswalk
        if foreign in entity_of_link and item in draft.rows
    }


def _require_heads(
    draft: CatalogDraft,
    rows_of: Mapping[str, Sequence[int]],
    heads: Mapping[str, int],
    *,
    link: Path,
    kg: Path,
) -> None:
    """Count the linked entities that have triples.

    Raises:
        CatalogError: no linked entity has triples.
    """
    join = Join(link.name, kg.name, "entities")
    for entity in rows_of:
        join.find(heads, entity)
    draft.notes.append(join.report(heads))


def _triples(kg: Path) -> Iterator[list[str]]:
    columns, rows = read_atomic(kg)
    if len(columns) != 3:
        raise CatalogError(
            f"{kg} does not have 3 columns. Give the columns head_id, relation_id and tail_id."
        )
    return (cells for _, cells in rows)


def _survey(
    kg: Path, rows_of: Mapping[str, Sequence[int]]
) -> tuple[list[str], list[tuple[str, str]], dict[str, int]]:
    """Names of the relations with a linked entity as head, all (entity, genre) pairs, and the
    number of triples of each linked head, or of the first other heads if no linked one occurs.
    """
    relations: set[str] = set()
    genres: list[tuple[str, str]] = []
    heads: dict[str, int] = {}
    others: dict[str, int] = {}
    for head, relation, tail in _triples(kg):
        if head not in rows_of:
            if len(others) < _EXAMPLES:
                others[head] = 1
            continue
        heads[head] = heads.get(head, 0) + 1
        if relation not in IGNORED:
            relations.add(relation)
            if "genre" in relation.rpartition(".")[2]:
                genres.append((head, tail))
    known = {name: place for place, name in enumerate(RELATIONS)}
    ordered = sorted(relations, key=lambda name: (known.get(name, len(known)), name))
    return ordered, genres, heads or others


def _relation(name: str) -> Predicate:
    return RELATIONS.get(name) or Predicate(f"kg:{name}", labeled=False, type="item")


def link_agreement(
    draft: CatalogDraft, entity_of: Mapping[int, str], genre_pairs: Iterable[tuple[str, str]]
) -> Agreement | None:
    """Measure how well the genres of linked entities agree with the catalog's genres.

    For each catalog genre with at least 20 linked items A, take the largest Dice overlap 2|A n B| /
    (|A| + |B|) with the items B of any graph genre. The agreement is the mean of these overlaps.
    Range [0, 1], ideal 1; a correct link is far above a shuffled one.

    Args:
        draft: the catalog draft with its items.
        entity_of: entity id of each linked item, by catalog row.
        genre_pairs: (entity, genre) pairs of the graph.

    Returns:
        The agreement of the link, and the mean agreement of 5 shuffled links; None if the catalog
        or the graph has no genres.
    """
    linked = {row: place for place, row in enumerate(sorted(entity_of))}
    places: dict[str, list[int]] = {}
    for row, place in linked.items():
        places.setdefault(entity_of[row], []).append(place)
    rows, genres = draft.graph.facts_of(draft.genre)
    of_catalog = [
        (linked[row], genre)
        for row, genre in zip(rows.tolist(), genres.tolist(), strict=True)
        if row in linked
    ]
    of_graph = [(place, genre) for entity, genre in genre_pairs for place in places.get(entity, ())]
    catalog, graph = (_membership(pairs, len(linked)) for pairs in (of_catalog, of_graph))
    catalog = catalog[:, np.flatnonzero(catalog.sum(axis=0) >= MIN_GENRE_ITEMS)]
    if not catalog.shape[1] or not graph.shape[1]:
        return None
    rng = np.random.default_rng(0)
    shuffled = [_dice(catalog, graph[rng.permutation(len(linked))]) for _ in range(N_SHUFFLES)]
    return Agreement(_dice(catalog, graph), float(np.mean(shuffled)))


def _membership(pairs: Sequence[tuple[int, object]], n: int) -> Matrix:
    """Binary matrix of items x genres."""
    columns: dict[object, int] = {}
    at = [columns.setdefault(genre, len(columns)) for _, genre in pairs]
    matrix = sparse.csr_array(
        (np.ones(len(pairs)), ([place for place, _ in pairs], at)), shape=(n, len(columns))
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _dice(a: Matrix, b: Matrix) -> float:
    sizes: tuple[NDArray[np.float64], ...] = (a.sum(axis=0), b.sum(axis=0))
    overlap = 2 * (a.T @ b).toarray() / (sizes[0][:, None] + sizes[1][None, :])
    return float(overlap.max(axis=1).mean())
