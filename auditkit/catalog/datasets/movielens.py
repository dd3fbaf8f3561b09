"""Load MovieLens-100k from the files of RecBole or GroupLens, with the same result.

Two films have no year in the RecBole file: "unkonwn", and one whose year column is "V" (from a
title that ends in "(V)") while its title contains "(1995)". If the column has no year, we take the
bracketed year of the title. The genre "unknown" is dropped. Ages are grouped into under 25, 25 to
39, and 40 and over.

Source: Harper & Konstan 2015; RecBole 1.2.1, `dataset_example/ml-100k`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.interactions import Interactions
from auditkit.catalog.items import CatalogItem
from auditkit.catalog.sources.freebase import read_crosswalk
from auditkit.catalog.sources.recbole import add_graph
from auditkit.catalog.sources.table_reader import separate_year
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.domains.shipped import MOVIES
from auditkit.errors import CatalogError

__all__ = ["GENRES", "age_group", "film_graph", "load_ml100k"]

# u.item has one genre flag per position, in this order (u.genre of the GroupLens release); the
# first one means no genre.
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
GENDERS = {"M": "male", "F": "female"}


def load_ml100k(folder: Path, *, tie_seed: int = 0) -> Dataset:
    """Read the data set from a folder that `get_dataset` returned.

    Args:
        folder: contains `ml-100k.inter`, `.item`, `.user` (and `.kg`, `.link` for the Freebase
            triples), or `u.data`, `u.item`, `u.user`.
        tie_seed: seed of the random order of interactions with the same timestamp.

    Raises:
        CatalogError: a file is missing or a line cannot be read.
    """
    if (folder / "ml-100k.inter").is_file():
        items = [_atomic_item(row) for row in _atomic(folder / "ml-100k.item", 4)]
        users = [(row[0], row[1], row[2], row[3]) for row in _atomic(folder / "ml-100k.user", 5)]
        rows = list(_atomic(folder / "ml-100k.inter", 4))
    else:
        items = [_grouplens_item(row) for row in _lines(folder / "u.item", "|", 24, "latin-1")]
        users = [
            (row[0], row[1], row[2], row[3]) for row in _lines(folder / "u.user", "|", 5, "latin-1")
        ]
        rows = list(_lines(folder / "u.data", "\t", 4, "latin-1"))
    build = partial(film_graph, folder=folder) if (folder / "ml-100k.kg").is_file() else None
    catalog = Catalog(tuple(items), name="ml-100k", build_graph=build, domain=MOVIES)
    return Dataset(catalog, _interactions(catalog, users, rows, tie_seed, folder))


def film_graph(
    items: Sequence[CatalogItem],
    *,
    folder: Path,
    crosswalk: Iterable[tuple[str, str]] | None = None,
) -> KnowledgeGraph:
    """Build the graph of year, decade and genre; Freebase facts are added if the link passes the
    check.

    Args:
        items: the catalog's items.
        folder: contains `ml-100k.kg` and `ml-100k.link`.
        crosswalk: pairs (id in `.link`, item id); by default the shipped pairs.

    Returns:
        The graph; its `link` and `warnings` contain the result of the link check.
    """
    draft = CatalogDraft()
    for item in items:
        draft.add_item(item.id, item.title, item.year, item.genres)
    pairs = read_crosswalk() if crosswalk is None else crosswalk
    add_graph(draft, folder / "ml-100k.kg", folder / "ml-100k.link", crosswalk=pairs)
    return KnowledgeGraph.of_encoded(
        draft.ids, draft.graph.encode(len(draft)), warnings=draft.warnings, link=draft.link
    )


def age_group(age: str) -> str:
    """Age group of an age in years: `under 25`, `25 to 39` or `40 and over`; `unknown` if the age
    is not a number.
    """
    if not age.isdecimal():
        return "unknown"
    years = int(age)
    return "under 25" if years < 25 else "25 to 39" if years < 40 else "40 and over"


def _interactions(
    catalog: Catalog,
    users: Sequence[tuple[str, str, str, str]],
    rows: Sequence[Sequence[str]],
    tie_seed: int,
    folder: Path,
) -> Interactions:
    user_rows = {user[0]: row for row, user in enumerate(users)}
    try:
        return Interactions.from_rows(
            [user_rows[row[0]] for row in rows],
            [catalog.index[row[1]] for row in rows],
            rating=[float(row[2]) for row in rows],
            timestamp=[int(float(row[3])) for row in rows],
            user_ids=list(user_rows),
            item_ids=[item.id for item in catalog.items],
            attributes=[_attributes(*user[1:]) for user in users],
            tie_seed=tie_seed,
        )
    except (KeyError, ValueError) as error:
        raise CatalogError(
            f"an interaction of {catalog.name} has an unknown user or item, or a value that is not "
            f"a number ({error}). {_remedy(folder)}"
        ) from None


def _attributes(age: str, gender: str, occupation: str) -> Mapping[str, str]:
    return {
        "gender": GENDERS.get(gender, "unknown"),
        "age": age_group(age),
        "occupation": "unknown" if occupation in ("", "none", "other") else occupation,
    }


def _atomic_item(row: Sequence[str]) -> CatalogItem:
    item_id, title, year, genres = row
    known = tuple(genre for genre in genres.split() if genre != "unknown")
    if year.isdecimal():
        return CatalogItem(item_id, title, int(year), known)
    return CatalogItem(item_id, *separate_year(title), known)


def _grouplens_item(row: Sequence[str]) -> CatalogItem:
    flags = zip(GENRES[1:], row[6:], strict=True)
    return CatalogItem(
        row[0], *separate_year(row[1]), tuple(genre for genre, flag in flags if flag == "1")
    )


def _atomic(path: Path, n_columns: int) -> Iterator[list[str]]:
    rows = _lines(path, "\t", n_columns, "utf-8")
    header = next(rows, [])
    if not all(":" in name for name in header):
        raise CatalogError(
            f"{path} does not begin with a header of name:type columns. {_remedy(path.parent)}"
        )
    yield from rows


def _remedy(folder: Path) -> str:
    return f"Delete {folder} and run: auditkit data get ml-100k"


def _lines(path: Path, separator: str, n_columns: int, encoding: str) -> Iterator[list[str]]:
    try:
        text = path.read_text(encoding=encoding)
    except OSError as error:
        raise CatalogError(
            f"{path} cannot be read ({error.strerror}). {_remedy(path.parent)}"
        ) from None
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path} is not {encoding} (byte {error.start}). {_remedy(path.parent)}"
        ) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        cells = line.rstrip("\r").split(separator)
        if len(cells) != n_columns:
            raise CatalogError(
                f"{path}:{number} has {len(cells)} columns instead of {n_columns}. "
                f"{_remedy(path.parent)}"
            )
        yield cells
