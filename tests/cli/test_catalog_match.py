from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from auditkit.cli import app
from auditkit.errors import AuditkitError, CatalogError

FILMS = Path(__file__).parents[1] / "support" / "claims_data" / "films.csv"
LINKED = {"exact", "alias", "paren", "subtitle_drop", "word_order", "spacing", "typo", "year_off",
          "creator"}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def films(tmp_path):
    return shutil.copy(FILMS, tmp_path / "films.csv")


def run(*arguments, given=None):
    return CliRunner().invoke(app, ["catalog", *map(str, arguments)], input=given)


def test_every_line_becomes_one_json_object_with_exactly_four_keys(tmp_path, films):
    titles = tmp_path / "titles.txt"
    titles.write_bytes(
        "\ufeffHeat (1995)\r\n\r\nToy Stroy\nPsycho\nSpeed 3\nNowhere At All\n".encode()
    )
    done = run("match", "--catalog", films, "--titles", titles, "--json", "-q")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0, done.stderr
    assert all(list(row) == ["title", "item_id", "reason", "candidates"] for row in rows)
    assert [(row["title"], row["item_id"], row["reason"]) for row in rows] == [
        ("Heat (1995)", "f1", "exact"),
        ("", None, "empty"),
        ("Toy Stroy", "f66", "typo"),
        ("Psycho", None, "ambiguous"),
        ("Speed 3", None, "near_miss"),
        ("Nowhere At All", None, "none"),
    ]
    assert rows[3]["candidates"] == ["f17", "f18"]
    assert all((row["item_id"] is not None) == (row["reason"] in LINKED) for row in rows)


def test_titles_come_from_standard_input_and_are_explained(films):
    done = run("match", "--catalog", films, "--titles", "-", "--explain", "--json", "-q",
               given="Toy Stroy (1996)\n")  # fmt: skip
    row = json.loads(done.stdout)
    assert (row["matched"], row["years_off"], row["edits"]) == ("Toy Story (1995)", 1, 1)


def test_a_table_is_built_once_into_the_cache(tmp_path, films):
    titles = tmp_path / "t.txt"
    titles.write_text("Heat\n")
    first = run("match", "--catalog", films, "--titles", titles)
    second = run("match", "--catalog", films, "--titles", titles)
    assert "indexing titles" in first.stderr
    assert "indexing titles" not in second.stderr
    assert first.stdout == second.stdout == "f1\texact\tHeat\n"


def test_control_characters_of_a_title_reach_no_terminal(tmp_path, films):
    titles = tmp_path / "t.txt"
    titles.write_text("Heat\x1b[2J\x07\n")
    done = run("match", "--catalog", films, "--titles", titles, "-q")
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_json_lines_are_plain_ascii_whatever_a_text_holds(tmp_path, films):
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "A crime film\\ud800 \\u009b2J.", "item_id": "f1"}')
    done = run("check-claims", "--catalog", films, "--text", texts, "--json", "-q")
    assert done.exit_code == 0, done.exception
    assert done.stdout.isascii()


def test_claims_are_printed_with_verdict_span_and_evidence(tmp_path, films):
    texts = tmp_path / "texts.jsonl"
    texts.write_text(
        json.dumps({"text": "A 1994 crime film.", "item_id": "f1", "id": "a"})
        + "\n\n"
        + json.dumps({"text": "Set in 1912. Starring Meryl Streep."})
    )
    done = run("check-claims", "--catalog", films, "--text", texts, "--json", "-q")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert list(first) == ["id", "text", "claims", "unparsed", "coverage"]
    year, genre = sorted(first["claims"], key=lambda claim: -len(claim["relation"]))[::-1]
    assert (year["relation"], year["value"], year["verdict"]) == ("year", "=1994", "contradicted")
    assert year["evidence"] == [["f1", "year", "1995"]]
    assert first["text"][slice(*genre["span"])] == "crime"
    assert genre["verdict"] == "supported"
    assert (second["id"], second["claims"], second["coverage"]) == (3, [], None)


def test_a_plain_text_has_one_explanation_a_line(tmp_path, films):
    texts = tmp_path / "texts.txt"
    texts.write_text("Speed is a comedy.\nFargo was set in 1987.\n")
    done = run("check-claims", "--catalog", films, "--text", texts, "-q")
    assert done.stdout.splitlines() == [
        "1\tcontradicted\tf4\tgenre\tComedy\tAction, Thriller",
        "2\tunparsed\tFargo was set in 1987.",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "texts.jsonl:1 is not valid JSON"),
        (b'{"id": 1}', 'texts.jsonl:1 is not an object with a "text"'),
        (
            b'{"text": "A film."}\n{"text": "A film.", "item_id": "f999"}',
            "texts.jsonl:2 names item",
        ),
        (
            b'{"text": "A film.", "item_id": true}',
            "texts.jsonl:1 has an item_id that is not a string",
        ),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_faulty_input_is_a_clear_error(tmp_path, films, content, message):
    texts = tmp_path / "texts.jsonl"
    texts.write_bytes(content)
    done = run("check-claims", "--catalog", films, "--text", texts, "--json", "-q")
    assert isinstance(done.exception, AuditkitError)
    assert message in str(done.exception)


@pytest.mark.parametrize("catalog", ["nowhere.csv", "."])
def test_a_catalog_that_is_none_is_a_clear_error(tmp_path, catalog):
    titles = tmp_path / "t.txt"
    titles.write_text("Heat\n")
    done = run("match", "--catalog", catalog, "--titles", titles, "-q")
    assert isinstance(done.exception, CatalogError)
    assert "Give ml-100k, a built catalog or a table" in str(done.exception)
