"""Store a data set that was read from tables, and memory-map it at the next start.

A folder has one `.npy` file per column and `meta.json` with the size and checksum of each, so a
file that was cut or changed is detected and the tables are read again. A folder is written under
another name and renamed, so concurrent runs do not conflict.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.graph.builder import EncodedGraph
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.graph.schema import Predicate
from auditkit.catalog.interactions import Interactions
from auditkit.catalog.items import CatalogItem, ItemColumns, encode_items
from auditkit.catalog.linking.string_array import Strings
from auditkit.serialization.canonical_json import canonical_json, read_json
from auditkit.serialization.mapped_arrays import map_array

__all__ = ["DATA_FORMAT_VERSION", "open_stored", "store"]

DATA_FORMAT_VERSION = 1  # of the readers of tables and of this layout
_META, _INDEX = "meta.json", "titles.index"
_ROWS = ("user_index", "item_index", "timestamp", "rating")
_BLOCK = 1 << 22

Arrays = Mapping[str, NDArray[Any]]


def store(dataset: Dataset, folder: Path) -> None:
    """Write a data set to a folder in a form that can be memory-mapped; does nothing if the folder
    exists.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as temporary:
        unfinished = Path(temporary) / folder.name
        unfinished.mkdir()
        arrays, described = _parts(dataset)
        for name, values in arrays.items():
            np.save(unfinished / f"{name}.npy", values, allow_pickle=False)
        files = {path.name: _checksum(path) for path in unfinished.iterdir()}
        text = canonical_json({**described, "files": files})
        (unfinished / _META).write_text(f"{zlib.crc32(text.encode())}\n{text}", encoding="ascii")
        if not folder.exists():
            unfinished.rename(folder)


def open_stored(folder: Path) -> Dataset | None:
    """Memory-map a stored data set; None if it does not exist or is damaged."""
    try:
        checksum, _, text = (folder / _META).read_text(encoding="ascii").partition("\n")
        if int(checksum) != zlib.crc32(text.encode()):
            return None
        described = read_json(text)
        for name, stated in described["files"].items():
            if _checksum(folder / name) != stated:
                return None
        arrays = {Path(name).stem: map_array(folder / name) for name in described["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _dataset(arrays, described, folder)


def _checksum(path: Path) -> list[int]:
    """Size in bytes and CRC-32 of a file, which detect accidents; read in blocks."""
    value = size = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            value, size = zlib.crc32(block, value), size + len(block)
    return [size, value]


def _parts(dataset: Dataset) -> tuple[Arrays, dict[str, Any]]:
    """Split a data set into its arrays and its other content."""
    catalog, rows = dataset.catalog, dataset.interactions
    genres = [item.genres for item in catalog.items]
    names = {
        name: code for code, name in enumerate(dict.fromkeys(g for own in genres for g in own))
    }
    combinations: dict[int, int] = {}
    numbers = [combinations.setdefault(id(own), len(combinations)) for own in rows.attributes]
    shared = {id(own): dict(own) for own in rows.attributes}
    graph = encode_items(catalog.items)
    arrays = {
        **{name: getattr(rows, name) for name in _ROWS},
        **_packed("user_ids", rows.user_ids),
        **_packed("item_ids", catalog.ids),
        **_packed("titles", [item.title for item in catalog.items]),
        **_packed("terms", graph.texts),
        "years": np.array([year or 0 for year in catalog.years], dtype=np.int16),
        "genre_offsets": np.cumsum([0, *map(len, genres)], dtype=np.int64),
        "genre_codes": np.array([names[g] for own in genres for g in own], dtype=np.int32),
        "attributes": np.array(numbers, dtype=np.int32),
        "triples": graph.keys,
        "numbers": graph.numbers,
    }
    described = {
        "name": catalog.name,
        "catalog_sha256": catalog.fingerprint,
        "data_sha256": dataset.fingerprint,
        "notes": list(dataset.notes),
        "genres": list(names),
        "attributes": [shared[key] for key in combinations],
        "tie_seed": rows.tie_seed,
        "n_duplicates": rows.n_duplicates,
        "cuts": rows.cuts and list(rows.cuts),
        "starts": list(graph.starts),
        "predicates": [asdict(predicate) for predicate in graph.predicates],
        "warnings": list(graph.warnings),
    }
    return arrays, described


def _dataset(arrays: Arrays, described: Mapping[str, Any], folder: Path) -> Dataset:
    item_ids = _unpacked(arrays, "item_ids")
    items = ItemColumns(
        item_ids,
        _unpacked(arrays, "titles"),
        [year or None for year in arrays["years"].tolist()],
        _Genres(arrays, described["genres"]),
    )

    def graph(_: Sequence[CatalogItem]) -> KnowledgeGraph:
        return KnowledgeGraph.of_encoded(
            item_ids,
            EncodedGraph(
                keys=arrays["triples"],
                starts=tuple(described["starts"]),
                texts=_unpacked(arrays, "terms"),
                numbers=arrays["numbers"],
                predicates=tuple(Predicate(**fields) for fields in described["predicates"]),
                warnings=tuple(described["warnings"]),
            ),
        )

    catalog = Catalog(
        items,
        name=described["name"],
        build_graph=graph,
        content_sha256=described["catalog_sha256"],
        index_folder=folder / _INDEX,
    )
    attributes = described["attributes"]
    rows = Interactions(
        **{name: arrays[name] for name in _ROWS},
        user_ids=tuple(_unpacked(arrays, "user_ids")),
        item_ids=tuple(item_ids),
        attributes=tuple(attributes[code] for code in arrays["attributes"].tolist()),
        tie_seed=described["tie_seed"],
        n_duplicates=described["n_duplicates"],
        cuts=described["cuts"] and tuple(described["cuts"]),
    )
    return Dataset(catalog, rows, tuple(described["notes"]), described["data_sha256"])


def _packed(name: str, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    packed = Strings.pack(texts)
    return {f"{name}_blob": packed.blob, f"{name}_offsets": packed.offsets}


def _unpacked(arrays: Arrays, name: str) -> list[str]:
    offsets = arrays[f"{name}_offsets"]
    return Strings(arrays[f"{name}_blob"], offsets).texts(np.arange(len(offsets) - 1))


class _Genres:
    """The genres of an item, in the order of the table."""

    def __init__(self, arrays: Arrays, names: Sequence[str]) -> None:
        self._offsets, self._codes, self._names = (
            arrays["genre_offsets"].tolist(),
            arrays["genre_codes"].tolist(),
            names,
        )

    def __call__(self, row: int) -> tuple[str, ...]:
        begin, end = self._offsets[row], self._offsets[row + 1]
        return tuple(self._names[code] for code in self._codes[begin:end])
