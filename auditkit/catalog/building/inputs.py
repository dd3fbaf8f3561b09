"""Read the sources of a catalog, each with the reader of its kind, into one draft.

The first source with items defines the catalog; every other source adds facts about them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from auditkit.catalog.datasets.download import DATASETS, get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.catalog.sources.column_mapping import (
    NodeMapping,
    RdfMapping,
    SourceSection,
    TableMapping,
    read_mapping,
)
from auditkit.catalog.sources.freebase import read_crosswalk
from auditkit.catalog.sources.recbole import add_graph, add_items
from auditkit.catalog.sources.table_source import add_table, file_source
from auditkit.catalog.sources.title_join import add_facts, crosswalk_pairs
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.domains.shipped import DOMAINS, MOVIES
from auditkit.errors import CatalogError
from auditkit.serialization.strict_yaml import load_yaml

__all__ = ["Inputs", "Progress", "read_inputs"]

Progress = Callable[[str, int], None]
Mapped = TypeVar("Mapped", RdfMapping, NodeMapping)

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
RDF = (".ttl", ".trig", ".nt", ".nq", ".rdf", ".owl")
_KB4REC = SourceSection(
    name="Freebase by KB4Rec",
    attribution="Zhao et al. 2019, KB4Rec, doi:10.1162/dint_a_00008",
    license="CC BY (Freebase)",
)
_MOVIELENS = SourceSection(
    name="MovieLens-100k",
    attribution="Harper and Konstan 2015, doi:10.1145/2827872",
    license="GroupLens terms: no commercial use without permission",
)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Sources of a catalog.

    Attributes:
        sources: files, folders, data sets (`ml-100k`), `sparql:URL`, `bolt://HOST` and others.
        mapping: YAML file that assigns columns, IRIs or properties to predicates.
        items: a table or `.item` file that defines the catalog.
        kg, link: RecBole graph and its link to the items.
        crosswalk: table that maps the ids in `link` to item ids.
        facts: table of facts, whose rows name items by title and year.
        strict: whether a cell that cannot be read is an error instead of an unknown value.
    """

    sources: Sequence[str] = ()
    mapping: Path | None = None
    items: Path | None = None
    kg: Path | None = None
    link: Path | None = None
    crosswalk: Path | None = None
    facts: Path | None = None
    strict: bool = False


def read_inputs(inputs: Inputs, *, progress: Progress = lambda what, n: None) -> CatalogDraft:
    """Read all inputs into memory.

    Raises:
        CatalogError: an input is missing, not valid or of an unknown kind.
        ConfigurationError: the mapping is not valid.
        MissingDependency: an input needs an extra.
    """
    if (inputs.kg is None) != (inputs.link is None):
        raise CatalogError("--kg needs --link, and --link needs --kg. Give both files.")
    if not inputs.sources and inputs.items is None:
        raise CatalogError("no source is given. Name a file, a folder, a data set or a server.")
    draft = CatalogDraft()
    draft.domain = _domain_of(inputs.mapping)
    if inputs.items is not None:
        _add_file(draft, inputs.items, inputs, progress)
    for source in inputs.sources:
        _add(draft, source, inputs, progress)
    if not len(draft):
        raise CatalogError(
            f"{', '.join(inputs.sources)}: no source contains items. Add --items FILE."
        )
    if inputs.kg is not None and inputs.link is not None:
        add_graph(
            draft,
            inputs.kg,
            inputs.link,
            crosswalk=_crosswalk(draft, inputs),
            progress=lambda n: progress(f"reading {inputs.kg}", n),
        )
    if inputs.facts is not None:
        progress(f"reading {inputs.facts}", 0)
        add_facts(draft, inputs.facts, _mapping_of_facts(inputs.mapping), strict=inputs.strict)
    return draft


def _domain_of(mapping: Path | None) -> str | None:
    """The key `domain` of a mapping file, which its reader validates."""
    data = load_yaml(mapping).data if mapping is not None else None
    domain = data.get("domain") if isinstance(data, dict) else None
    return domain if domain in DOMAINS else None


def _mapping_of_facts(path: Path | None) -> TableMapping | None:
    """The section `facts` of a mapping file, for --facts; None if the file has none."""
    data = load_yaml(path).data if path is not None else None
    if path is None or not isinstance(data, dict) or "facts" not in data:
        return None
    return read_mapping(path, TableMapping).facts


def _add(draft: CatalogDraft, source: str, inputs: Inputs, progress: Progress) -> None:
    kind = source.partition(":")[0].casefold()
    if kind == "sparql":
        from auditkit.catalog.sources.rdf import add_rdf
        from auditkit.catalog.sources.sparql_endpoint import Endpoint

        relations = _required(inputs, RdfMapping, source)
        with Endpoint(source.partition(":")[2]) as endpoint:
            add_rdf(draft, endpoint, relations, progress=progress)
    elif kind.partition("+")[0] in ("bolt", "neo4j"):
        from auditkit.catalog.sources.neo4j import add_nodes, connect

        mapping = _required(inputs, NodeMapping, source)
        with connect(source) as driver:
            add_nodes(draft, driver, mapping, name=source, progress=progress)
    elif source in DATASETS:
        _add_ml100k(draft, get_dataset(source), inputs, progress)
    elif Path(source).is_dir():
        _add_folder(draft, Path(source), inputs, progress)
    else:
        _add_file(draft, Path(source), inputs, progress)


def _add_ml100k(draft: CatalogDraft, folder: Path, inputs: Inputs, progress: Progress) -> None:
    if not len(draft):
        for item in load_ml100k(folder).catalog.items:
            draft.add_item(item.id, item.title, item.year, item.genres)
        draft.domain = draft.domain or MOVIES
        files = [folder / name for name in ("ml-100k.item", "u.item")]
        draft.sources.append(file_source(next(f for f in files if f.is_file()), _MOVIELENS))
    if inputs.kg is None and (folder / "ml-100k.kg").is_file():
        add_graph(
            draft,
            folder / "ml-100k.kg",
            folder / "ml-100k.link",
            crosswalk=_crosswalk(draft, inputs) or read_crosswalk(),
            source=_KB4REC,
            progress=lambda n: progress("reading ml-100k.kg", n),
        )


def _add_folder(draft: CatalogDraft, folder: Path, inputs: Inputs, progress: Progress) -> None:
    """Add a folder of RecBole atomic files or of tables; tables named `items` come first."""
    atomic = {suffix: sorted(folder.glob(f"*{suffix}")) for suffix in (".item", ".kg", ".link")}
    if atomic[".item"]:
        several = next((found for found in atomic.values() if len(found) > 1), None)
        if several:
            raise CatalogError(
                f"{folder} contains both {several[0].name} and {several[1].name}. Name the files "
                "with --items, --kg and --link."
            )
        if not len(draft):
            add_items(draft, atomic[".item"][0])
        if inputs.kg is None and atomic[".kg"] and atomic[".link"]:
            add_graph(
                draft,
                atomic[".kg"][0],
                atomic[".link"][0],
                crosswalk=_crosswalk(draft, inputs),
                progress=lambda n: progress(f"reading {atomic['.kg'][0].name}", n),
            )
        return
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (*TABLES, *RDF)]
    if not files:
        raise CatalogError(
            f"{folder} contains no table, RDF or .item file. Give {', '.join((*TABLES, *RDF))}."
        )
    for path in sorted(files, key=lambda path: path.stem not in ("items", "item", "catalog")):
        _add_file(draft, path, inputs, progress)


def _crosswalk(draft: CatalogDraft, inputs: Inputs) -> list[tuple[str, str]] | None:
    return crosswalk_pairs(draft, inputs.crosswalk) if inputs.crosswalk is not None else None


def _add_file(draft: CatalogDraft, path: Path, inputs: Inputs, progress: Progress) -> None:
    kind = path.suffix.lower()
    if kind == ".item":
        add_items(draft, path)
    elif kind in RDF:
        from auditkit.catalog.sources.rdf import add_rdf
        from auditkit.catalog.sources.rdf_file import RdfFile

        relations = _required(inputs, RdfMapping, str(path))
        with RdfFile(path) as graph:
            add_rdf(draft, graph, relations, progress=progress)
    elif kind in TABLES:
        mapping = None
        if inputs.mapping is not None and not _maps_a_graph(inputs):
            mapping = read_mapping(inputs.mapping, TableMapping)
        add_table(
            draft,
            path,
            mapping,
            strict=inputs.strict,
            progress=lambda n: progress(f"reading {path.name}", n),
        )
    else:
        raise CatalogError(
            f"{path} has an unknown file type. Give {', '.join((*TABLES, '.item', *RDF))}, a "
            f"folder, {', '.join(DATASETS)}, sparql:URL or bolt://HOST."
        )


def _maps_a_graph(inputs: Inputs) -> bool:
    """Whether the mapping describes an RDF or Neo4j source and not a table."""
    others = [s for s in inputs.sources if Path(s).suffix.lower() in RDF or "://" in s]
    return bool(others)


def _required(inputs: Inputs, model: type[Mapped], source: str) -> Mapped:
    if inputs.mapping is None:
        raise CatalogError(f"{source} needs --mapping FILE, which describes its relations.")
    return read_mapping(inputs.mapping, model)
