"""Many cells at once are read as one after another."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.datasets.column_values import (
    IdColumn,
    Ratings,
    Times,
    id_text,
    known_numbers,
)
from auditkit.catalog.datasets.user_tables import load_own_data
from auditkit.catalog.sources import table_batches
from auditkit.catalog.sources.cell_values import WrittenNumber
from auditkit.catalog.sources.unknown_cells import UnknownCells
from auditkit.errors import CatalogError

CELLS = st.one_of(
    st.sampled_from(["1", "1.0", " 1", "007", "", "NA", "x", "1_0", "1e3", "inf", "2024-03-01"]),
    st.sampled_from(["2024-03-01T10:00:00", "2024-03-01 10:00:00+02:00", "9" * 20, "-0", "+5."]),
    st.sampled_from([None, True, 1, 0, 1.0, 2.5, float("nan"), float("inf"), [1], 2**60]),
    st.sampled_from([WrittenNumber("1.50"), WrittenNumber("1e5")]),
    st.sampled_from([datetime.date(2024, 3, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 5)]),
)
COLUMNS = st.one_of(
    st.lists(CELLS, max_size=6),
    *(st.lists(CELLS.filter(lambda c, t=kind: type(c) is t)) for kind in (str, int, float)),
    st.lists(CELLS.filter(lambda c: isinstance(c, datetime.datetime)), max_size=3),
)


@pytest.mark.parametrize("reader", [Ratings, Times])
@given(cells=COLUMNS)
def test_numbers_of_a_column_are_those_of_its_cells(reader, cells):
    together, alone = UnknownCells(), UnknownCells()
    whole, single = reader(), reader()
    lines, faults = range(2, 2 + len(cells)), []
    found = known_numbers(whole, "c", cells, lines, together, faults)
    single.many = lambda _: None
    expected = known_numbers(single, "c", cells, lines, alone, faults)
    assert not faults
    assert np.array_equal(found, expected, equal_nan=True)
    assert together.warnings("t") == alone.warnings("t")
    if reader is Times:
        assert whole.notes("t") == single.notes("t")


@given(cells=COLUMNS)
def test_ids_are_numbered_by_their_written_form(cells):
    column, faults, expected = IdColumn("id"), [], []
    numbers = column.numbers(cells, range(1, 1 + len(cells)), faults)
    for cell, number in zip(cells, numbers.tolist(), strict=True):
        try:
            expected.append(id_text(cell, "id"))
        except ValueError:
            expected.append(None)
        assert (None if number < 0 else column.texts[number]) == expected[-1]
    assert len(faults) == expected.count(None)
    assert column.texts == list(dict.fromkeys(text for text in expected if text is not None))


def write(folder, table, *, strict=False):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame(table).to_parquet(folder / "e.parquet")
    (folder / "i.csv").write_text("id,title\n7,Heat\n007,Ran\n")
    (folder / "d.yaml").write_text(
        "version: 1\nname: own\ninteractions: {file: e.parquet, user: u, item: i, timestamp: t}\n"
        f"items: {{file: i.csv}}\nstrict: {str(strict).lower()}\n"
    )
    return folder / "d.yaml"


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_parquet_timestamps_are_times(tmp_path, zone):
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime(
        ["2024-03-01 10:00:00.5", "2024-03-02"], format="ISO8601"
    ).tz_localize(zone)
    path = write(tmp_path, {"u": ["a", "a"], "i": ["7", "007"], "t": times})
    data = load_own_data(path)
    assert data.interactions.timestamp.tolist() == [int(t.timestamp()) for t in times]
    assert [data.interactions.item_ids[i] for i in data.interactions.item_index] == ["7", "007"]
    said = "e.parquet: 2 dates without a time zone are read as UTC"
    assert (said in data.notes) == (zone is None)


def test_parquet_dates_and_empty_cells_are_read(tmp_path):
    days = [datetime.date(1970, 1, 3), None, datetime.date(1970, 1, 2)]
    data = load_own_data(write(tmp_path, {"u": [1, 1, 2], "i": [7.0, 7.0, 7.0], "t": days}))
    assert data.interactions.timestamp.tolist() == [172_800, 86_400]
    assert data.interactions.user_ids == ("1", "2")
    assert any("1 values of t are marked as unknown" in note for note in data.notes)


@pytest.mark.parametrize("rows", [1, 2, 3, 1 << 16])
def test_lines_and_faults_do_not_depend_on_the_batches(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(table_batches, "ROWS_AT_ONCE", rows)
    (tmp_path / "i.csv").write_text("id,title\n7,Heat\n")
    (tmp_path / "e.csv").write_text(
        'user,item,timestamp\n"a\nb",7,1\n\nc,7\nd,8,1\n,7,1\ne,7,x\n"f",7,2\ng,7,"3\n'
    )
    (tmp_path / "d.yaml").write_text(
        "version: 1\nname: own\ninteractions: {file: e.csv}\nitems: {file: i.csv}\nstrict: true\n"
    )
    with pytest.raises(CatalogError) as error:
        load_own_data(tmp_path / "d.yaml")
    assert [line.split(":")[0] for line in str(error.value).split("\n  ")[1:]] == [
        f"line {line}" for line in (5, 6, 7, 8, 10)
    ]
