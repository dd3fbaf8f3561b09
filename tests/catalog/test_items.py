import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.items import CatalogItem, ItemColumns

ITEMS = (
    CatalogItem("a", "Heat", 1995, ("Crime", "Drama"), ("Feu",)),
    CatalogItem("b", "Class of 1984", None, ("Horror",)),
    CatalogItem("c", "Ran", 1985),
)
COLUMNS = ItemColumns(
    [item.id for item in ITEMS],
    [item.title for item in ITEMS],
    [item.year for item in ITEMS],
    lambda row: ITEMS[row].genres,
    {0: ("Feu",)},
)
ROWS = st.integers(-5, 5)


@given(st.one_of(ROWS, st.slices(len(ITEMS))))
def test_columns_are_read_like_a_tuple_of_items(row):
    if isinstance(row, int) and not -len(ITEMS) <= row < len(ITEMS):
        with pytest.raises(IndexError):
            COLUMNS[row]
    else:
        assert COLUMNS[row] == ITEMS[row]
    assert tuple(COLUMNS) == ITEMS


def test_a_catalog_of_columns_equals_one_of_objects():
    stored, objects = Catalog(COLUMNS), Catalog(ITEMS)
    assert stored.ids == objects.ids
    assert stored.years == objects.years
    assert stored.index == objects.index
    assert stored.fingerprint == objects.fingerprint
    assert stored.linker.index.n_entries == objects.linker.index.n_entries
    assert stored.link(["Feu (1995)", "Ran"]) == objects.link(["Feu (1995)", "Ran"])
