"""Which field of a JSON object, or which column of a table, names the item.

Field names are compared without case, separators and accents, so `productName`, `product_name` and
`Product Name` are one name. If no field has a known name, the field is used whose values differ
between the objects and have the most letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditkit.catalog.linking.normalize import fold

__all__ = ["is_item_field", "item_texts"]

_TITLE_NAMES = frozenset(
    "".join(fold(name))
    for name in (
        "title", "name", "item title", "item name", "product", "product title", "product name",
        "movie", "movie title", "film", "film title", "book", "book title", "song", "song title",
        "track", "track title", "track name", "album", "headline", "job title", "position",
        "recommendation", "item", "label", "titel", "produkt", "produktname", "artikel",
        "artikelname", "bezeichnung", "buch", "stelle", "überschrift", "titre", "nom", "produit",
        "título", "nombre", "producto", "titolo", "nome", "prodotto", "produto",
    )
)  # fmt: skip
_ID_NAMES = frozenset(
    "".join(fold(name))
    for name in (
        "id", "sku", "asin", "isbn", "isbn13", "isbn10", "ean", "gtin", "upc", "mpn", "code",
        "item id", "item code", "product id", "product code", "article id", "article number",
        "movie id", "film id", "book id", "track id", "job id", "artikelnummer", "art nr",
        "produkt id", "bestellnummer",
    )
)  # fmt: skip
# The more exact name of an object comes first: its `title`, not its `item`.
_GENERIC = ("item", "label", "product", "produkt", "recommendation", "position")
_NOT_ITEMS = frozenset(
    "".join(fold(name))
    for name in (
        "reason", "explanation", "description", "why", "comment", "summary", "note", "url", "link",
        "image", "price", "currency", "rating", "score", "rank", "genre", "category", "brand",
        "grund", "begründung", "beschreibung", "preis", "kategorie", "marke", "year", "jahr",
    )
)  # fmt: skip


def is_item_field(name: str) -> bool:
    """Whether a field of this name contains the title or the id of an item."""
    key = _key(name)
    return key in _TITLE_NAMES or key in _ID_NAMES


def item_texts(rows: Sequence[Mapping[str, object]]) -> list[str] | None:
    """Return the text that names the item of each row: its title, its id, or `id: title`.

    Args:
        rows: objects or table rows with the same fields; nested objects are searched too.

    Returns:
        One text per row, empty for a row that names no item; None if no field seems to name items.
    """
    flat = [dict(_flat(row)) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    titles = _preferred([name for name in names if _key(_last(name)) in _TITLE_NAMES], flat)
    ids = [name for name in names if _key(_last(name)) in _ID_NAMES and not _is_rank(name, flat)]
    if titles is None and not ids:
        titles = _most_telling(names, flat)
    if titles is None and not ids:
        return None
    return [_text(row, titles, ids) for row in flat]


def _flat(row: Mapping[str, object], prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Texts and whole numbers of an object, by the path of their names."""
    found: list[tuple[str, str]] = []
    for name, value in row.items():
        path = f"{prefix}{name}"
        if isinstance(value, str):
            found.append((path, value.strip()))
        elif isinstance(value, int) and not isinstance(value, bool):
            found.append((path, str(value)))
        elif isinstance(value, Mapping) and depth < 3:
            found += _flat(value, f"{path}\0", depth + 1)
    return found


def _last(path: str) -> str:
    return path.rpartition("\0")[2]


def _key(name: str) -> str:
    return "".join(fold(name))


def _preferred(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str | None:
    """The most exact title field that most rows have."""
    usual = [name for name in names if sum(bool(row.get(name)) for row in rows) * 2 > len(rows)]
    return min(
        usual, key=lambda name: (_key(_last(name)) in _GENERIC, name.count("\0")), default=None
    )


def _most_telling(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str | None:
    """The text field with the most letters whose values are all different and not sentences."""

    def letters(name: str) -> int:
        values = [row.get(name, "") for row in rows]
        telling = len(set(values)) == len(values) and not any(
            value.endswith((".", "!")) or "://" in value for value in values
        )
        return telling * sum(letter.isalpha() for value in values for letter in value)

    fields = [name for name in names if _key(_last(name)) not in _NOT_ITEMS and letters(name)]
    return max(fields, key=letters, default=None)


def _is_rank(name: str, rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether the values of a field only count the rows, from 0 or 1."""
    values = [row.get(name, "") for row in rows]
    counted = [[str(n) for n in range(first, first + len(rows))] for first in (0, 1)]
    return values in counted and any(len(row) > 1 for row in rows)


def _text(row: Mapping[str, str], title: str | None, ids: Sequence[str]) -> str:
    code = next((row[name] for name in ids if row.get(name)), "")
    written = row.get(title, "") if title is not None else ""
    return f"{code}: {written}" if code and written else code or written
