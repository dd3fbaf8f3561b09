"""Open a catalog by name: a data set, a built file, or any table that `catalog build` reads.

A table is built once into the cache, under the hash of its bytes, so that the next run with the
same table maps the finished index.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from auditkit.catalog.build import Inputs, Progress, build_catalog
from auditkit.catalog.built import built_by, open_built
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.datasets import DATASETS, cache_dir
from auditkit.catalog.linking import Linking
from auditkit.catalog.title_index import RECIPE
from auditkit.errors import CatalogError

__all__ = ["open_catalog"]


def open_catalog(
    source: str, *, linking: Linking = "auto", progress: Progress = lambda what, n: None
) -> Catalog:
    """The catalog that a user names.

    Args:
        source: `ml-100k`, a file that `auditkit catalog build` wrote, or a table.
        linking: how forgiving titles are linked; `auto` keeps what a built file says.
        progress: called while a table is built.

    Raises:
        CatalogError: there is no such catalog, or it is damaged or faulty.
    """
    path = Path(source)
    if source in DATASETS:
        catalog = Catalog.load(source)
    elif built_by(path):
        catalog = open_built(path)
    else:
        catalog = open_built(_built(path, progress))
    return catalog if linking == "auto" else replace(catalog, linking=linking)


def _built(table: Path, progress: Progress) -> Path:
    try:
        with table.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CatalogError(
            f"{table} cannot be read ({error.strerror}). Give ml-100k, a built catalog or a table."
        ) from None
    built = cache_dir() / "catalogs" / f"{digest[:32]}-{RECIPE}.akg"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        build_catalog(Inputs(sources=(str(table),)), built, progress=progress)
    return built
