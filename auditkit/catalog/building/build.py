"""Build a catalog file from tables, atomic files, RDF, endpoints and data sets.

The first source with items defines the catalog; every other source adds facts about them. The
content of all sources is copied into the file, so an audit queries no server and is reproducible.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from auditkit.catalog.building.inputs import Inputs, Progress, read_inputs
from auditkit.catalog.linking.title_linker import Linking
from auditkit.catalog.quality.linker_evaluation import self_check
from auditkit.catalog.storage.reader import index_folder, index_titles, is_ours, open_for_check
from auditkit.catalog.storage.sqlite_writer import write_sqlite
from auditkit.errors import CatalogError
from auditkit.types import Estimate

__all__ = ["BuildReport", "Inputs", "Progress", "build_catalog"]

Store = Literal["sqlite", "duckdb"]


@dataclass(frozen=True)
class BuildReport:
    """Result of a build.

    Attributes:
        linked, unlinked: number of items with and without an entity or facts from an external
            source; None if there is no such source.
        agreement: genre agreement between the link and the catalog, in [0, 1], ideal 1; None if
            nothing was linked or no genres could be compared.
        recall: fraction of known titles that the linker links, with its interval; ideal 1.
        refusal: fraction of hidden titles for which the linker names no item, with its interval;
            ideal 1.
        notes: explanations that `catalog build` prints below the result.
    """

    items: int
    entries: int
    aliases: int
    triples: int
    predicates: tuple[Mapping[str, JsonValue], ...]
    linked: int | None
    unlinked: int | None
    agreement: float | None
    recall: Mapping[str, JsonValue]
    refusal: Mapping[str, JsonValue]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, JsonValue]:
        """The object that `catalog build --json` prints."""
        return {
            "items": self.items,
            "entries": self.entries,
            "aliases": self.aliases,
            "triples": self.triples,
            "predicates": [dict(predicate) for predicate in self.predicates],
            "linked": self.linked,
            "unlinked": self.unlinked,
            "agreement": self.agreement,
            "self_check": {"recall": dict(self.recall), "refusal": dict(self.refusal)},
            "warnings": list(self.warnings),
        }


def build_catalog(
    inputs: Inputs,
    out: Path,
    *,
    store: Store = "sqlite",
    linking: Linking = "auto",
    progress: Progress = lambda what, n: None,
) -> BuildReport:
    """Read all inputs, write the catalog file, and check the title linker on it.

    Args:
        inputs: the sources of items and facts.
        out: the file to write. An existing catalog is replaced when the new one is complete; any
            other existing file is an error.
        store: `duckdb` (extra `graph`) for graphs that are scanned in large batches.
        linking: strictness of title linking, see `TitleLinker`.
        progress: called with the name of the current step and the number of rows since the last
            call.

    Raises:
        CatalogError: an input is missing, not valid or of an unknown kind, or writing `out` would
            replace an input, or a file or folder that auditkit did not write.
        ConfigurationError: the mapping is not valid.
        MissingDependency: an input needs an extra.
    """
    _require_replaceable(inputs, out)
    built = _write(inputs, out, store, linking, progress)
    progress("indexing titles", 0)
    index_titles(out)
    catalog = open_for_check(out)
    n_entries = catalog.linker.index.n_entries
    progress("checking the title linker", 0)
    recall, refusal = self_check(catalog, seed=0)
    return replace(built, entries=n_entries, recall=_interval(recall), refusal=_interval(refusal))


def _require_replaceable(inputs: Inputs, out: Path) -> None:
    """Raise CatalogError if `out` is an input or was not written by auditkit."""
    named = (inputs.mapping, inputs.items, inputs.kg, inputs.link, inputs.crosswalk, inputs.facts)
    for given in (*map(Path, inputs.sources), *filter(None, named)):
        with contextlib.suppress(OSError):
            if given.samefile(out):
                raise CatalogError(
                    f"--out {out} is the same file as the input {given}, which would be "
                    "overwritten. Give another --out."
                )
    if os.path.lexists(out) and not is_ours(out) and not (out.is_file() and _is_empty(out)):
        raise CatalogError(
            f"--out {out} exists and is not an auditkit catalog. Give another --out, or remove "
            "the file."
        )
    if index_folder(out) is None:
        raise CatalogError(
            f"{out}.index exists and is not a title index. Move it away, or give another --out."
        )


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _interval(share: Estimate) -> Mapping[str, JsonValue]:
    return {"value": share.value, "low": share.low, "high": share.high, "n": share.n}


def _write(
    inputs: Inputs, out: Path, store: Store, linking: Linking, progress: Progress
) -> BuildReport:
    """Write the catalog file, free the draft in memory, then open and check the file."""
    draft = read_inputs(inputs, progress=progress)
    progress("numbering terms", 0)
    encoded = draft.graph.encode(len(draft))

    def written(n: int) -> None:
        progress("writing triples", n)

    if store == "duckdb":
        from auditkit.catalog.storage.duckdb_writer import write_duckdb

        write_duckdb(out, draft, encoded, linking=linking, progress=written)
    else:
        write_sqlite(out, draft, encoded, linking=linking, progress=written)
    return BuildReport(
        items=len(draft),
        entries=0,
        aliases=sum(map(len, draft.aliases.values())),
        triples=len(encoded.keys),
        predicates=tuple(
            {"name": p.name, "world": p.world, "triples": triples, "subjects": subjects}
            for p, (triples, subjects) in zip(encoded.predicates, encoded.counts(), strict=True)
        ),
        linked=None if draft.linked is None else len(draft.linked),
        unlinked=None if draft.linked is None else len(draft) - len(draft.linked),
        agreement=draft.agreement,
        recall={},
        refusal={},
        warnings=(*draft.warnings, *encoded.warnings),
        notes=tuple(draft.notes),
    )
