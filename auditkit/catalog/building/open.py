"""Open a catalog by name: a data set, a built file, or any table that `catalog build` reads.

A table is built once into the cache, keyed by the hash of its bytes, so that later runs with the
same table memory-map the finished index. Entries are built in a temporary folder and renamed, so
concurrent builds do not conflict.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from auditkit.catalog.building.build import Inputs, Progress, build_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.datasets.download import DATASETS, cache_dir, get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.catalog.graph.sqlite_store import SCHEMA_VERSION
from auditkit.catalog.linking.title_index import INDEX_FORMAT_VERSION
from auditkit.catalog.linking.title_linker import Linking
from auditkit.catalog.sources.table_source import TABLE_READER_VERSION
from auditkit.catalog.storage.reader import built_by, open_built
from auditkit.errors import CatalogError

__all__ = ["load_catalog"]


def load_catalog(
    source: str | Path, *, linking: Linking = "auto", progress: Progress = lambda what, n: None
) -> Catalog:
    """Open the catalog that a user names.

    Args:
        source: `ml-100k` (downloaded if it is not in the cache), a file that `auditkit catalog
            build` wrote, or a CSV, TSV, JSON-lines or Parquet table. A table has the columns `id`
            and `title` and optionally `year`, `genres` and `aliases` (values separated by `|`); its
            other columns are facts.
        linking: strictness of title linking, see `TitleLinker`; `auto` uses the setting of a built
            file.
        progress: called with the name of the current step and the number of rows since the last
            call while the catalog of a table is built.

    Raises:
        CatalogError: the catalog does not exist, is damaged or is not valid.
    """
    path = Path(source)
    if str(source) in DATASETS:
        catalog = load_ml100k(get_dataset(str(source))).catalog
    elif built_by(path):
        catalog = open_built(path)
    else:
        catalog = replace(_open_table(path, progress), name=path.name)
    return catalog if linking == "auto" else replace(catalog, linking=linking)


def _open_table(table: Path, progress: Progress) -> Catalog:
    entry = _entry(table)
    if entry.exists():
        with contextlib.suppress(CatalogError):  # a damaged entry is rebuilt
            return open_built(entry)
    entry.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=entry.parent, prefix="unfinished-") as folder:
        built = Path(folder) / entry.name
        build_catalog(Inputs(sources=(str(table),)), built, progress=progress)
        index = built.with_name(f"{built.name}.index")
        in_place = entry.with_name(index.name)
        shutil.rmtree(in_place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was faster with the same index
            index.rename(in_place)
        built.replace(entry)
    return open_built(entry)


def _entry(table: Path) -> Path:
    """Cache folder of a table's catalog, named by a hash of its bytes and the reader versions."""
    try:
        with table.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CatalogError(
            f"{table} cannot be read ({error.strerror}). Give ml-100k, a built catalog or a table."
        ) from None
    read_by = (
        table.suffix.lower().lstrip("."),
        TABLE_READER_VERSION,
        SCHEMA_VERSION,
        INDEX_FORMAT_VERSION,
    )
    name = "-".join(map(str, (digest[:32], *read_by)))
    return cache_dir() / "catalogs" / f"{name}.akg"
