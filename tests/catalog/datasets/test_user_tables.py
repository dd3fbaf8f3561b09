"""Users, items and interactions from a person's own tables."""

from __future__ import annotations

import json

import pytest
from small_world import write_cache

from auditkit.catalog.datasets.user_tables import load_own_data, open_dataset
from auditkit.cli import main
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


def test_temporal_split_holds_out_what_came_later(tmp_path):
    rows = [("u1", item, at, 1) for at, item in ((1, "a"), (5, "b"), (9, "c"))]
    rows += [("u2", "a", 2, 1), ("u2", "b", 3, 1), ("u3", "c", 9, 1), ("u4", "a", 1, 1),
             ("u4", "c", 8, 1)]  # fmt: skip
    path = write(tmp_path, rows=rows)
    whole = load_own_data(path)
    path.write_text(path.read_text() + "split: {validation_from: 4, test_from: 8}\n")
    data = load_own_data(path).interactions
    named = lambda places: [  # noqa: E731
        (data.user_ids[data.user_index[i]], data.item_ids[data.item_index[i]]) for i in places
    ]
    split = data.split()
    assert named(split.test) == [("u1", "c"), ("u4", "c")]
    assert named(split.validation) == [("u1", "b")]
    assert named(split.train) == [("u1", "a"), ("u2", "a"), ("u2", "b"), ("u4", "a")]
    assert (split.users_without_test, split.users_without_validation) == (2, 3)
    assert [len(data.history(u, until="test")) for u in range(4)] == [2, 2, 0, 1]
    assert load_own_data(path).fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    ("cuts", "words"), [((8, 4), "must come before"), ((100, 200), "Choose another")]
)
def test_split_that_holds_out_nothing_is_refused(tmp_path, cuts, words):
    path = write(tmp_path)
    split = f"split: {{validation_from: {cuts[0]}, test_from: {cuts[1]}}}\n"
    path.write_text(path.read_text() + split)
    with pytest.raises(CatalogError, match=words):
        load_own_data(path)


def test_shipped_data_can_be_split_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    path = tmp_path / "data.yaml"
    text = "version: 1\nname: later\nsource: ml-100k\n"
    path.write_text(text + "split: {validation_from: 40000, test_from: 40004}\n")
    data = open_dataset(str(path))
    assert data.interactions.cuts == (40000, 40004)
    assert data.interactions.split().users_without_test == 79


def test_trained_and_audited_on_own_data(tmp_path, capsys):
    rows = [(f"u{u}", "abc"[(u + i) % 3], i, 1) for u in range(12) for i in range(3)]
    write(tmp_path, rows=rows)
    recipe = """version: 1
name: own
steps: 3
data: {dataset: DATA, holdout_users: 2, window: 4}
model: {width: 16, layers: 1, heads: 2, mlp: 32, text_vocabulary: 300}
tasks: {recommend: 4, describe: 1}
"""
    path = tmp_path / "own.yaml"
    path.write_text(recipe.replace("DATA", str(tmp_path / "data.yaml")))
    for words in (
        ["train", str(path), "--out", str(tmp_path / "model"), "--quiet"],
        ["audit", str(tmp_path / "model"), "--data", str(tmp_path / "data.yaml"), "--recipe",
         "quick", "--only", "utility,hallucination", "--out", str(tmp_path / "run"), "--quiet"],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert not stopped.value.code, capsys.readouterr().err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["catalog"]["name"] == "my-shop"
    assert {o["status"] for o in result["outcomes"]} == {"ran"}


def test_every_format_is_the_same_data(tmp_path):
    prints = set()
    for extension in ("csv", "jsonl"):
        folder = tmp_path / extension
        folder.mkdir()
        prints.add(load_own_data(write(folder, extension)).fingerprint)
    assert len(prints) == 1


def test_every_fault_is_named_with_its_line(tmp_path):
    rows = [*ROWS, ("u1", "zz", 1, 1), ("", "a", 1, 1), ("u2", "a", "noon", 1), ("u2", "a", 1, "x")]
    path = write(tmp_path, rows=rows)
    path.write_text(path.read_text() + "strict: true\n")
    with pytest.raises(CatalogError, match="4 faulty lines") as error:
        load_own_data(path)
    for words in ("line 6: item 'zz' is not in the items table", "line 7: empty uid",
                  "line 8: ts: ts 'noon' is not a number", "line 9: stars: stars 'x'"):  # fmt: skip
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("stars", "rank"), "but not rank"),
        (lambda text: text.replace("users.csv", "none.csv"), "cannot be read"),
        (lambda text: text.replace("gender", "faith"), "but not faith"),
    ],
)
def test_missing_column_or_file_is_named(tmp_path, change, words):
    path = write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(CatalogError, match=words):
        load_own_data(path)


def test_unknown_key_of_the_description_names_its_line(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text() + "color: red\n")
    with pytest.raises(ConfigurationError, match=r"data\.yaml:6"):
        load_own_data(path)


def test_unknown_data_set_says_what_to_give():
    with pytest.raises(CatalogError, match="Give ml-100k or the YAML file"):
        open_dataset("ml-1m")


def test_cells_and_rows_that_cannot_be_used_are_counted(tmp_path):
    rows = [*ROWS, ("u1", "zz", 1, 1), ("u2", "a", "noon", 1), ("u2", "c", 1, "\\N"),
            ("u1", "a", "NA", 2)]  # fmt: skip
    path = write(tmp_path, rows=rows)
    (tmp_path / "users.csv").write_text("uid,gender\nu1,NULL\nu3,female\n")
    (tmp_path / "items.csv").write_text(
        "iid,name,tags,year\na,None,\"['Crime', 'Drama']\",-750\nb,NA,NA,\\N\nc,Toys,,1995.0\n"
    )
    data = load_own_data(path)
    assert [item.title for item in data.catalog.items] == ["None", "NA", "Toys"]
    assert [item.year for item in data.catalog.items] == [None, None, 1995]
    assert [item.genres for item in data.catalog.items] == [("Crime", "Drama"), (), ()]
    assert len(data.interactions) == len(ROWS)
    assert [dict(a) for a in data.interactions.attributes] == [{"gender": "unknown"}] * 2
    assert data.notes == (
        "items.csv: 1 values of year are left out, the first: line 2: year '-750' is not a whole "
        "number up to 9999",
        "items.csv: 1 values of year are marked as unknown (such as \\N or NA)",
        "items.csv: 1 values of genres are marked as unknown (such as \\N or NA)",
        "events.csv with items.csv: 7 of 8 rows match by item id, 1 do not match and are not used, "
        "such as 'zz'",
        "events.csv: 1 values of ts are left out, the first: line 7: ts 'noon' is not a number "
        "of seconds or an ISO date such as 2024-03-01",
        "events.csv: 1 values of stars are marked as unknown (such as \\N or NA)",
        "events.csv: 1 values of ts are marked as unknown (such as \\N or NA)",
        "events.csv with users.csv: 1 of 2 rows match by user id, 1 do not match and are not used, "
        "such as 'u2'",
        "users.csv: 1 values of gender are marked as unknown (such as \\N or NA)",
    )


def test_user_ids_that_are_written_differently_are_an_error_with_examples(tmp_path):
    path = write(tmp_path, rows=[("1.0", "a", 1, 5), ("2.0", "b", 2, 4)])
    (tmp_path / "users.csv").write_text("uid,gender\n1,female\n2,male\n")
    with pytest.raises(CatalogError, match=r"0 of 2 .*'1\.0' and '2\.0'.*'1' and '2'"):
        load_own_data(path)


def test_item_ids_that_are_written_differently_are_an_error_with_examples(tmp_path):
    path = write(tmp_path, rows=[("u1", "007", 1, 5), ("u2", "008", 2, 4), ("u2", "009", 2, 4)])
    (tmp_path / "items.csv").write_text("iid,name,tags,year\n7,Heat,,\n8,Ran,,\n")
    with pytest.raises(CatalogError, match=r"0 of 3 .*'007' and '008'.*'7' and '8'"):
        load_own_data(path)


def test_a_join_that_matches_every_row_says_so(tmp_path):
    path = write(tmp_path, rows=[("u1", "a", 1, 5)])
    assert load_own_data(path).notes == (
        "events.csv with items.csv: 1 of 1 rows match by item id",
        "events.csv with users.csv: 1 of 1 rows match by user id",
    )


def test_ids_stay_as_they_are_written_in_every_format(tmp_path):
    ids = ["007", "1.0", "1e5", "12345678901234567890", "-0"]
    path = write(tmp_path, "jsonl")
    films = "".join(f"{item},Film {n},,\n" for n, item in enumerate(ids))
    (tmp_path / "items.csv").write_text("iid,name,tags,year\n" + films)
    (tmp_path / "users.csv").write_text("uid,gender\n00,male\n1.0,female\n")
    event = '{"uid": %s, "iid": %s, "ts": %d, "stars": 1}'
    lines = [event % ('"00"', f'"{item}"', n) for n, item in enumerate(ids)]
    lines += [event % ("1.0", item, n) for n, item in enumerate(ids[1:4])]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    rows = load_own_data(path).interactions
    assert rows.item_ids == tuple(ids)
    assert rows.user_ids == ("00", "1.0")
    assert [rows.item_ids[i] for i in rows.item_index] == [*ids, *ids[1:4]]
    assert [a["gender"] for a in rows.attributes] == ["male", "female"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_another_separator_is_read(tmp_path, separator):
    expected = load_own_data(write(tmp_path)).fingerprint
    for name in ("events.csv", "items.csv", "users.csv"):
        text = (tmp_path / name).read_text().replace(",", separator)
        (tmp_path / name).write_text("\ufeff" + text, encoding="utf-8")
    assert load_own_data(tmp_path / "data.yaml").fingerprint == expected


def test_semicolons_within_cells_are_no_separators(tmp_path):
    data = write(tmp_path)
    (tmp_path / "items.csv").write_text(ITEMS.replace("Fargo", '"Fargo; the film"'))
    assert load_own_data(data).catalog["a"].title == "Fargo; the film"


@pytest.mark.parametrize("header", ["uid;iid,ts;stars", "uid|iid|ts|stars"])
def test_header_with_no_clear_separator_is_an_error_that_shows_it(tmp_path, header):
    data = write(tmp_path)
    (tmp_path / "events.csv").write_text(f"{header}\nu1;a,1;5\n")
    with pytest.raises(CatalogError, match="has the columns uid"):
        load_own_data(data)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T00:01:00", 60),
        ("1970-01-01 01:00:00+01:00", 0),
        ("1970-01-01T00:00:30Z", 30),
        ("2024-02-29T12:00:00.500", 1_709_208_000),
        ("90", 90),
        ("20240301", 20_240_301),
    ],
)
def test_iso_dates_are_read_as_seconds(tmp_path, written, seconds):
    rows = load_own_data(write(tmp_path, rows=[("u1", "a", written, 5)])).interactions
    assert rows.timestamp.tolist() == [seconds]


def test_dates_without_a_zone_are_counted(tmp_path):
    rows = [("u1", "a", "2024-03-01", 5), ("u1", "b", "2024-03-02T10:00Z", 4)]
    notes = load_own_data(write(tmp_path, rows=rows)).notes
    assert "events.csv: 1 dates without a time zone are read as UTC" in notes


@pytest.mark.parametrize("written", ["01/02/2024", "1 March 2024", "2024-13-01"])
def test_dates_that_cannot_be_read_alone_say_what_to_write(tmp_path, written):
    with pytest.raises(CatalogError, match=f"{written}.* ISO date"):
        load_own_data(write(tmp_path, rows=[("u1", "a", written, 5)]))


def test_files_of_recbole_are_own_data(tmp_path):
    (tmp_path / "shop.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "u1\ta\t5\t1\nu1\tb\t4\t2\nu2\ta\t3\t1\n"
    )
    (tmp_path / "shop.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        'a\t"Weird Al" Show\t1997\tComedy Children\'s\nb\tHeat\t1995\tCrime\n'
    )
    (tmp_path / "shop.user").write_text("user_id:token\tgender:token\nu1\tF\nu2\tM\n")
    (tmp_path / "data.yaml").write_text(
        "version: 1\nname: shop\n"
        "interactions: {file: shop.inter, user: user_id, item: item_id, rating: rating}\n"
        "items: {file: shop.item, id: item_id, title: movie_title, year: release_year, "
        "genres: class}\n"
        "users: {file: shop.user, id: user_id, attributes: [gender]}\n"
    )
    data = load_own_data(tmp_path / "data.yaml")
    assert data.catalog["a"].title == '"Weird Al" Show'
    assert data.catalog["a"].genres == ("Comedy", "Children's")
    assert data.interactions.rating.tolist() == [5, 4, 3]
    assert [dict(a) for a in data.interactions.attributes] == [{"gender": "F"}, {"gender": "M"}]


@pytest.mark.parametrize("name", ["ml.inter", "ml.item", "events.csv"])
def test_table_in_place_of_the_description_says_what_to_write(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("user_id:token\titem_id:token\n")
    with pytest.raises(CatalogError, match="Write a YAML file that names this table"):
        open_dataset(name)


OWN = """version: 1
name: own
interactions: {file: e.jsonl, rating: stars}
items: {file: i.csv}
users: {file: u.jsonl, attributes: [gender]}
"""


def own(folder, *, user='"u1"', time="1", stars="5", gender='"F"'):
    (folder / "d.yaml").write_text(OWN)
    (folder / "i.csv").write_text("id,title\n1,Heat\n")
    rows = [(user, time, stars), ('"u2"', "2", "4")]
    events = [f'{{"user": {u}, "item": 1, "timestamp": {t}, "stars": {s}}}' for u, t, s in rows]
    (folder / "e.jsonl").write_text("\n".join(events))
    (folder / "u.jsonl").write_text(f'{{"id": "u1", "gender": {gender}}}\n{{"id": "u2"}}\n')
    return load_own_data(folder / "d.yaml")


@pytest.mark.parametrize("stars", ["1e300", '"1_0"'])
def test_rating_that_cannot_be_stored_is_left_out_and_counted(tmp_path, stars):
    """A larger number than single precision holds would be infinite and break the fingerprint."""
    data = own(tmp_path, stars=stars)
    assert data.fingerprint
    assert data.interactions.user_ids == ("u2",)
    assert any("1 values of stars are left out" in note for note in data.notes)


@pytest.mark.parametrize(
    ("user", "words"), [("[1]", "a list or an object"), ('"\\ud800"', "unpaired surrogate")]
)
def test_user_id_that_is_no_text_is_named_with_its_line(tmp_path, user, words):
    with pytest.raises(CatalogError, match=rf"line 1: user (is|has) .*{words}"):
        own(tmp_path, user=user)


def test_attribute_that_is_a_list_is_unknown_and_counted(tmp_path):
    data = own(tmp_path, gender='["F"]')
    assert data.interactions.attributes[0] == {"gender": "unknown"}
    assert any("1 values of gender are left out" in note for note in data.notes)
