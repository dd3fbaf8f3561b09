"""Users, items and interactions from a person's own tables."""

from __future__ import annotations

import json

import pytest

from auditkit.catalog.own_data import load_own_data, open_dataset
from auditkit.errors import CatalogError, ConfigurationError

DESCRIPTION = """version: 1
name: my-shop
interactions: {file: events.EXT, user: uid, item: iid, timestamp: ts, rating: stars}
items: {file: items.csv, id: iid, title: name, genres: tags, year: year}
users: {file: users.csv, id: uid, attributes: [gender]}
"""
ITEMS = "iid,name,tags,year\na,Fargo,Crime|Drama,1996\nb,Heat,Crime,1995\nc,Toys,,\n"
USERS = "uid,gender\nu1,female\nu2,\nu9,male\n"
ROWS = [("u1", "a", 1, 5), ("u2", "b", 3, 2), ("u1", "b", 2, 4), ("u1", "c", 3, 1.5)]


def write(folder, extension="csv", rows=ROWS):
    (folder / "data.yaml").write_text(DESCRIPTION.replace("EXT", extension))
    (folder / "items.csv").write_text(ITEMS)
    (folder / "users.csv").write_text(USERS)
    names = ("uid", "iid", "ts", "stars")
    if extension == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
        (folder / "events.jsonl").write_text("\n".join(lines))
    elif extension == "parquet":
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pandas.DataFrame(rows, columns=names).to_parquet(folder / "events.parquet")
    else:
        lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
        (folder / "events.csv").write_text("\n".join(lines) + "\n")
    return folder / "data.yaml"


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_tables_become_sorted_histories_with_attributes(tmp_path, extension):
    data = load_own_data(write(tmp_path, extension))
    rows = data.interactions
    assert [item.display_title for item in data.catalog.items] == [
        "Fargo (1996)", "Heat (1995)", "Toys",
    ]  # fmt: skip
    assert data.catalog["a"].genres == ("Crime", "Drama")
    assert rows.user_ids == ("u1", "u2")
    assert [rows.item_ids[i] for i in rows.item_index[:3]] == ["a", "b", "c"]
    assert rows.rating.tolist() == [5, 4, 1.5, 2]
    assert [dict(a) for a in rows.attributes] == [{"gender": "female"}, {"gender": "unknown"}]


def test_every_format_is_the_same_data(tmp_path):
    prints = set()
    for extension in ("csv", "jsonl"):
        folder = tmp_path / extension
        folder.mkdir()
        prints.add(load_own_data(write(folder, extension)).fingerprint)
    assert len(prints) == 1


def test_every_fault_is_named_with_its_line(tmp_path):
    rows = [*ROWS, ("u1", "zz", 1, 1), ("", "a", 1, 1), ("u2", "a", "noon", 1), ("u2", "a", 1, "x")]
    with pytest.raises(CatalogError, match="4 faulty lines") as error:
        load_own_data(write(tmp_path, rows=rows))
    for words in ("line 6: item 'zz' is not in the items table", "line 7: empty uid",
                  "line 8: ts 'noon' is not a number", "line 9: stars 'x'"):  # fmt: skip
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("stars", "rank"), "no rank"),
        (lambda text: text.replace("users.csv", "none.csv"), "cannot be read"),
        (lambda text: text.replace("gender", "faith"), "no faith"),
    ],
)
def test_missing_column_or_file_is_named(tmp_path, change, words):
    path = write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(CatalogError, match=words):
        load_own_data(path)


def test_unknown_key_of_the_description_names_its_line(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text() + "colour: red\n")
    with pytest.raises(ConfigurationError, match=r"data\.yaml:6"):
        load_own_data(path)


def test_unknown_data_set_says_what_to_give():
    with pytest.raises(CatalogError, match="Give ml-100k or the YAML file"):
        open_dataset("ml-1m")
